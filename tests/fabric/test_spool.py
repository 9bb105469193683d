"""A spool keeps the contract of the fabric behind it, and opens by URL."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from parsl_diaspora.errors import FabricError, UnknownFabric
from parsl_diaspora.events import TaskSubmitted
from parsl_diaspora.fabric import Fabric, Publisher, open_fabric
from parsl_diaspora.fabric.spool import SpooledFabric
from parsl_diaspora.testing.fabric_contract import FabricContract
from tests.fabric.disk import no_file_may_grow, slow_disk


class SpoolContract(FabricContract):
    """A spool in front of another fabric keeps what that one promises, once it has handed on."""

    may_double = True  # what a killed process had handed on last is handed on again
    hands_over = True
    backlog = 50_000
    goes_by_arrival = True

    @pytest.fixture
    def fabric(self, fabric_url: str, tmp_path) -> Iterator[Fabric]:
        self._publishers: list[Publisher] = []
        self._spool = fabric = SpooledFabric(open_fabric(fabric_url), tmp_path / "spool")
        yield fabric
        for publisher in self._publishers:
            publisher.close()
        fabric.close()
        assert list((tmp_path / "spool").glob("*.events")) == []

    def say(self, publisher: Publisher, numbers: range) -> None:
        """As ever, and let the spool hand it on: a reader may begin right afterwards."""
        super().say(publisher, numbers)
        assert self._spool.drain(self.patience)

    def read(self, consumer, count, limit=10_000):
        """What others said; of an unwritable disk, the spool itself says so, too."""
        events = super().read(consumer, count, limit)
        return [event for event in events if not event.source.startswith("spool:")]


class TestSpooledMemory(SpoolContract):
    reaches_processes = False

    @pytest.fixture
    def fabric_url(self):
        return f"memory:{uuid.uuid4().hex}"


class TestSpooledFile(SpoolContract):
    can_break = True
    can_slow = True

    @pytest.fixture
    def fabric_url(self, tmp_path):
        return f"file:{tmp_path / 'events'}"

    @contextmanager
    def outage(self, fabric: Fabric) -> Iterator[None]:
        """The disk of the spool breaks together with the fabric behind."""
        with no_file_may_grow():
            yield

    def slowness(self, fabric: Fabric) -> AbstractContextManager[None]:
        return slow_disk()


# --- opening --------------------------------------------------------------------------------------------


def test_url_names_directory_limit_and_the_fabric_behind(tmp_path):
    fabric = open_fabric(f"spool:{tmp_path}/spool?limit=200MB&to=file:{tmp_path}/events")
    assert (fabric.directory, fabric.limit_bytes) == (tmp_path / "spool", 200_000_000)
    assert fabric.url == f"file:{tmp_path}/events"
    assert fabric.node_url == f"spool:{tmp_path}/spool?limit=200000000&to=file:{tmp_path}/events"
    fabric.close()


@pytest.mark.parametrize(("text", "size"), [("65536", 65_536), ("2gb", 2 * 10**9), ("64 kB", 64_000)])
def test_limit_may_have_a_unit(tmp_path, text, size):
    assert open_fabric(f"spool:{tmp_path}?limit={text}&to=memory:").limit_bytes == size


@pytest.mark.parametrize(
    ("option", "order"),
    [
        ("", ("resources", "tasks", "failures", "control")),
        ("drop=resources,control&", ("resources", "control")),
        ("drop=&", ()),
    ],
)
def test_url_says_which_topics_go_first_and_nodes_get_the_same_rule(tmp_path, option, order):
    fabric = open_fabric(f"spool:{tmp_path}/spool?{option}to=file:{tmp_path}/events")
    assert fabric.drop_order == order
    assert open_fabric(fabric.node_url).drop_order == order


def test_everything_behind_to_belongs_to_the_other_url(tmp_path):
    fabric = open_fabric(f"spool:{tmp_path}?to=memory:a?limit=3&to=b")
    assert fabric.url == "memory:a?limit=3&to=b"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("spool:", "needs a directory"),
        ("spool:/tmp/x", "behind 'to='"),
        ("spool:/tmp/x?to=", "behind 'to='"),
        ("spool:?to=memory:", "needs a directory"),
        ("spool:/tmp/x?size=3&to=memory:", "no option 'size'"),
        ("spool:/tmp/x?limit=much&to=memory:", "'much' is no size"),
        ("spool:/tmp/x?drop=weather,tasks&to=memory:", "weather is no topic; there are tasks, resources"),
        ("spool:/tmp/x?drop=tasks,tasks&to=memory:", "names a topic twice"),
        ("spool:/tmp/x?limit=1&to=memory:", "at least 16384 bytes, not 1"),
        ("spool:/tmp/x?to=spool:/tmp/y?to=memory:", "another spool"),
        ("spool:~nobody-of-that-name/x?to=memory:", "home directory"),
    ],
)
def test_url_that_is_no_spool_says_why_and_how_to_write_it(url, message):
    with pytest.raises(FabricError, match=message) as caught:
        open_fabric(url)
    assert "limit=" in caught.value.hint


def test_fabric_behind_that_nobody_knows_is_said_at_once(tmp_path):
    with pytest.raises(UnknownFabric, match="'carrier'"):
        open_fabric(f"spool:{tmp_path}?to=carrier:pigeon")


def test_secrets_of_the_fabric_behind_are_not_repeated_in_errors():
    with pytest.raises(FabricError) as caught:
        open_fabric("spool:/tmp/x?limit=odd&to=kafka://me:hunter2@host:9092")
    assert "hunter2" not in repr(caught.value) + str(caught.value) + caught.value.url


def test_fabric_behind_that_is_not_there_yet_is_opened_when_it_is(tmp_path):
    (tmp_path / "events").write_text("something in its place")
    fabric = open_fabric(f"spool:{tmp_path}/spool?to=file:{tmp_path}/events")
    publisher = fabric.publisher("s")
    publisher.publish(TaskSubmitted(task=1))
    assert publisher.flush().safe == 1
    assert not fabric.drain(0.05)
    (tmp_path / "events").unlink()
    assert fabric.drain(10)
    assert [event.task for event in fabric.consumer("reader").poll()] == [1]
    publisher.close()
    fabric.close()
