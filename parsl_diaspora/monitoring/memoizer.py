"""Each launch and each end of a task, through Parsl's memoizer seam."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from parsl.dataflow.memoization import BasicMemoizer, Memoizer

from parsl_diaspora.errors import TaskCancelled
from parsl_diaspora.executors.launch import launching
from parsl_diaspora.failures import is_infrastructure
from parsl_diaspora.monitoring.session import Session


class LifecycleMemoizer(Memoizer):
    """The program's memoizer, with the session told of what passes through.

    Args:
        inner: the program's memoizer, or Parsl's default one.
        session: of the run.
    """

    def __init__(self, inner: Memoizer, session: Session) -> None:
        self.inner = inner
        self.session = session

    def __getattr__(self, name: str) -> Any:
        """What the program reads of its memoizer through Parsl, as ``dfk.memoizer.checkpoint_period``."""
        if name == "inner":  # while it is not set yet, as during unpickling
            raise AttributeError(name)
        return getattr(self.inner, name)

    def start(self, *, run_dir: str, config_run_dir: str) -> None:
        """Parsl starts up."""
        self.session.open(run_dir)
        self.inner.start(run_dir=run_dir, config_run_dir=config_run_dir)

    def check_memo(self, task: Any) -> Future[Any] | None:
        """Parsl is about to launch a try, in this thread."""
        launching.launch = launching.task = launching.adopted = None
        self.session.cancels.refuse(task)
        self.session.orders.know(task["dfk"])
        if (stand_in := self.session.parked.answer(task)) is not None:
            return stand_in
        if (known := self.inner.check_memo(task)) is not None:
            return known
        try:
            self.session.tries.launch(task)
        except Exception as error:  # noqa: BLE001 - promise 1: the launch goes on as stock
            self.session.absorb("launch hook", error)
        return None

    def update_memo_result(self, task: Any, r: Any) -> None:
        """A task ended with a result."""
        self.session.cancels.pass_once(task, None)
        if not self.session.parked.is_substituted(task):
            self.inner.update_memo_result(task, r)
        try:
            self.session.tries.succeeded(task)
        except Exception as error:  # noqa: BLE001 - promise 1
            self.session.absorb("result hook", error)
        self.session.parked.forget(task)

    def update_memo_exception(self, task: Any, e: BaseException) -> None:
        """A task ended with an exception."""
        self.session.cancels.pass_once(task, e)
        try:
            self.session.tries.tell_root(task, e)
        except Exception as error:  # noqa: BLE001 - promise 1: it stays as Parsl has put it
            self.session.absorb("words of a failed dependency", error)
        if not isinstance(e, TaskCancelled) and not self._is_lost_to_infrastructure(task):
            self.inner.update_memo_exception(task, e)
        try:
            self.session.tries.failed(task, e)
        except Exception as error:  # noqa: BLE001 - promise 1
            self.session.absorb("exception hook", error)
        self.session.parked.forget(task)

    def close(self) -> None:
        """Parsl shuts down."""
        try:
            self.session.end()
        except Exception as error:  # noqa: BLE001 - promise 1
            self.session.absorb("end of run", error)
        self.inner.close()

    def _is_lost_to_infrastructure(self, task: Any) -> bool:
        """Parsl's memoizer would answer the same call with the same loss, at once and for ever."""
        live = self.session.live
        method = getattr(type(self.inner), "update_memo_exception", None)
        if live is None or method is not BasicMemoizer.update_memo_exception:
            return False  # the program's own code decides for itself
        last = live.picture.last_try(task["id"])
        return last is not None and is_infrastructure(last.failure_class)
