"""Hosts as the scheduler calls them: what a node calls itself may not be its name in the queue."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from parsl_diaspora.providers.exit_record import ExitRecord


def node_names(hosts: Collection[str], records: Iterable[ExitRecord | None]) -> frozenset[str]:
    """The scheduler's names of hosts, as blocks that ran there have written them down.

    A host that no block has run on keeps its name. One that goes by several names in the queue is left out,
    as where several nodes of a test share a host: nobody knows which of them was meant.

    Example:
        >>> known = [ExitRecord(0.0, host="n17.site.edu", node="n17")]
        >>> sorted(node_names({"n17.site.edu", "n18"}, known))
        ['n17', 'n18']
    """
    known: dict[str, set[str]] = {}
    for record in records:
        if record is not None and record.node:
            known.setdefault(record.host, set()).add(record.node)
            known.setdefault(record.node, set()).add(record.node)
    return frozenset(name for host in hosts if len(names := known.get(host, {host})) == 1 for name in names)
