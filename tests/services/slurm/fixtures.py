"""A Slurm as a fixture: one for all tests of a module."""

from __future__ import annotations

import os

import pytest

from tests.services.kafka.fixtures import VARIABLE, missing
from tests.services.slurm.cluster import SlurmCluster
from tests.services.slurm.programs import Missing


@pytest.fixture(scope="module")
def slurm_module(tmp_path_factory):
    """A real Slurm, or the reason why there is none."""
    try:
        required = os.environ.get(VARIABLE) == "required"
        cluster = SlurmCluster(tmp_path_factory.mktemp("slurm"), install=required)
    except Missing as error:
        yield error
        return
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def slurm(slurm_module, monkeypatch):
    """The module's Slurm: every node is idle and no job is there, whatever the test before did to it.

    Its programs are what this process, and what it starts, reach.
    """
    if isinstance(slurm_module, Missing):
        missing(slurm_module)
    for name, value in slurm_module.env.items():
        monkeypatch.setenv(name, value)
    slurm_module.start()
    return slurm_module
