"""Jars by Maven, kept in a cache outside of the repository."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

POM = Path(__file__).with_name("pom.xml")
PATIENCE = 600  # seconds for a first download


class Missing(Exception):
    """Something that the broker needs is not there."""


def kafka_jars() -> Path:
    """The directory of the jars, filled once for each content of the pom."""
    for program in ("java", "mvn", "openssl"):
        if shutil.which(program) is None:
            raise Missing(f"a Kafka broker needs {program}, which is not on PATH")
    version = hashlib.sha256(POM.read_bytes()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "parsl-diaspora-tests"
    place = cache / f"kafka-{version}"
    if not place.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        _fill(place, cache)
    return place


def _fill(place: Path, cache: Path) -> None:
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        jars = Path(scratch) / "jars"
        command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies"]
        command += [f"-DoutputDirectory={jars}", "-DincludeScope=runtime"]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, cwd=scratch, check=False
        )
        if done.returncode or not jars.is_dir():
            raise Missing(f"Maven did not get the jars of Kafka: {(done.stdout + done.stderr)[-500:]}")
        if not place.is_dir():
            jars.rename(place)
