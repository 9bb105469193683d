"""What the picture knows of one try, task, manager and node."""

from __future__ import annotations

from collections import deque

import msgspec

RECENT = 64

#: Classes of failures whose tries got on: none of them counts as a try, however many there are.
GOT_ON = frozenset({"checkpointed", "left"})


class TryState(msgspec.Struct, gc=False):
    """One try of a task: where it is or was, and how it went.

    Attributes:
        executor: label.
        block: block id.
        manager: manager id.
        worker: rank of the worker.
        node: host name.
        pid: of the worker, on its node.
        status: ``launched``, ``running``, ``ended``, ``failed``; ``cancelled`` when nobody waits for it any
            more, and ``stopped`` when it is known to have ended after that.
        seconds: wall time on the worker.
        fingerprint: of the failure.
        failure_class: as diagnosed.
        decided: when that failure was decided upon, seconds UTC.
        charged: name of the budget that was charged for it.
        rule: name of the rule that decided then.
        outstanding_at: label of the executor that owes an end of this try; None when none does.
    """

    executor: str | None = None
    block: str | None = None
    manager: str | None = None
    worker: int | None = None
    node: str | None = None
    pid: int = 0
    status: str = "launched"
    seconds: float | None = None
    fingerprint: str = ""
    failure_class: str = ""
    decided: float = 0.0
    charged: str = ""
    rule: str = ""
    outstanding_at: str | None = None

    @property
    def place(self) -> str:
        """The smallest place that is known to tell two tries apart: the manager, else the executor."""
        return self.manager or self.executor or ""


class TaskState(msgspec.Struct, gc=False):
    """One task.

    Attributes:
        func: name of the app.
        memory: bytes that its newest decision asked for; None if none did.
        tries: its tries, in order.
        outcome: empty until it ends.
        spent: failures charged so far, by budget.
        error: what the program saw.
        forgiven: tries that count no more, as somebody gave the task fresh budgets.
        free: later ones that do not count, either, as the task got on in them.
        moving: label of the executor that its running try is on its way to; empty when it stays.
    """

    func: str = ""
    tries: list[TryState] = []
    outcome: str = ""
    spent: dict[str, int] = {}
    error: str = ""
    forgiven: int = 0
    free: int = 0
    memory: int | None = None
    moving: str = ""


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody's word that a place gets no new work.

    Attributes:
        level: ``manager``, ``block`` or ``node``.
        name: of the place.
        executor: label; empty for all executors that have something there.
        reason: in words.
        owner: who asked.
        drain: what runs there may end, and then the place is given up.
        since: seconds UTC.
    """

    level: str
    name: str
    executor: str = ""
    reason: str = ""
    owner: str = ""
    drain: bool = False
    since: float = 0.0

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from other holds."""
        return self.level, self.executor, self.name


class ManagerState(msgspec.Struct):
    """One manager: a node's share of a block.

    Attributes:
        executor: label.
        block: block id.
        node: host name, once a try has told it.
        pid: its process id on its node, once a try has told it.
        workers: how many it has.
        lost: why it is gone; empty while it is there.
        ended: why its process came to its end, as its supervisor has told.
        suspected: why its node is suspected to be gone; empty while it is heard.
        running: (task, try) pairs that started there and have not ended.
        started: tries that ever started there.
        last_start: when the last one did, seconds UTC.
        last_success: when a try last succeeded there, seconds UTC.
        failures: (time, task, failure class) of the newest failures there.
        succeeded: tries that succeeded there.
        failed: tries that failed there, by failure class.
    """

    executor: str = ""
    block: str | None = None
    node: str | None = None
    pid: int = 0
    workers: int = 0
    lost: str = ""
    ended: str = ""
    suspected: str = ""
    running: set[tuple[int, int]] = msgspec.field(default_factory=set)
    started: int = 0
    last_start: float = 0.0
    last_success: float = 0.0
    failures: deque[tuple[float, int, str]] = msgspec.field(default_factory=lambda: deque(maxlen=RECENT))
    succeeded: int = 0
    failed: dict[str, int] = msgspec.field(default_factory=dict)


class NodeState(msgspec.Struct):
    """One node, over all managers that ran there.

    Attributes:
        managers: their ids.
        failures: (time, task, failure class) of the newest failures there.
    """

    managers: set[str] = msgspec.field(default_factory=set)
    failures: deque[tuple[float, int, str]] = msgspec.field(default_factory=lambda: deque(maxlen=RECENT))
