"""Run Parsl's own test suite stock and with this package put in, and show where they differ.

python -m tests.parsl_suite
python -m tests.parsl_suite --config two_htex --dir /tmp/suite test_python_apps
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import parsl

from tests.parsl_suite.campaigns import CONFIGS, run_suite
from tests.parsl_suite.comparison import Comparison
from tests.parsl_suite.outcomes import differences
from tests.parsl_suite.promised import PROMISED


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and tell by the exit code whether anything differs."""
    options = _parser().parse_args(arguments)
    where = Path(options.dir or tempfile.mkdtemp(prefix="parsl-suite-"))
    print(f"Parsl {parsl.__version__}, Python {platform.python_version()}; logs: {where}\n", flush=True)
    comparisons = [
        compare(where / name, name, options.tests, options.option) for name in options.config or CONFIGS
    ]
    print(Comparison.table(comparisons))
    for each in comparisons:
        print(each.details())
    return int(any(each.differ for each in comparisons))


def compare(where: Path, config: str, tests: Sequence[str] = (), options: Sequence[str] = ()) -> Comparison:
    """Run the suite with one configuration, stock and with this package.

    What differs is run once more on both sides: Parsl's suite has tests that pass at one time and fail at
    another. What agrees then is shown as unsteady, not as a difference.

    Args:
        where: a directory for all that they write.
        config: a name of `CONFIGS`.
        tests: files and tests, relative to Parsl's own; all if there are none.
        options: further ones for pytest.
    """
    print(f"{config}: stock", flush=True)
    stock = run_suite(where / "stock", config, tests, options)
    print(f"{config}: resilient", flush=True)
    ours = run_suite(where / "resilient", config, tests, options, resilient=True)
    found = differences(stock, ours)
    promised = [each for each in found if each.test in PROMISED]
    first = [each for each in found if each.test not in PROMISED]
    if not first:
        return Comparison(config, stock, ours, [], [], promised)
    again = [each.test for each in first]
    print(f"{config}: {len(again)} that differ, once more", flush=True)
    stock_again = run_suite(where / "stock-again", config, again, options)
    ours_again = run_suite(where / "resilient-again", config, again, options, resilient=True)
    lasting = {each.test for each in differences(stock_again, ours_again)}
    return Comparison(
        config,
        stock,
        ours,
        [each for each in first if each.test in lasting],
        [each for each in first if each.test not in lasting],
        promised,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.parsl_suite", description=__doc__)
    parser.add_argument("tests", nargs="*", help="files and tests below parsl/tests (default: all)")
    parser.add_argument("--config", action="append", choices=CONFIGS, help="only this one; may be repeated")
    parser.add_argument("--dir", help="where to write (default: a temporary directory)")
    parser.add_argument("--option", action="append", default=[], help="a further option for pytest")
    return parser


if __name__ == "__main__":
    sys.exit(main())
