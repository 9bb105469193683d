"""An executor of the High Throughput kind whose interchange may be replaced while it runs.

Here is all that rests on how Parsl's executor and its interchange find each other; when to replace it is
decided in `parsl_diaspora.executors.keeping.interchange`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from functools import cached_property
from typing import Any

from parsl.executors.high_throughput import zmq_pipes
from parsl.executors.high_throughput.executor import HighThroughputExecutor
from parsl.jobs.states import TERMINAL_STATES, JobState, JobStatus

from parsl_diaspora.clock import Clock, SystemClock
from parsl_diaspora.errors import DiasporaError
from parsl_diaspora.events import Event
from parsl_diaspora.executors.agent.agent import NODE_LINK
from parsl_diaspora.executors.gate import ResultGate, complete
from parsl_diaspora.executors.keeping.commands import NO_ANSWER, Commands
from parsl_diaspora.executors.keeping.interchange import InterchangeKeeper
from parsl_diaspora.executors.keeping.pipes import Inbox, Outbox
from parsl_diaspora.executors.keeping.stranded import Stranded
from parsl_diaspora.executors.launch import Report
from parsl_diaspora.executors.link import Link
from parsl_diaspora.executors.pool_provider import room, why_no_blocks
from parsl_diaspora.settings import Settings
from parsl_diaspora.state import Live

logger = logging.getLogger(__name__)

LAST_ASK = 1.0
_NO_BLOCKS = ("diaspora-node",)  # what supervisors, which run no tasks, register as their block


class KeptInterchange(HighThroughputExecutor):
    """A stock executor with a keeper of its interchange.

    Attributes:
        link: the run that it is part of; None when it is used on its own.
    """

    link: Link | None = None
    gate: ResultGate | None = None
    _live: Live | None = None
    _keeper: InterchangeKeeper | None = None
    _stranded: Stranded | None = None
    _outbox: Outbox
    _inbox: Inbox
    _commands: Commands
    _lacking: frozenset[str] = frozenset()
    _owed_blocks = 0
    _taken: tuple[Future[Any], ...] = ()
    _connected: tuple[str, ...] = ()
    _known_managers: tuple[dict[str, Any], ...] = ()

    @cached_property
    def _sending(self) -> threading.Lock:
        return threading.Lock()

    @cached_property
    def _owing(self) -> threading.Lock:
        return threading.Lock()

    # --- Parsl assigns its three pipes in start(); these seams put ours in front of them ---

    @property
    def incoming_q(self) -> Any:
        """Parsl's queue of results, behind the gate."""
        return self.gate

    @incoming_q.setter
    def incoming_q(self, queue: Any) -> None:
        if self.gate is None:
            self._inbox = Inbox(queue)
            self.gate = ResultGate(self._inbox, self.tasks, self._on_report)
        else:
            self._inbox.replace(queue)

    def _on_report(self, future: Any, report: Report) -> bool:
        return False

    @property
    def outgoing_q(self) -> Any:
        """Parsl's queue of tasks, which never blocks."""
        return self._outbox

    @outgoing_q.setter
    def outgoing_q(self, queue: Any) -> None:
        if hasattr(self, "_outbox"):
            self._outbox.replace(queue)
        else:
            self._outbox = Outbox(queue)

    @property
    def command_client(self) -> Any:
        """Parsl's command client, with time-outs."""
        return self._commands

    @command_client.setter
    def command_client(self, client: Any) -> None:
        if hasattr(self, "_commands"):
            self._commands.replace(client)
        else:
            self._commands = Commands(client, lambda: self.reachable, self._clock)

    # --- life ---

    def start(self) -> None:
        """Start as stock does, and the keeper."""
        _ = self._sending, self._owing  # made by one thread, before there are others
        self._asked_port = self.worker_port
        self._launch_form = self.launch_cmd  # stock writes the numbers of this interchange into it
        restarts = 0 if "interchange" in self._lacking else self._settings.interchange_restarts
        super().start()
        self._stranded = Stranded(self._clock, self._settings.block_wait)
        self._keeper = InterchangeKeeper(
            self, self._clock, silence=self._settings.interchange_silence, restarts=restarts
        )
        self._keeper.start()

    def stop_keeping(self) -> None:
        """What ends from now on ends on purpose."""
        if self._keeper is not None:
            self._keeper.stop()

    def shutdown(self, timeout: float = 10.0) -> None:
        """Shut down as stock does; an interchange that does not answer is not waited for."""
        self.stop_keeping()
        if self.interchange_proc is not None and not self._answers_before_it_ends():
            self.interchange_proc.kill()
        super().shutdown(timeout)

    def _answers_before_it_ends(self) -> bool:
        commands = getattr(self, "_commands", None)  # there is none before the executor is started
        return commands is None or not commands.can_time_out or commands.ask(LAST_ASK)

    @property
    def _settings(self) -> Settings:
        return self.link.settings if self.link is not None else Settings()

    @cached_property
    def _clock(self) -> Clock:
        return self.link.clock if self.link is not None else SystemClock()

    @property
    def known_managers(self) -> Sequence[dict[str, Any]]:
        """Managers as they were last listed."""
        return self._known_managers

    @property
    def why_no_blocks(self) -> str:
        """What is known of why there are none, in words."""
        return why_no_blocks(self)

    # --- what the keeper asks for ---

    @property
    def reachable(self) -> bool:
        """The interchange's process is there."""
        return self.interchange_proc is not None and self.interchange_proc.poll() is None

    @property
    def is_ending(self) -> bool:
        """Parsl is shutting the executor down."""
        return bool(self._result_queue_thread_exit.is_set())

    @property
    def commands(self) -> Commands:
        """What the interchange is asked through."""
        return self._commands

    def say(self, event: Event) -> None:
        """Say an event, if there is a run to say it in."""
        if self._live is not None:
            self._live.say(event)

    def absorb(self, part: str, error: BaseException) -> None:
        """Count a fault of our own."""
        if self._live is not None:
            self._live.absorb(part, error)
        else:
            logger.warning("parsl_diaspora: %s met a fault: %s", part, error, exc_info=error)

    def look_after_tasks(self) -> None:
        """Send what could not be sent at once, start blocks that are owed, end tasks that wait in vain."""
        self._outbox.flush()
        self._look_at_result_thread()
        self._start_owed_blocks()
        if self._stranded is not None:
            self._stranded.look(self)

    def _look_at_result_thread(self) -> None:
        thread = self._result_queue_thread
        if thread is None or thread.is_alive() or self.is_ending or self.bad_state_is_set:
            return
        self.absorb(f"results of {self.label}", RuntimeError("the thread that takes them in has ended"))
        self._result_queue_thread = None
        self._start_result_queue_thread()

    @property
    def is_without_blocks(self) -> bool:
        """Tasks had to be ended as there was no block for them, and there has been none since."""
        return self._stranded is not None and self._stranded.found

    def take_back_tasks(self) -> int:
        """Hold what is submitted from now on; how many tasks are with the interchange."""
        with self._sending:
            waiting = self._outbox.hold()
            numbers = [number for number in list(self.tasks) if number not in waiting]
            taken = [self.tasks.pop(number, None) for number in numbers]
        self._taken = tuple(future for future in taken if future is not None)
        return len(self._taken)

    def end_taken_tasks(self, make_error: Callable[[], DiasporaError]) -> None:
        """End the tasks that were taken back."""
        taken, self._taken = self._taken, ()
        for future in taken:
            complete(future, None, make_error())

    def end_all_tasks(self, make_error: Callable[[], DiasporaError], why: str) -> None:
        """End all tasks, those that wait here too; the interchange is replaced if it has some to forget."""
        with self._sending:
            waiting = self._outbox.hold()
            self._outbox.forget(waiting)
            taken = [self.tasks.pop(number, None) for number in list(self.tasks)]
        if self._keeper is not None and len(taken) > len(waiting):
            self._keeper.renew(why)
        else:
            self._outbox.release()
        for future in taken:
            if future is not None:
                complete(future, None, make_error())

    def start_interchange_again(self) -> None:
        """Start a new interchange as stock's start() does, give old blocks back, and send what was held."""
        self._renew_pipes()
        try:
            self._start_local_interchange_process()
        except Exception:
            if self.interchange_proc is not None:
                self.interchange_proc.kill()
            raise
        self.launch_cmd = self._launch_form
        self.initialize_scaling()
        self._give_back_old_blocks()
        self._known_managers = ()
        self._outbox.release()

    def _renew_pipes(self) -> None:
        where = self.loopback_address, self.interchange_port_range, self.cert_dir
        self.outgoing_q = zmq_pipes.TasksOutgoing(*where)
        self.incoming_q = zmq_pipes.ResultsIncoming(*where)
        self.command_client = zmq_pipes.CommandClient(*where)
        self.interchange_proc, self.worker_port = None, self._asked_port

    # --- what stock asks the interchange, with an answer in every case ---

    def connected_managers(self) -> list[dict[str, Any]]:
        """As stock; none when the interchange is dead, those last known while it does not answer."""
        try:
            found = super().connected_managers() if self.reachable else []
        except NO_ANSWER:
            return [dict(each) for each in self._known_managers]
        self._known_managers = tuple(each for each in found if not each["manager"].startswith(NODE_LINK))
        self._note_connected(each["block_id"] for each in self._known_managers)
        return [dict(each) for each in self._known_managers]

    def connected_managers_packages(self) -> dict[str, dict[str, str]]:
        """As stock; none while there is no answer."""
        try:
            found = super().connected_managers_packages() if self.reachable else {}
        except NO_ANSWER:
            return {}
        return {manager: each for manager, each in found.items() if not manager.startswith(NODE_LINK)}

    def connected_blocks(self) -> list[str]:
        """As stock, over all interchanges that there were; those last known while there is no answer."""
        try:
            found = super().connected_blocks() if self.reachable else []
        except NO_ANSWER:
            found = []
        self._note_connected(found)
        return list(self._connected)

    def _note_connected(self, blocks: Iterable[str]) -> None:
        """Remember them beyond their interchange, which may die before it is asked again."""
        if new := set(blocks).difference(self._connected, _NO_BLOCKS):
            self._connected = (*self._connected, *sorted(new))

    def _hold_manager(self, manager_id: str) -> None:
        try:
            super()._hold_manager(manager_id)
        except NO_ANSWER as error:
            logger.warning("Manager %s could not be held: %s.", manager_id, error)

    # --- blocks ---

    def scale_out_facade(self, n: int) -> list[str]:
        """As stock; while there is no interchange that blocks could find, they are started later."""
        keeper = self._keeper
        if keeper is not None and keeper.is_down:
            self._owe_blocks(n)
            return []
        number = keeper.number if keeper is not None else 0
        allowed = room(self.provider, n)
        if allowed < n and not self.blocks_to_job_id:
            self._owe_blocks(n - allowed)  # the first blocks are asked for once; all others again and again
        blocks = list(super().scale_out_facade(allowed)) if allowed > 0 else []
        if keeper is not None and (keeper.is_down or keeper.number != number):
            self.give_back(blocks, "it was started for an interchange that is gone")
            self._owe_blocks(len(blocks))
            return []
        return blocks

    def give_back(self, blocks: Iterable[str], why: str) -> None:
        """End blocks on purpose, so that nobody takes them for failed."""
        blocks = list(blocks)
        if "blocks" not in self._lacking:
            given = {block: JobStatus(JobState.SCALED_IN, why) for block in blocks}
            self._simulated_status.update(given)
            self._status.update(given)
            self.send_monitoring_info(given)
        for block in blocks:
            try:
                self.end_block(block)
            except Exception as error:  # noqa: BLE001 - a batch system that refuses must not keep the others
                self.absorb(f"ending of block {block} of {self.label}", error)

    def end_block(self, block: str) -> None:
        """End one block's job; the block error handler sees it as lost and replaces it."""
        job = self.blocks_to_job_id.get(block)
        if job is not None and self.provider is not None:
            self.provider.cancel([job])

    @property
    def active_blocks(self) -> list[str]:
        """Blocks that run or wait to run."""
        statuses = list(
            self.status_facade.items()
        )  # Parsl's poller may have put back what it began to ask before
        given = dict(self._simulated_status) if "blocks" not in self._lacking else {}
        return [block for block, each in statuses if given.get(block, each).state not in TERMINAL_STATES]

    def _give_back_old_blocks(self) -> None:
        old = self.active_blocks
        self._owe_blocks(len(old))
        self.give_back(old, "its interchange is gone")

    def _owe_blocks(self, count: int) -> None:
        with self._owing:
            self._owed_blocks = max(self._owed_blocks, count)

    def _start_owed_blocks(self) -> None:
        if not self._owed_blocks or self.provider is None:
            return
        with self._owing:
            owed, self._owed_blocks = self._owed_blocks, 0
        wanted = min(owed, self.provider.max_blocks - len(self.active_blocks))
        allowed = room(self.provider, wanted)
        if allowed < wanted:
            self._owe_blocks(wanted - allowed)
        if allowed > 0:
            self.scale_out_facade(allowed)
