"""Orders to a running program are signed with its run's key, which lies in the run's directory."""

from __future__ import annotations

import argparse
import getpass
from pathlib import Path
from typing import TypeVar

from parsl_diaspora.cli.find import Found
from parsl_diaspora.errors import FabricError
from parsl_diaspora.events import Event, RunStarted
from parsl_diaspora.fabric.file import FileFabric
from parsl_diaspora.monitoring.run_key import KEY_FILE, RunKey

E = TypeVar("E", bound=Event)


def add_key(parser: argparse.ArgumentParser) -> None:
    """The option that says where the run's key is."""
    parser.add_argument(
        "--key", metavar="FILE", help=f"the run's key (default: {KEY_FILE} in the run's directory)"
    )


def key_of(args: argparse.Namespace, found: Found, started: RunStarted | None) -> RunKey:
    """The key of a run.

    Raises:
        FabricError: it is not to be had here.
    """
    if args.key:
        return RunKey.load(Path(args.key))
    places = _directories(found, started)
    for directory in places:
        if (directory / KEY_FILE).exists():
            return RunKey.load(directory / KEY_FILE)
    looked = " and ".join(str(directory) for directory in places) or "no directory"
    hint = f"Give it with --key FILE: it is {KEY_FILE} in the run's directory, where the program runs."
    message = f"The key of run {found.run} is not in {looked}, and without it no order is obeyed."
    raise FabricError(message, url=found.fabric.url, hint=hint)


def _directories(found: Found, started: RunStarted | None) -> list[Path]:
    beside = [Path(found.fabric.directory).parent] if isinstance(found.fabric, FileFabric) else []
    named = [Path(started.run_dir)] if started is not None and started.run_dir else []
    return list(dict.fromkeys([*beside, *named]))


def signed(event: E, key: RunKey, run: str) -> E:
    """An order of a run, signed."""
    event.run = run
    key.sign(event)
    return event


def user() -> str:
    """Who asks, by default."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a uid without a name, as in a container
        return "somebody"
