"""The two sites of the campaign, as a stock Parsl configuration: two executors on this host's loopback."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
import uuid
import zlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
from parsl import Config, HighThroughputExecutor
from parsl.providers import LocalProvider

from parsl_diaspora.testing.processes import worker_init

SITE_MODULES = Path(__file__).with_name("site_modules")


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """What a site has to offer: blocks, workers in each, and directories with modules of its own."""

    blocks: int
    workers: int
    modules: tuple[Path, ...] = ()


SITES = {
    "alder": Site(blocks=2, workers=2, modules=(SITE_MODULES,)),
    "birch": Site(blocks=1, workers=2),
}


def new_mark() -> str:
    """A token that no other run has."""
    return f"digits-{uuid.uuid4().hex[:12]}"


def site_config(
    sites: Sequence[str] = ("alder", "birch"),
    *,
    mark: str,
    run_dir: str | Path = "runinfo",
    retries: int = 0,
    healthy: bool = False,
) -> Config:
    """A stock Parsl configuration: one executor for each site, on this host's loopback interface.

    Args:
        sites: keys of ``SITES``.
        mark: token of the run, which all its workers carry; :func:`new_mark` makes one.
        run_dir: where Parsl writes its logs.
        retries: how often Parsl tries a failed trial again, at the site where it failed.
        healthy: let every site have ``strokes``, for a run without faults.

    Returns:
        A configuration for one run: Parsl's executors cannot be used twice.

    Raises:
        KeyError: there is no such site.

    Example:
        >>> [executor.label for executor in site_config(mark="run-7").executors]
        ['alder', 'birch']
    """
    return Config(
        executors=[
            _executor(name, _site(name, healthy=healthy), mark, number) for number, name in enumerate(sites)
        ],
        run_dir=str(run_dir),
        retries=retries,
        strategy="none",
        strategy_period=0.5,
    )


def _site(name: str, *, healthy: bool) -> Site:
    site = SITES[name]
    return msgspec.structs.replace(site, modules=(SITE_MODULES,)) if healthy else site


def _executor(name: str, site: Site, mark: str, number: int) -> HighThroughputExecutor:
    port, size = _first_port(mark) + 60 * number, site.blocks
    marked = worker_init(mark, name, _environment(site))
    return HighThroughputExecutor(
        label=name,
        address="127.0.0.1",
        encrypted=True,
        worker_port_range=(port, port + 20),
        interchange_port_range=(port + 20, port + 60),
        interchange_launch_cmd=_interchange(),
        heartbeat_period=1,
        heartbeat_threshold=8,
        max_workers_per_node=site.workers,
        cores_per_worker=0.01,  # these small hosts are shared on purpose
        provider=LocalProvider(init_blocks=size, min_blocks=size, max_blocks=size, worker_init=marked),
    )


def _environment(site: Site) -> dict[str, str]:
    """One thread for each worker, the site's modules, and this very Python, activated or not."""
    paths = [*map(str, site.modules), *_package_root(), *_path("PYTHONPATH")]
    return {
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PATH": os.pathsep.join([sysconfig.get_path("scripts"), *_path("PATH")]),
        "PYTHONPATH": os.pathsep.join(paths),
    }


def _path(variable: str) -> list[str]:
    return [entry for entry in os.environ.get(variable, "").split(os.pathsep) if entry]


def _package_root() -> list[str]:
    """Where workers find this package when it runs from a checkout; nothing when it is installed."""
    return [root] if (root := str(Path(__file__).parents[3])) != sysconfig.get_path("purelib") else []


def _interchange() -> list[str] | None:
    """How to start the interchange if its script is not on PATH; None if Parsl's own way will do."""
    here = [sys.executable, str(Path(sysconfig.get_path("scripts"), "interchange.py"))]
    return None if shutil.which("interchange.py") else here


def _first_port(mark: str) -> int:
    """A run's own range, below the ports that the kernel hands out, so that one run never meets another."""
    return 20_000 + zlib.crc32(mark.encode()) % 80 * 150
