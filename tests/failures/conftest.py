"""Programs on real pools, for failures that are provoked."""

from __future__ import annotations

from tests.integration.conftest import program

__all__ = ["program"]
