"""Run the contract tests and a small program against releases of Parsl, each in a scratch environment.

    python tests/contract/run_versions.py                       # the oldest supported and the newest
    python tests/contract/run_versions.py 2026.9.28 2026.10.5   # these

The oldest is also the one that Globus Compute's endpoint (4.16 to 4.19) asks for. The environments are
made in a temporary directory and removed afterwards. Needs a package index.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
NEWEST = "newest"
EXTRAS = ["pytest", "pytest-timeout", "hypothesis"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("versions", nargs="*", default=[oldest(), NEWEST], help="releases of Parsl")
    verdicts = {version: check(version) for version in parser.parse_args().versions}
    print("\n" + "\n".join(verdicts.values()))
    return 0 if all(verdict.startswith("ok") for verdict in verdicts.values()) else 1


def oldest() -> str:
    """The oldest release that the package says it supports."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r'"parsl>=([\d.]+)"', text)
    assert found is not None
    return found[1]


def check(version: str) -> str:
    """One line that says how it went; the output of what failed stands above."""
    print(f"\n=== Parsl {version}", flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="parsl-versions-") as name:
        directory = Path(name)
        python = make_environment(directory / "environment", version)
        copy = directory / "checkout"  # without the package, so that the installed one is tested
        shutil.copytree(ROOT / "tests", copy / "tests", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        installed = output(python, "-c", "import parsl; print(parsl.__version__)")
        tests = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/contract"]
        program = [str(python), str(copy / "tests" / "contract" / "smoke_program.py"), str(directory)]
        codes = {"contract": run(tests, copy, python), "program": run(program, directory, python)}
    failed = [what for what, code in codes.items() if code]
    verdict = f"failed ({', '.join(failed)})" if failed else "ok"
    return f"{verdict:28} Parsl {installed}, {time.monotonic() - started:.0f} s"


def make_environment(directory: Path, version: str) -> Path:
    """A scratch environment with that release of Parsl and this package; its interpreter."""
    parsl = "parsl" if version == NEWEST else f"parsl=={version}"
    wanted = [parsl, str(ROOT), *EXTRAS]
    python = directory / "bin" / "python"
    uv = Path(sys.executable).with_name("uv")
    if uv.exists():
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, directory], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *wanted], check=True)
    else:
        subprocess.run([sys.executable, "-m", "venv", directory], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
    return python


def run(command: list[str], directory: Path, python: Path) -> int:
    """Run a command where the environment's programs come first; its exit code."""
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    environ = {**os.environ, "PATH": path, "PYTHONPATH": str(directory)}  # interchanges import the tests, too
    return subprocess.run(command, cwd=directory, env=environ, check=False, timeout=600).returncode


def output(python: Path, *arguments: str) -> str:
    return subprocess.run([python, *arguments], capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
