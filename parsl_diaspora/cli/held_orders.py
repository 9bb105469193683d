"""``parsl-diaspora retry`` and ``fail``, and ``hold`` and ``release`` of tasks of a running program."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from parsl_diaspora.cli.find import LAST, Found, add_where, find_run, open_logs
from parsl_diaspora.cli.signing import add_key, key_of, signed, user
from parsl_diaspora.cli.summary import check_running
from parsl_diaspora.events import Event, OrderAnswered, TaskActionAsked
from parsl_diaspora.fabric.stamp import default_source
from parsl_diaspora.state import Picture
from parsl_diaspora.state.reading import drain

CONSUMER = "orders"
TIMEOUT = 10.0
NOT_DONE = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``retry`` and ``fail``."""
    parser.add_argument("run_id", metavar="RUN", nargs="?", default=LAST, help="which run (default: last)")
    add_tasks(parser.add_mutually_exclusive_group(required=True))
    if parser.prog.endswith(" retry"):
        parser.add_argument("--executor", metavar="LABEL", help="where the next try goes")
    parser.add_argument("--reason", metavar="TEXT", default="", help="why, for the log")
    parser.add_argument("--owner", metavar="NAME", default=user(), help="who asks (default: you)")
    add_key(parser)
    add_wait(parser)
    add_where(parser)


def add_tasks(which: Any) -> None:
    """The options that name tasks."""
    which.add_argument("--task", metavar="TASK", type=int, help="a task, by its number in Parsl's log")
    which.add_argument("--func", metavar="APP", help="all tasks of an app, by its name")
    which.add_argument(
        "--class", metavar="CLASS", dest="failure_class", help="all tasks of a failure class, as memory"
    )


def add_wait(parser: argparse.ArgumentParser) -> None:
    """How long an answer is waited for."""
    parser.add_argument(
        "--wait",
        type=float,
        default=TIMEOUT,
        metavar="SECONDS",
        help="for the program's answer about tasks (default: %(default)g)",
    )


def names_tasks(args: argparse.Namespace) -> bool:
    """Whether tasks are meant, not a place."""
    named = (getattr(args, name, None) for name in ("task", "func", "failure_class"))
    return any(each is not None for each in named)


def run(args: argparse.Namespace) -> int:
    """Ask the program, and tell what it answers."""
    return ask_program(args, _event(args))


def ask_program(args: argparse.Namespace, order: TaskActionAsked) -> int:
    """Sign an order, say it, and print what the program answers.

    Returns:
        The exit status.

    Raises:
        NotFound: there is no such run, or it is over.
        FabricError: the run's key is not to be had here.
    """
    found = find_run(open_logs(args), args.run_id)
    asking = Asking(found)
    try:
        asking.look()
        asking.check(args.command)
        event = signed(order, key_of(args, found, asking.picture.started), found.run)
        asking.ask(event, args.wait)
    finally:
        asking.close()
    answer = asking.answer
    words = answer.why if answer is not None else "no program has answered"
    sys.stdout.write(f"{words[:1].upper()}{words[1:]}.\n")
    return 0 if answer is not None and answer.accepted else NOT_DONE


class Asking:
    """Says an order on a run's fabric, and follows what comes of it.

    Args:
        found: the run.

    Attributes:
        picture: of the run.
        answer: the program's, once it has come.
    """

    def __init__(self, found: Found) -> None:
        self._found = found
        self._order = ""
        self._consumer = found.fabric.consumer(CONSUMER, start="earliest")
        self.picture = Picture(found.run)
        self.answer: OrderAnswered | None = None

    def look(self, timeout: float = 0.0) -> None:
        """Hear what there is to be heard."""
        for event in self._consumer.poll(timeout) if timeout else drain(self._consumer):
            self._hear(event)

    def _hear(self, event: Event) -> None:
        self.picture.fold(event)
        if isinstance(event, OrderAnswered) and self._order and event.order == self._order:
            self.answer = event

    def check(self, action: str) -> None:
        """Find out whether anybody is there to ask.

        Raises:
            NotFound: the run is over.
        """
        check_running(self.picture, self._found.fabric.url, f"{action} is for tasks of a running program")

    def ask(self, event: TaskActionAsked, patience: float) -> None:
        """Say the order, and wait for the answer for so many seconds."""
        self._order = event.order
        publisher = self._found.fabric.publisher(default_source("cli"), immediate=True)
        try:
            deadline = time.monotonic() + patience
            publisher.publish(event)
            publisher.flush(patience)
            while self.answer is None and (left := deadline - time.monotonic()) > 0:
                self.look(left)
        finally:
            publisher.close()

    def close(self) -> None:
        """Read no more."""
        self._consumer.close()


def _event(args: argparse.Namespace) -> TaskActionAsked:
    return TaskActionAsked(
        task=args.task,
        func=args.func or "",
        failure_class=args.failure_class or "",
        action=args.command,
        to=getattr(args, "executor", None) or "",
        reason=args.reason,
        owner=args.owner,
    )
