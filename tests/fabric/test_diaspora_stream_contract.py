"""Streams keep the contract of all fabrics: on a strict stand-in, and on the real thing where it is there."""

from __future__ import annotations

import os
import resource
import uuid
from contextlib import contextmanager
from importlib.util import find_spec

import pytest

from parsl_diaspora.testing.fabric_contract import FabricContract
from tests.fabric.stream_help import limit_files

GROUP_FILE = "MOFKA_GROUP_FILE"


class TestDiasporaFiles(FabricContract):
    can_break = True
    last_words = 1.0
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
    last_words = 1.0
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


BINDING = find_spec("diaspora_stream") is not None
NO_BINDING = "the binding of the stream API is not installed"
NO_SERVER = f"{GROUP_FILE} names no group file of a running Mofka"


class TestRealMofka(FabricContract):
    """With the real binding and a running server; nothing here can break either."""

    __test__ = BINDING and GROUP_FILE in os.environ
    patience = 30.0

    @pytest.fixture
    def fabric_url(self, tmp_path):
        place = f"mofka:{os.environ[GROUP_FILE]}"
        return f"{place}?topic={uuid.uuid4().hex[:12]}&type=legacy&positions={tmp_path}"


class TestRealDiasporaFiles(FabricContract):
    """With the real binding."""

    __test__ = BINDING
    patience = 30.0

    @pytest.fixture
    def fabric_url(self, tmp_path):
        return f"files+diaspora:{tmp_path}"


@pytest.mark.skipif(not BINDING, reason=NO_BINDING)
@pytest.mark.skipif(BINDING and GROUP_FILE not in os.environ, reason=NO_SERVER)
def test_contract_is_kept_on_the_real_thing_as_well():
    assert TestRealMofka.__test__
    assert TestRealDiasporaFiles.__test__
