"""Configurations to run Parsl's test suite with, besides those that come with it."""
