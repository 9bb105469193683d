"""A manager's list of packages, passed on once.

Parsl's interchange repeats it with each batch of tasks that it gives to a manager and each batch of results:
some kilobytes that no table of Parsl's own database has a column for.
"""

from __future__ import annotations

from typing import Any

FIELD = "packages"


class PackagesOnce:
    """Takes the list out of what is told of a manager again, while it stays the same.

    Attributes:
        dropped: how often it was taken out.

    Example:
        >>> once = PackagesOnce()
        >>> told = {"uid": "m1", "tasks": 0, "packages": {"numpy": "2.1"}}
        >>> once.shorten(told)
        {'uid': 'm1', 'tasks': 0, 'packages': {'numpy': '2.1'}}
        >>> once.shorten(told)
        {'uid': 'm1', 'tasks': 0}
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._of: dict[str, Any] = {}
        self._different: list[Any] = []  # nearly always one for all managers

    def shorten(self, told: dict[str, Any]) -> dict[str, Any]:
        """What to pass on; a copy where something is left out."""
        packages, manager = told.get(FIELD), told.get("uid")
        if not packages or not isinstance(manager, str):
            return told
        if self._of.get(manager) == packages:
            self._forget_if_gone(manager, told)
            self.dropped += 1
            return {name: value for name, value in told.items() if name != FIELD}
        self._of[manager] = self._one_copy(packages)
        self._forget_if_gone(manager, told)
        return told

    def _one_copy(self, packages: Any) -> Any:
        for known in self._different:
            if known == packages:
                return known
        self._different.append(packages)
        return packages

    def _forget_if_gone(self, manager: str, told: dict[str, Any]) -> None:
        if told.get("active", True):
            return
        packages = self._of.pop(manager, None)
        if not any(each is packages for each in self._of.values()):
            self._different = [each for each in self._different if each is not packages]
