"""The fabrics of this package keep the contract that is published for all."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from parsl_diaspora.fabric import Fabric
from parsl_diaspora.testing.fabric_contract import FabricContract
from tests.fabric.disk import no_file_may_grow, slow_disk


class TestUnnamedMemory(FabricContract):
    reopens = False
    reaches_processes = False
    backlog = 50_000

    @pytest.fixture
    def fabric_url(self):
        return "memory:"


class TestNamedMemory(FabricContract):
    reaches_processes = False
    backlog = 50_000

    @pytest.fixture
    def fabric_url(self):
        return f"memory:{uuid.uuid4().hex}"


class TestFile(FabricContract):
    can_break = True
    can_slow = True

    @pytest.fixture
    def fabric_url(self, tmp_path):
        return f"file:{tmp_path / 'events'}"

    @contextmanager
    def outage(self, fabric: Fabric) -> Iterator[None]:
        """No file of this process may grow: each write fails as on a disk that is full."""
        with no_file_may_grow():
            yield

    def slowness(self, fabric: Fabric) -> AbstractContextManager[None]:
        return slow_disk()
