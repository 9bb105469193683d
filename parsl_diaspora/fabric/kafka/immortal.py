"""Keeping alive what a forked child has no right to end."""

from __future__ import annotations

import ctypes


def keep_for_ever(thing: object) -> None:
    """Never let the interpreter destroy an object, not even when it ends.

    A forked child has its parent's clients of librdkafka without their threads: their end would wait for
    ever.
    """
    if thing is not None:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
