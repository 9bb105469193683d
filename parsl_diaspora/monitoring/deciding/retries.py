"""Each failed try, through Parsl's retry handler seam: evidence, diagnosis, decision, and its carrying out.

Parsl calls the handler in its result or launch thread. It only reads memory, never waits, always answers
with a number; a delay is a gate in the task's own list of dependencies, never a sleep.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from parsl.dataflow.errors import DependencyError
from parsl.dataflow.states import States
from parsl.executors.errors import BadStateException
from parsl.executors.high_throughput.errors import ManagerLost, WorkerLost

from parsl_diaspora.errors import TaskCancelled
from parsl_diaspora.events import DecisionMade, Failure, TryFailed
from parsl_diaspora.events.envelope import tell_as
from parsl_diaspora.executors.errors import NeverStarted, WorkerDied
from parsl_diaspora.executors.launch import Report
from parsl_diaspora.failures import describe, is_infrastructure
from parsl_diaspora.monitoring.deciding.carrying import Carrying
from parsl_diaspora.monitoring.deciding.situations import Situations
from parsl_diaspora.monitoring.kernel import Record, executor_of
from parsl_diaspora.monitoring.parking.unexplained import LateEvidence, Revision
from parsl_diaspora.monitoring.session import Session
from parsl_diaspora.recovery import Chosen, choose
from parsl_diaspora.state import Live

OwnHandler = Callable[[Exception, Any], float]


class RetryHandler:
    """Answers Parsl's question what a failure costs.

    Args:
        session: of the run.
        own: the program's own retry handler, asked as often as stock Parsl would ask it. Its costs count
            against ``Config.retries`` for failures that are the program's own; for infrastructure losses
            only an infinite cost, which says "fail now", is obeyed. Where it sends the task is kept. When
            it raises, the task ends with what it raised, as in stock; when it answers with no number, where
            stock would hang, the failure costs 1, as without a handler.
    """

    def __init__(self, session: Session, own: OwnHandler | None = None) -> None:
        self._session = session
        self._own = own
        self._situations = Situations(session, asks_own=own is not None)
        self._carrying = Carrying(session)

    def __call__(self, error: Exception, task: Record) -> float:
        """The cost of this failure: 0 or less for another try, more than is left for none.

        Raises:
            TaskCancelled: somebody asked that the task be stopped; Parsl ends it with this exception.
            Exception: the program's own handler raised it; Parsl ends the task with it, too.
        """
        if self._session.cancels.is_asked(task):
            self._tell_last_failure(error, task)
            self._session.cancels.refuse(task)
        here = task["executor"]
        own_cost, raised = self._ask_own(error, task)
        chosen, task["executor"] = task["executor"], here
        try:
            cost = self._answer(error, task, own_cost, chosen)
        except Exception as fault:  # noqa: BLE001 - promise 1: as stock would have answered
            self._session.absorb("retry handler", fault)
            cost = 1.0 if own_cost is None else own_cost
        finally:
            if chosen != here:
                task["executor"] = chosen
        if raised is not None:
            raise raised
        return cost

    def _tell_last_failure(self, error: Exception, task: Record) -> None:
        """A try of a task that is to be stopped has failed by itself."""
        if isinstance(error, DependencyError | TaskCancelled):
            return
        try:
            self._say_failed(self._session.begin(task["dfk"].run_id), error, task)
        except Exception as fault:  # noqa: BLE001 - promise 1: the task ends as it should
            self._session.absorb("retry handler", fault)

    def _ask_own(self, error: Exception, task: Record) -> tuple[float | None, Exception | None]:
        """What the program's own handler asks for this failure, and what it raised."""
        if self._own is None:
            return None, None
        part = "the program's own retry handler"
        try:
            answer = self._own(error, task)
        except Exception as fault:  # noqa: BLE001 - it is raised again when our own part is done
            self._session.absorb(part, fault)
            return float("inf"), fault
        try:
            return float(answer), None
        except Exception as fault:  # noqa: BLE001 - stock would hang on nonsense
            self._session.absorb(part, fault)
            return 1.0, None

    def _answer(self, error: Exception, task: Record, own_cost: float | None, chosen: str) -> float:
        if isinstance(error, DependencyError):
            return 0.0  # Parsl never retries these and ignores the answer
        if task["from_memo"] or self._session.parked.is_closed:
            return self._cost_of_failing(task)  # the memoizer would answer a further try with the same
        live = self._session.begin(task["dfk"].run_id)
        self._session.parked.note(task, error)
        failed = self._say_failed(live, error, task)
        choice = self._choose(live, task, failed, own_cost)
        decision = choice.decision
        if chosen != task["executor"] and choice.do.tries:
            _obey(decision, chosen)
        self._session.checkpoints.decided(task, failed, decision, tries=choice.do.tries)
        self._say_decided(live, task, failed, decision)
        if self._session.second_opinion is not None:
            self._session.second_opinion.consider(failed, task["func_name"], decision.diagnosis)
        if decision.action == "fail":
            return self._cost_of_failing(task)
        self._carrying.out(live, task, choice)
        if choice.do.tries:
            self._expect_evidence(task, failed, decision, own_cost)
        free = own_cost is None or is_infrastructure(decision.diagnosis.failure_class)
        charged = 0.0 if free else own_cost or 0.0
        return min(charged, float(self._session.retries - task["fail_cost"]))

    def _cost_of_failing(self, task: Record) -> float:
        left = float(self._session.retries - task["fail_cost"])
        cost = max(1.0, left + 1.0)
        return cost if task["fail_cost"] + cost > self._session.retries else float("inf")

    # --- evidence ---

    def _say_failed(self, live: Live, error: Exception, task: Record) -> TryFailed:
        report = self._session.tries.report_of(task["id"], task["try_id"], task["executor"])
        failure = report.failure if report is not None else None
        event = TryFailed(
            task=task["id"],
            try_id=task["try_id"],
            executor=task["executor"],
            failure=failure or _describe(error, task, self._session),
        )
        _put_place(event, error, report, live)
        live.say(event)
        return event

    # --- decision ---

    def _choose(
        self,
        live: Live,
        task: Record,
        failed: TryFailed,
        own_cost: float | None,
        revision: Revision | None = None,
    ) -> Chosen:
        options, policy = self._session.policies.of(task["func"])
        situation = self._situations.of(live, task, failed, own_cost, options, revision=revision)
        return choose(situation, self._session.settings, policy)

    def _say_decided(
        self,
        live: Live,
        task: Record,
        failed: TryFailed,
        decision: DecisionMade,
        revision: Revision | None = None,
    ) -> None:
        tell_as(decision, failed)
        decision.cause = (failed.id,)
        if revision is not None:
            decision.cause, decision.revises = (failed.id, revision.evidence.event), revision.replaces.id
        live.say(decision)
        self._session.routing.failed(
            task, decision, failed.failure.fingerprint, revision.replaces if revision is not None else None
        )
        self._carrying.rest(decision)
        self._session.quarantines.failed(live, failed, decision.diagnosis.failure_class)

    # --- late evidence ---

    def _expect_evidence(
        self, task: Record, failed: TryFailed, decision: DecisionMade, own_cost: float | None
    ) -> None:
        def revise(evidence: LateEvidence) -> None:
            self._revise(task, failed, decision, own_cost, evidence)

        grace = self._session.unexplained.expect(task, failed, decision, revise)
        if grace > decision.delay and not decision.wait:
            self._session.parked.delay_at_least(task, grace)

    def _revise(
        self,
        task: Record,
        failed: TryFailed,
        decision: DecisionMade,
        own_cost: float | None,
        evidence: LateEvidence,
    ) -> None:
        """In the slow path: decide anew about a task that still waits for its next try."""
        live = self._session.begin(task["dfk"].run_id)
        here = {**task, "executor": failed.executor}  # where it failed: it may have been moved since
        known, revision = evidence.failed(failed), Revision(evidence, decision)
        choice = self._choose(live, here, known, own_cost, revision)
        again = choice.decision
        if again.diagnosis.failure_class == decision.diagnosis.failure_class:
            return

        def carry_out() -> bool:
            self._say_decided(live, task, failed, again, revision)
            if evidence.error is not None:
                self._session.parked.note(task, evidence.error)
            if again.action != "fail":
                task["executor"] = failed.executor
                self._carrying.out(live, task, choice)
            return again.action != "fail"

        self._session.parked.revise(task, carry_out)


