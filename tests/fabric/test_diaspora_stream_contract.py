"""Streams keep the contract of all fabrics: on a strict stand-in, and on the real thing where it is there."""

from __future__ import annotations

import os
import resource
import uuid
from contextlib import contextmanager

import pytest

from parsl_diaspora.testing.fabric_contract import FabricContract
from tests.fabric.stream_help import limit_files

GROUP_FILE = "MOFKA_GROUP_FILE"


class TestDiasporaFiles(FabricContract):
    can_break = True
    patience = 15.0

    @pytest.fixture
    def fabric_url(self, session_directory, stand_in):
        return f"files+diaspora:{session_directory}?topic={uuid.uuid4().hex[:12]}"

    @contextmanager
    def outage(self, fabric):
        """No file may grow, neither here nor in the process that holds the binding, even if it starts now."""
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        limit_files((0, before[1]))
        yield
        limit_files(before)


class TestMofka(FabricContract):
    can_break = True
    patience = 20.0

    @pytest.fixture
    def fabric_url(self, stream_server):
        self.server = stream_server
        return stream_server.url(uuid.uuid4().hex[:12])

    @contextmanager
    def outage(self, fabric):
        """The server is killed, and started again."""
        self.server.kill()
        yield
        self.server.start()


class TestRealMofka(FabricContract):
    """Needs the real binding and a running server; nothing here can break either."""

    patience = 30.0

    @pytest.fixture
    def fabric_url(self, tmp_path):
        pytest.importorskip("diaspora_stream.api", reason="the binding of the stream API is not installed")
        if not (group_file := os.environ.get(GROUP_FILE)):
            pytest.skip(f"{GROUP_FILE} names no group file of a running Mofka")
        return f"mofka:{group_file}?topic={uuid.uuid4().hex[:12]}&type=legacy&positions={tmp_path}"


class TestRealDiasporaFiles(FabricContract):
    patience = 30.0

    @pytest.fixture
    def fabric_url(self, tmp_path):
        pytest.importorskip("diaspora_stream.api", reason="the binding of the stream API is not installed")
        return f"files+diaspora:{tmp_path}"
