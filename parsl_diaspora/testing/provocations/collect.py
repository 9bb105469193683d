"""Make the labelled corpus: ``python -m parsl_diaspora.testing.provocations.collect OUT``.

Writes ``provoked.jsonl``, the evidence that real provocations leave in the log of a real run on this machine,
and, with ``--wording FILE``, ``train.jsonl`` and ``test.jsonl`` from templates. Paths of this machine are
replaced.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
import parsl
from parsl import Config, HighThroughputExecutor
from parsl.providers import LocalProvider

import parsl_diaspora
from parsl_diaspora import open_fabric, resilient
from parsl_diaspora.failures.model.corpus import Example, write_examples
from parsl_diaspora.state import read_events
from parsl_diaspora.testing.provocations.provocation import Provocation
from parsl_diaspora.testing.provocations.registry import PROVOCATIONS
from parsl_diaspora.testing.provocations.running import Outcome, outcomes, start
from parsl_diaspora.testing.provocations.wording import SPLITS, examples, read_wordings

PATIENCE = 120.0
LAST_BYTES = 2_000


def main(argv: Sequence[str] | None = None) -> int:
    """Write the corpus."""
    parser = argparse.ArgumentParser(prog="collect", description=str(__doc__).partition("\n")[0])
    parser.add_argument("out", type=Path, metavar="OUT", help="directory for the files")
    parser.add_argument("--wording", type=Path, metavar="FILE", help="templates, as in tests/data/failures")
    parser.add_argument("--no-run", action="store_true", help="provoke nothing, fill in the templates only")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    if args.wording:
        wordings = read_wordings(args.wording)
        for split in SPLITS:
            write_examples(args.out / f"{split}.jsonl", examples(wordings, split))
    if not args.no_run:
        write_examples(args.out / "provoked.jsonl", provoke())
    return 0


def provoke() -> list[Example]:
    """Run all provocations that this machine can do as one program, and label what they leave in its log."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        url = f"file:{directory / 'log'}"
        kernel = parsl.load(resilient(_config(directory), fabric=url, max_tries=1))
        try:
            tasks = _run(directory)
        finally:
            kernel.cleanup()
            parsl.clear()
        scrub = _scrubber(directory)
        found = outcomes(read_events(open_fabric(url)), tasks)
        return [_example(each, directory, scrub) for each in found if _is_told(each)]


def _is_told(outcome: Outcome) -> bool:
    """Without a word of how its worker ended, a crash cannot be told from a kill: nothing to learn from."""
    return not outcome.provocation.deadly or outcome.failure.exit_code is not None


def _run(directory: Path) -> dict[int, Provocation]:
    """Run those that leave their worker alive, then, one by one, those that do not."""
    tasks: dict[int, Provocation] = {}
    possible = [each for each in PROVOCATIONS.values() if not each.in_group and each.possible()]
    for batch in ([each for each in possible if not each.deadly], *([e] for e in possible if e.deadly)):
        futures = {start(each, directory / "scratch"): each for each in batch}
        for future, each in futures.items():
            future.exception(timeout=PATIENCE)
            tasks[future.tid] = each  # type: ignore[attr-defined]
    return tasks


def _config(directory: Path) -> Config:
    source = str(Path(parsl_diaspora.__file__).parents[1])
    provider = LocalProvider(
        init_blocks=1, min_blocks=1, max_blocks=1, worker_init=f"export PYTHONPATH={source}:$PYTHONPATH"
    )
    pool = HighThroughputExecutor(
        label="provoked",
        address="127.0.0.1",
        encrypted=True,
        max_workers_per_node=2,
        cores_per_worker=0.01,
        heartbeat_period=30,  # the manager's own look at its workers says less than their supervisor
        heartbeat_threshold=120,
        provider=provider,
    )
    return Config(executors=[pool], run_dir=str(directory / "runinfo"), strategy="none", strategy_period=0.5)


def _example(outcome: Outcome, directory: Path, scrub: Callable[[str], str]) -> Example:
    failure, provocation = outcome.failure, outcome.provocation
    stderr = failure.stderr
    if provocation.bash and not stderr:
        with suppress(OSError):
            written = (directory / "scratch" / provocation.name / "stderr").read_bytes()
            stderr = written[-LAST_BYTES:].decode(errors="replace")
    failure = msgspec.structs.replace(
        failure,
        message=scrub(failure.message),
        traceback=scrub(failure.traceback),
        filename=scrub(failure.filename),
        stderr=scrub(stderr),
    )
    return Example(label=provocation.failure_class, failure=failure, origin=f"provoked: {provocation.name}")


def _scrubber(directory: Path) -> Callable[[str], str]:
    """A function that replaces what belongs to this machine."""
    places = {
        str(directory): "/run",
        str(Path(parsl_diaspora.__file__).parents[1]): "/source",
        sys.prefix: "/environment",
        sys.base_prefix: "/python",
        str(Path.home()): "/home/user",
        os.path.realpath(sys.executable): "/python/bin/python",
        platform.node(): "node",
    }

    def scrub(text: str) -> str:
        for place in sorted(filter(None, places), key=len, reverse=True):
            text = text.replace(place, places[place])
        return text

    return scrub


if __name__ == "__main__":
    sys.exit(main())
