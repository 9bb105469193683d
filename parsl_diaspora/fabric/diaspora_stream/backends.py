"""What is different between the drivers of the stream API."""

from __future__ import annotations

from typing import Any

import msgspec

MOFKA, FILES = "mofka", "files+diaspora"


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """How a driver behaves, and how much it can take.

    Attributes:
        scheme: of the fabric's URL.
        batch_events: events that are pushed before they are flushed and confirmed.
        batch_bytes: bytes of metadata and data in such a batch; an event that has more goes alone.
        inline_bytes: bytes of metadata that one event may have. What is larger goes into its data.
        pull_batch: events that the server sends at once.
        acknowledges: it keeps a cursor for each name, in the server's memory.
        targets: a consumer can be bound to one partition, so that ids of several are told apart.
        dies: a server is behind it, which can die or freeze without a word. Then a heartbeat is pushed when
            nothing else is, and handles that failed stay dead: the process that holds them is replaced.
        environment: variables for the process that holds the binding, unless they are set.
    """

    scheme: str
    batch_events: int
    batch_bytes: int
    inline_bytes: int
    pull_batch: int = 64
    acknowledges: bool = False
    targets: bool = False
    dies: bool = False
    environment: dict[str, str] = {}


#: Mofka's `default` partitions have pools of 64 KiB for the metadata of a batch, and of 4 KiB for the
#: descriptors of what a consumer gets at once; a server that runs out of them aborts. Its RPC layer tries for
#: 120 s, with the interpreter stopped, before it says that the server is gone: 3 s will do.
_MOFKA = Traits(
    scheme=MOFKA,
    batch_events=64,
    batch_bytes=46_000,
    inline_bytes=40_000,
    acknowledges=True,
    targets=True,
    dies=True,
    environment={"NA_OFI_OP_RETRY_TIMEOUT": "3000"},
)
_FILES = Traits(scheme=FILES, batch_events=1024, batch_bytes=1_000_000, inline_bytes=40_000)

TRAITS = {traits.scheme: traits for traits in (_MOFKA, _FILES)}


class TopicSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A topic, and how to make it.

    Attributes:
        name: of the topic.
        create: make it if it is missing.
        options: for making it.
    """

    name: str
    create: bool = True
    options: dict[str, Any] = {}


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where events go: all that the process which holds the binding needs to know.

    Attributes:
        scheme: which traits hold.
        backend: as the stream API's ``Driver`` takes it.
        options: the same.
        patience: seconds after which a server that confirms nothing counts as dead.
    """

    scheme: str
    backend: str
    options: dict[str, Any]
    patience: float = 10.0

    @property
    def traits(self) -> Traits:
        """Of its driver."""
        return TRAITS[self.scheme]
