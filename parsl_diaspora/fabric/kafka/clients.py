"""What a client library must do for us, whichever it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Literal, NamedTuple, Protocol, cast

from parsl_diaspora.errors import FabricUnavailable
from parsl_diaspora.fabric.kafka.faults import Fault, Verdict
from parsl_diaspora.fabric.kafka.layout import Part, Record
from parsl_diaspora.fabric.kafka.url import KafkaUrl

OnFailure = Callable[[Record, Verdict, str], None]
OnFault = Callable[[Fault], None]
When = Literal["first", "next"]

_LIBRARIES = {
    "confluent-kafka": ("confluent_kafka", "parsl_diaspora.fabric.kafka.confluent:ConfluentClient"),
    "kafka-python": ("kafka", "parsl_diaspora.fabric.kafka.python:PythonClient"),
}


class Fetched(NamedTuple):
    """What was read from a partition: a record, or a word about the partition.

    Attributes:
        part: topic and partition.
        offset: of the record, or where the word holds.
        value: of the record; None for a word.
        word: ``end`` when all was read, ``range`` when the offset does not exist, ``topic`` when the
        partition
            does not, else empty.
    """

    part: Part
    offset: int
    value: bytes | None
    word: str = ""


class TopicSeen(NamedTuple):
    """A topic as it is now; a topic that is deleted and made again has another id."""

    identity: str
    partitions: int


class Sender(Protocol):
    """Hands records to a cluster. Failures are told from within `poll`."""

    #: Whether callers may hand over in their own threads.
    direct: bool

    def warm(self, topics: Sequence[str], timeout: float) -> None:
        """Learn where the topics are, so that the first record goes at once."""
        ...

    def hand(self, record: Record) -> Verdict:
        """Take a record without waiting: an empty verdict, or why not."""
        ...

    def poll(self, timeout: float) -> None:
        """Wait up to ``timeout`` seconds for something to happen to records."""
        ...

    def outstanding(self) -> int:
        """At least so many records are taken and neither confirmed nor told as failed."""
        ...

    def purge(self) -> None:
        """Let all that is outstanding fail."""
        ...

    def close(self) -> None:
        """Let go of the cluster."""
        ...


class Receiver(Protocol):
    """Reads partitions. For one thread."""

    #: Whether it says of a partition at its end so with each fetch, and not only the first time.
    repeats_ends: bool

    def assign(self, offsets: Mapping[Part, int]) -> None:
        """Read these partitions from these offsets on, beside those that are read already."""
        ...

    def fetch(self, timeout: float, limit: int) -> list[Fetched]:
        """What is there, waiting up to ``timeout`` seconds for the first."""
        ...

    def pause(self, parts: Iterable[Part]) -> None:
        """Fetch nothing more of these for now."""
        ...

    def resume(self, parts: Iterable[Part]) -> None:
        """Fetch them again."""
        ...

    def committed(self, parts: Iterable[Part], timeout: float) -> dict[Part, int]:
        """Positions that the group keeps.

        Raises:
            FabricUnavailable: the cluster does not answer in time.
        """
        ...

    def commit(self, offsets: Mapping[Part, int], timeout: float) -> None:
        """Let the group keep positions.

        Raises:
            FabricUnavailable: the cluster does not keep them in time.
        """
        ...

    def close(self) -> None:
        """Let go of the cluster."""
        ...


class Cluster(Protocol):
    """Topics and their offsets; `FabricUnavailable` is raised when it does not answer in time."""

    def ensure(self, topics: Sequence[str], timeout: float) -> None:
        """Make those topics that are missing, as far as that is allowed."""
        ...

    def look(self, topics: Sequence[str]) -> Callable[[], dict[str, TopicSeen] | None]:
        """Ask for the topics that are there; the answer is None while it is not there yet."""
        ...

    def topics(self, topics: Sequence[str], timeout: float) -> dict[str, TopicSeen]:
        """Those of the topics that are there."""
        ...

    def offsets(self, parts: Iterable[Part], when: When | float, timeout: float) -> dict[Part, int]:
        """The first offset, the next one, or the first from a time on (the next one if there is none)."""
        ...

    def close(self) -> None:
        """Let go of the cluster."""
        ...


class Client(Protocol):
    """Makes the three."""

    def check(self, url: KafkaUrl) -> None:
        """Look at the options that are meant for the library.

        Raises:
            FabricError: it does not know one of them.
        """
        ...

    def sender(self, url: KafkaUrl, failed: OnFailure, fault: OnFault, *, linger: float) -> Sender:
        """A sender; it connects by itself, later."""
        ...

    def receiver(self, url: KafkaUrl, group: str, fault: OnFault) -> Receiver:
        """A receiver; it connects by itself, later."""
        ...

    def cluster(self, url: KafkaUrl) -> Cluster:
        """The cluster; it is asked when a method is called."""
        ...


def client_for(url: KafkaUrl) -> Client:
    """The client that the URL asks for, else the first that is installed.

    Raises:
        FabricUnavailable: none is.
    """
    chosen = url.options.get("client")
    for name, (module, target) in _LIBRARIES.items():
        if name == (chosen or name) and find_spec(module) is not None:
            place, _, client = target.partition(":")
            return cast("Client", getattr(import_module(place), client)())
    hint = "Install one: pip install 'parsl-diaspora[kafka]'."
    message = f"No client library for Kafka is installed ({chosen or ' or '.join(_LIBRARIES)})."
    raise FabricUnavailable(message, url=url.shown, hint=hint)
