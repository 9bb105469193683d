"""What the managers of each executor have to offer: packages, memory, Python. Folded from `NodeSeen`."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec

from parsl_diaspora.events import Event, ManagerEnded, ManagerLost, NodeLost, NodeSeen

#: Limits that keep a process from memory that its node may well have.
_MEMORY_LIMITS = ("address_space", "data", "memory")


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What one manager has to offer, or what the managers of an executor have in common.

    Attributes:
        environment: fingerprint of the Python release and the installed packages; empty if nobody told.
        packages: names of the installed packages.
        memory: bytes that a process may have: the node's, or less where a limit is set; 0 if nobody told.
        gpus: how many accelerators.
        mixed: the managers of the executor differ.
    """

    environment: str = ""
    packages: frozenset[str] = frozenset()
    memory: int = 0
    gpus: int = 0
    mixed: bool = False


NOTHING_KNOWN = Offer()


class Offers:
    """The newest offers by executor.

    Example:
        >>> offers = Offers()
        >>> offers.fold(NodeSeen(executor="cpu", manager="m1", memory=64, packages={"numpy": "2.1"}))
        >>> offers.of("cpu").memory, offers.lacks("cpu", {"numpy"}), offers.lacks("cpu", {"torch"})
        (64, False, True)
        >>> offers.lacks("gpu", {"torch"})
        False
    """

    def __init__(self) -> None:
        self._managers: dict[str, dict[str, Offer]] = {}
        self._common: dict[str, Offer] = {}
        self._packages: dict[str, frozenset[str]] = {}  # one copy an environment

    def fold(self, event: Event) -> None:
        """Take note of what a supervisor tells of its node, or of a manager's end."""
        if (handler := _FOLDS.get(type(event))) is not None:
            handler(self, event)

    def of(self, executor: str) -> Offer:
        """What an executor has to offer: the most memory, and packages that any manager has."""
        if (known := self._common.get(executor)) is None:
            known = self._common[executor] = _in_common(list(self._managers.get(executor, {}).values()))
        return known

    def is_mixed(self, executor: str) -> bool:
        """Whether an executor's managers are known to differ in packages, Python or memory."""
        return self.of(executor).mixed

    def managers_without(self, executor: str, names: frozenset[str]) -> set[str]:
        """Managers that have listed none of these packages."""
        managers = list(self._managers.get(executor, {}).items())
        return {name for name, offer in managers if offer.packages and offer.packages.isdisjoint(names)}

    def of_manager(self, executor: str, manager: str) -> Offer:
        """What one manager has to offer."""
        return self._managers.get(executor, {}).get(manager, NOTHING_KNOWN)

    def lacks(self, executor: str, names: set[str] | frozenset[str]) -> bool:
        """Whether it is known that an executor has none of these packages (names of the same thing)."""
        packages = self.of(executor).packages
        return bool(packages) and packages.isdisjoint(names)

    def _seen(self, event: NodeSeen) -> None:
        if event.executor is None or event.manager is None:
            return
        environment = fingerprint(event.python_version, event.packages)
        packages = self._packages.setdefault(environment, frozenset(event.packages))
        self._managers.setdefault(event.executor, {})[event.manager] = Offer(
            environment=environment,
            packages=packages,
            memory=_memory(event),
            gpus=len(event.gpus),
        )
        self._common.pop(event.executor, None)

    def _gone(self, event: ManagerEnded | ManagerLost | NodeLost) -> None:
        managers = self._managers.get(event.executor or "", {})
        if len(managers) > 1 and managers.pop(event.manager or "", None) is not None:  # the last word stays
            self._common.pop(event.executor or "", None)


def fingerprint(python_version: str, packages: dict[str, str]) -> str:
    """What tells two environments apart; empty when nothing is known of one.

    Example:
        >>> fingerprint("3.11.7", {"numpy": "2.1"}) == fingerprint("3.11.9", {"numpy": "2.1"})
        True
        >>> fingerprint("3.11.7", {}) == fingerprint("3.11.7", {"numpy": "2.1"})
        False
    """
    if not packages:
        return ""
    release = ".".join(python_version.split(".")[:2])
    listed = "\n".join(f"{name}={version}" for name, version in sorted(packages.items()))
    return hashlib.sha256(f"{release}\n{listed}".encode()).hexdigest()[:12]


def _memory(event: NodeSeen) -> int:
    limits = [
        limit for name in _MEMORY_LIMITS if isinstance(limit := event.limits.get(name), int) and limit > 0
    ]
    return min([event.memory or max(limits, default=0), *limits])


def _in_common(offers: list[Offer]) -> Offer:
    if not offers:
        return NOTHING_KNOWN
    told = [offer.packages for offer in offers]
    (environment, _), *_ = Counter(offer.environment for offer in offers).most_common()
    return Offer(
        environment=environment,
        packages=frozenset.union(*told) if all(told) else frozenset(),
        memory=max(offer.memory for offer in offers),
        gpus=max(offer.gpus for offer in offers),
        mixed=len({(offer.environment, offer.memory) for offer in offers}) > 1,
    )


_FOLDS: dict[type[Event], Callable[[Any, Any], None]] = {
    NodeSeen: Offers._seen,
    ManagerEnded: Offers._gone,
    ManagerLost: Offers._gone,
    NodeLost: Offers._gone,
}
