"""What a test of a private seam of Parsl says when it fails: which seam, and what no longer works."""

from __future__ import annotations

import functools

import parsl


def seam(name, breaks):
    """Name the seam that a test holds Parsl to, and what no longer works without it."""

    def decorate(test):
        @functools.wraps(test)
        def named(*arguments, **more):
            try:
                test(*arguments, **more)
            except Exception as error:
                message = f"Parsl {parsl.__version__} has changed {name}. What breaks: {breaks}. ({error!r})"
                raise AssertionError(message) from error

        return named

    return decorate
