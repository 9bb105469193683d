"""Each try of a run's tasks, as it is launched and as it ends.

Everything here is called from Parsl's own threads, so nothing waits and nothing does I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parsl.dataflow.errors import DependencyError

from parsl_diaspora.checkpoint.instructions import Instructions
from parsl_diaspora.errors import TaskCancelled
from parsl_diaspora.events import TaskEnded, TaskSubmitted, TryEnded, TryLaunched
from parsl_diaspora.executors.launch import Launch, Report, launching
from parsl_diaspora.failures.evidence import clean_text
from parsl_diaspora.monitoring.deciding.propagated import root_task, tell_root
from parsl_diaspora.monitoring.kernel import Record
from parsl_diaspora.monitoring.placing.pools import put_in
from parsl_diaspora.scaling.durations import Durations
from parsl_diaspora.state import Live

if TYPE_CHECKING:
    from parsl_diaspora.monitoring.session import Session

ERROR_LIMIT = 500
_RUNS_ALREADY = "its successor runs there already"


class Tries:
    """Says what becomes of tries, and tells executors what they must know of them.

    Args:
        session: of the run.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._reports: dict[tuple[int, int, str], Report] = {}
        self._avoid: dict[int, tuple[str, ...]] = {}
        self._durations = Durations()

    def launch(self, task: Record) -> None:
        """A try is about to be submitted by this thread: route it, say so, and let the executor know."""
        live = self._session.begin(task["dfk"].run_id)
        self._session.unexplained.forget(task)
        if (successor := self._session.checkpoints.migrations.adopt(task)) is not None:
            launching.adopted, launching.placed = successor, _RUNS_ALREADY
            self._further(live, task)
            return
        launching.placed = self._put_in_pool(task)
        avoid = self._further(live, task) if task["try_id"] else self._first(live, task)
        launching.launch = self.told(
            task,
            avoid=avoid,
            memory=self._memory(live, task),
            seconds=self._seconds(live, task),
            checkpoint=self._checkpoint(task),
        )
        if self._session.routing.pools.with_member(task["executor"]) is not None:
            launching.task = task

    def told(self, task: Record, **more: Any) -> Launch:
        """What a worker is told of a try.

        Args:
            task: Parsl's record, with the number of the try and its executor.
            **more: further fields of `Launch`.
        """
        settings = self._session.settings
        return Launch(
            run=task["dfk"].run_id,
            task=task["id"],
            try_id=task["try_id"],
            executor=task["executor"],
            url=self._session.node_url(task["executor"]),
            traceback_limit=settings.traceback_limit,
            redact=settings.redact or "",
            restore=settings.restore_workers,
            **more,
        )

    def _checkpoint(self, task: Record) -> Instructions | None:
        options = self._session.policies.of(task["func"]).options.checkpoint
        return self._session.checkpoints.instructions(task, options) if options is not None else None

    def _put_in_pool(self, task: Record) -> str:
        """A try that is for a pool goes to one of its members; why to this one."""
        routing, drawn = self._session.routing, task["executor"]
        pool = routing.pools.named(drawn)
        if pool is None:
            return ""
        routing.placed(task)
        choice = put_in(self._session, pool, task, pool.labels)
        task["executor"] = choice.label or pool.labels[0]
        return choice.why

    def _first(self, live: Live, task: Record) -> tuple[str, ...]:
        """Send a first try where it is likely to succeed; the managers that hand it back."""
        drawn = task["executor"]
        if not self._session.parked.is_sent(task):
            self._session.routing.first(live, task, in_pool=bool(launching.placed))
        number, executor = task["id"], task["executor"]
        if executor != drawn:  # out of the pool, or elsewhere in it, for a reason that was told
            launching.placed = ""
        event = TaskSubmitted(task=number, try_id=0, executor=executor, func=task["func_name"])
        event.placed = launching.placed
        live.say_soon(event)
        self._avoid.pop(number, None)
        return self._session.routing.avoided(live, task)

    def _further(self, live: Live, task: Record) -> tuple[str, ...]:
        """Say that there is a further try; the managers that hand it back."""
        avoid = self._avoid.pop(task["id"], ())
        event = TryLaunched(task=task["id"], try_id=task["try_id"], executor=task["executor"], avoid=avoid)
        event.placed = launching.placed
        live.say(event)
        return avoid

    def _memory(self, live: Live, task: Record) -> int:
        """Bytes that a try needs, where another manager may have them; 0 if that is not known."""
        state = live.picture.tasks.get(task["id"]) if task["try_id"] else None
        asked = state.memory if state is not None else None
        needed = asked or self._session.policies.of(task["func"]).options.memory
        if not needed or len(live.picture.present.get(task["executor"], ())) < 2:  # noqa: PLR2004 - none else has it
            return 0
        room = self._session.routing.offers.of(task["executor"]).memory
        return needed if not room or room >= needed else 0

    def _seconds(self, live: Live, task: Record) -> float:
        """Seconds that a try may need, where another manager may have them; 0 if that is not known."""
        if len(live.picture.present.get(task["executor"], ())) < 2:  # noqa: PLR2004 - none else has them
            return 0.0
        return self._durations.most(task["func_name"])

    def succeeded(self, task: Record) -> None:
        """A task ended with a result."""
        live = self._session.begin(task["dfk"].run_id)
        number, try_id = task["id"], task["try_id"]
        if self._session.parked.is_substituted(task):
            live.say(_substituted(task))
            return
        if task["from_memo"]:
            live.say(TaskEnded(task=number, outcome="memoized", tries=0, func=task["func_name"]))
            return
        report = self.report_of(number, try_id, task["executor"])
        if report is not None:
            self._durations.learn(task["func_name"], report.seconds)
        overcome = _failures_before(live, task)
        live.say_soon(_try_ended(task, report))
        live.say_soon(TaskEnded(task=number, outcome="done", tries=try_id + 1))
        self._session.routing.succeeded(task, report, overcome)
        self._session.checkpoints.done(number)
        self._session.quarantines.succeeded(live, task["executor"], report)

    def tell_root(self, task: Record, error: BaseException) -> None:
        """Let an error about a failed dependency name its root cause."""
        root = root_task(error)
        if root is None or self._session.live is None:
            return
        state = self._session.live.picture.tasks.get(root)
        tell_root(error, task["dfk"].run_id, {root: state.func} if state is not None else {})

    def failed(self, task: Record, error: BaseException) -> None:
        """A task ended with an exception."""
        live = self._session.begin(task["dfk"].run_id)
        self._avoid.pop(task["id"], None)
        self._session.checkpoints.failed(task["id"])
        outcome = _outcome(error)
        text = clean_text(lambda: f"{type(error).__name__}: {error}", self._session.redact)[:ERROR_LIMIT]
        live.catch_up()
        state = live.picture.tasks.get(task["id"])
        tries = len(state.tries) if state is not None else 0
        func = "" if tries else task["func_name"]
        live.say(
            TaskEnded(
                task=task["id"], outcome=outcome, tries=tries, error=text, func=func, root=root_task(error)
            )
        )

    def returned(self, launch: Launch, report: Report) -> None:
        """Take note of what a worker told of a try, before its future ends."""
        if self._session.checkpoints.migrations.counts(launch):
            self._reports[launch.task, launch.try_id, launch.executor] = report
        if report.stuck and self._session.live is not None:
            self._session.live.absorb("what tasks change in their workers", RuntimeError(_stuck(report)))

    def report_of(self, task: int, try_id: int, executor: str) -> Report | None:
        """What the worker told of a try at an executor, once."""
        return self._reports.pop((task, try_id, executor), None)

    def seconds_of(self, task: int, try_id: int, executor: str) -> float | None:
        """How long a try that has just ended took, as its worker has told."""
        report = self._reports.get((task, try_id, executor))
        return report.seconds if report is not None else None

    def avoid(self, task: int, managers: tuple[str, ...]) -> None:
        """Let a task's next try decline these managers."""
        if managers:
            self._avoid[task] = managers
        else:
            self._avoid.pop(task, None)


def _failures_before(live: Live, task: Record) -> tuple[str, ...]:
    """Fingerprints of a task's earlier tries."""
    state = live.picture.tasks.get(task["id"]) if task["try_id"] else None
    return tuple(each.fingerprint for each in state.tries if each.fingerprint) if state is not None else ()


def _outcome(error: BaseException) -> str:
    if isinstance(error, TaskCancelled):
        return "cancelled"
    return "dependency_failed" if isinstance(error, DependencyError) else "failed"


def _stuck(report: Report) -> str:
    return f"a worker on {report.node} could not put back {', '.join(report.stuck)}"


def _substituted(task: Record) -> TaskEnded:
    tries = task["try_id"]
    func = "" if tries else task["func_name"]
    return TaskEnded(task=task["id"], outcome="substituted", tries=tries, func=func)


def _try_ended(task: Record, report: Report | None) -> TryEnded:
    event = TryEnded(task=task["id"], try_id=task["try_id"], executor=task["executor"])
    if report is not None:
        report.put_place_on(event)
        event.seconds, event.memory, event.cpu = report.seconds, report.memory, report.cpu
    return event
