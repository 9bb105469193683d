"""For tests of resilient programs: real faults, a virtual clock, contract suites for backends."""
