"""Real services for the tests: each is started on loopback, in a directory of its own, and ended for sure."""
