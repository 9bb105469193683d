"""Places that keep saves: a directory, memory, and an S3-like service on this host.

The service needs ``s3fs`` and ``moto[s3,server]``, which the extra ``test`` does not bring.
"""

from __future__ import annotations

import subprocess
import sys
import uuid

import pytest

from parsl_diaspora.checkpoint import DirectoryLevel, open_level
from parsl_diaspora.checkpoint.store import level as levels
from parsl_diaspora.errors import CheckpointError
from tests.checkpoint.level_contract import LevelContract


class TestDirectory(LevelContract):
    @pytest.fixture
    def open_again(self, tmp_path):
        return lambda: open_level(str(tmp_path / "saves"))


class TestMemory(LevelContract):
    @pytest.fixture
    def open_again(self):
        pytest.importorskip("fsspec")
        url = f"memory://{uuid.uuid4().hex}/saves"
        return lambda: open_level(url)


class TestLocalFilesByFsspec(LevelContract):
    @pytest.fixture
    def open_again(self, tmp_path):
        pytest.importorskip("fsspec")
        return lambda: open_level(f"local://{tmp_path}/saves")


@pytest.fixture(scope="module")
def service():
    """The end point of an S3-like service on loopback."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.mark.slow
class TestObjectStore(LevelContract):
    @pytest.fixture
    def open_again(self, service, monkeypatch):
        import fsspec

        told = {"endpoint_url": service, "key": "me", "secret": "nobody knows"}
        monkeypatch.setitem(fsspec.config.conf, "s3", told)
        bucket = f"saves-{uuid.uuid4().hex[:12]}"
        fsspec.filesystem("s3", skip_instance_cache=True).mkdir(bucket)
        return lambda: open_level(f"s3://{bucket}/deep/prefix")

    def test_a_bucket_that_is_not_there_is_an_error_of_the_operating_system(self, open_again):
        level = open_again()
        level._root = "no-such-bucket/saves"
        with pytest.raises(OSError, match=r"."):
            level.write("key", "a", [b"x"])

    def test_a_service_that_is_gone_is_an_error_of_the_operating_system(self, open_again, monkeypatch):
        import fsspec

        told = {"endpoint_url": "http://127.0.0.1:9", "key": "me", "secret": "x"}
        told["config_kwargs"] = {"retries": {"max_attempts": 0}, "connect_timeout": 1}
        monkeypatch.setitem(fsspec.config.conf, "s3", told)
        level = open_level("s3://bucket/saves")
        level._files.retries = 1
        for ask in (
            lambda: level.names("key"),
            lambda: level.size("key", "a"),
            lambda: level.write("key", "a", [b"x"]),
            lambda: level.write("key", "a", [b"x" * (9 << 20)]),
            lambda: level.read_into("key", "a", 0, memoryview(bytearray(1))),
        ):
            with pytest.raises(OSError, match=r"."):
                ask()
        level.remove("key", ["a"])
        level.remove_all("key")


@pytest.mark.parametrize("url", ["saves", "./saves", "/tmp/a:b/saves", "file:saves", "file:///tmp/saves"])
def test_a_path_is_a_directory_and_needs_no_library(url):
    assert isinstance(open_level(url), DirectoryLevel)


LOOKS = """
from parsl_diaspora.checkpoint import open_level
import sys
open_level("saves")
print("fsspec" in sys.modules)
"""


def test_a_directory_brings_no_library_into_the_process():
    done = subprocess.run([sys.executable, "-c", LOOKS], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_place_that_nothing_here_knows_is_refused_with_what_to_do():
    pytest.importorskip("fsspec")
    with pytest.raises(CheckpointError, match=r"Name a directory") as raised:
        open_level("carrier-pigeon://me:secret@loft/saves")
    assert "secret" not in str(raised.value)


def test_without_the_library_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(CheckpointError, match=r"parsl-diaspora\[checkpoint\]"):
        levels.open_level("s3://bucket/saves")


def test_without_the_library_of_the_service_it_is_named(monkeypatch):
    pytest.importorskip("fsspec")
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(CheckpointError, match=r"Install the library for 's3'"):
        open_level("s3://bucket/saves")


def test_a_password_in_a_url_stays_out_of_words():
    pytest.importorskip("fsspec")
    assert "secret" not in open_level("memory://me:secret@host/saves").url