def _obey(decision: DecisionMade, chosen: str) -> None:
    """The program's own handler has sent the task to another executor: it knows best."""
    decision.rule, decision.action, decision.target, decision.avoid = "own-handler-moves", "move", chosen, ()
    decision.reason = f"the program's own retry handler sends it to {chosen}"


def _describe(error: Exception, task: Record, session: Session) -> Failure:
    if isinstance(error, WorkerLost | ManagerLost | NeverStarted):
        return describe(error, phase="lost", traceback_limit=0)
    launching = task["status"] == States.pending
    executor = executor_of(task["dfk"], task["executor"])
    if launching and error is getattr(executor, "executor_exception", None):
        error = BadStateException(executor, error)  # whatever ended the executor, it is not about this task
    limit = session.settings.traceback_limit
    return describe(
        error, phase="launch" if launching else "run", traceback_limit=limit, redact=session.redact
    )


def _put_place(event: TryFailed, error: Exception, report: Report | None, live: Live) -> None:
    """Where the try was: as the worker told with its report, or at its start, or as the exception says."""
    if report is not None:
        report.put_place_on(event)
        event.seconds, event.memory, event.cpu = report.seconds, report.memory, report.cpu
        return
    state = live.picture.last_try(event.task if event.task is not None else -1)
    if state is not None:
        event.block, event.manager, event.worker, event.node = (
            state.block,
            state.manager,
            state.worker,
            state.node,
        )
    if isinstance(error, WorkerDied):
        event.manager, event.worker = error.manager or event.manager, error.worker_id
        event.memory = error.memory or None
    if isinstance(error, ManagerLost):
        event.manager = event.manager or error.manager_id.decode()
    event.node = event.node or getattr(error, "hostname", None)
