"""An app in a module that needs nothing of this package, for workers that lack it."""

from __future__ import annotations

from parsl import python_app


@python_app
def double(number: int) -> int:
    """Twice the number."""
    return 2 * number
