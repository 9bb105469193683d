"""Parsl's own test suite, as it comes with the installed release, run stock and with this package put in."""
