"""How a process gets to the brokers: its key, tokens made of it, and whether they can be reached."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import msgspec

from parsl_diaspora.errors import FabricError, FabricUnavailable
from parsl_diaspora.fabric.kafka.url import KafkaUrl
from parsl_diaspora.fabric.octopus.keys import (
    ACCESS,
    SECRET,
    Keys,
    keys_of_environment,
    keys_place,
    read_keys,
    write_keys,
)
from parsl_diaspora.fabric.octopus.service import Service, need_sdk
from parsl_diaspora.fabric.octopus.url import REGION, OctopusUrl

logger = logging.getLogger(__name__)

_CONNECT = 2.0
_environment = threading.Lock()
_SIGNER_LOG = "diaspora_event_sdk.sdk.botocore.auth"


class Access:
    """A user's way to Octopus.

    Args:
        url: of the fabric; without a namespace the web service is asked for it.

    Raises:
        FabricUnavailable: the SDK is not installed; the service does not tell the namespace.
    """

    def __init__(self, url: OctopusUrl) -> None:
        need_sdk(url.shown)
        self.service = Service(url.shown) if url.may_log_in else None
        self.url = url if url.namespace else self._named(url)
        self._lock = threading.Lock()
        self._keys: Keys | None = None

    def _named(self, url: OctopusUrl) -> OctopusUrl:
        file = url.options.get("keys")
        if file and (found := read_keys(Path(file), url.shown)):
            return msgspec.structs.replace(url, namespace=found.namespace)
        if self.service is None:
            message = "Without a login the URL must name the namespace."
            raise FabricError(message, url=url.shown, hint="As in octopus:ns-0123456789ab/PREFIX.")
        return msgspec.structs.replace(url, namespace=self.service.client().namespace)

    @property
    def file(self) -> Path:
        """Where the key is kept."""
        return Path(self.url.options.get("keys") or keys_place(self.url.namespace))

    @property
    def by_environment(self) -> bool:
        """Whether the key comes from the environment."""
        return "keys" not in self.url.options and keys_of_environment(self.url.namespace) is not None

    def keys(self) -> Keys:
        """The key: of the file that the URL names, of the environment, of the usual file, or a new one.

        Raises:
            FabricError: others may read the file.
            FabricUnavailable: there is none, and the web service cannot be asked.
        """
        with self._lock:
            if self._keys is None:
                given = None if "keys" in self.url.options else keys_of_environment(self.url.namespace)
                self._keys = given or read_keys(self.file, self.url.shown) or self._made()
            return self._keys

    def _made(self) -> Keys:
        if self.service is None:
            message = f"The key of Octopus is not there: there is no file {self.file}."
            hint = f"It is made where you are logged in. Share the file, or set {ACCESS}, {SECRET} and so on."
            raise FabricUnavailable(message, url=self.url.shown, hint=hint)
        keys = self.service.key()
        write_keys(self.file, keys, self.url.shown)
        logger.info("The key of Octopus is kept in %s, for nodes to read.", self.file)
        return keys

    def reached(self, url: KafkaUrl) -> KafkaUrl:
        """Kafka's URL with the brokers' addresses, and tokens if they are asked for."""
        tokens = self.token if self.url.security.startswith("sasl") else None
        return msgspec.structs.replace(url, servers=self.keys().servers, tokens=tokens)

    def token(self, _config: str = "") -> tuple[str, float]:
        """A token for the brokers, and its end in seconds since the epoch."""
        keys = self.keys()
        signer = import_module("diaspora_event_sdk.sdk.aws_iam_msk")
        logging.getLogger(_SIGNER_LOG).setLevel(logging.INFO)  # at DEBUG it tells signatures
        with _environment:  # the SDK's function reads the key there
            before = {name: os.environ.get(name) for name in (ACCESS, SECRET)}
            os.environ.update({ACCESS: keys.access_key, SECRET: keys.secret_key})
            try:
                token, milliseconds = signer.generate_auth_token(self.url.options.get("region", REGION))
            finally:
                _restore(before)
        return token, milliseconds / 1000

    def way(self) -> str:
        """``kafka`` or ``https``; where the URL leaves it open, by whether a broker can be connected to."""
        if self.url.via != "auto":
            return self.url.via
        try:
            servers = self.keys().servers
        except FabricUnavailable as error:
            logger.warning("%s Kafka's protocol is tried when there is a key.", error)
            return "kafka"
        if any(_listens(server) for server in servers) or self.service is None:
            return "kafka"
        text = "No broker of %s can be reached at %s, so events go over HTTPS, which is slower."
        logger.warning(text, self.url.shown, ", ".join(servers))
        return "https"

    def make_topics(self, names: Sequence[str]) -> None:
        """Make topics, given by their full names.

        Raises:
            FabricUnavailable: this process must not, or the web service does not answer.
        """
        if self.service is None:
            message = f"The topic {min(names)} is not there, and nodes make none."
            hint = "It is made by the first who publishes or reads where you are logged in."
            raise FabricUnavailable(message, url=self.url.shown, hint=hint)
        self.service.make_topics(self.url.namespace, [self.short(name) for name in names])

    def prepare(self, names: Sequence[str]) -> None:
        """Make those topics that the web service does not list, and do not wait for them."""
        if self.service is not None:
            there = {self.full(name) for name in self.service.topics()}
            if missing := [name for name in names if name not in there]:
                self.make_topics(missing)

    def short(self, name: str) -> str:
        """A full name of a topic without the namespace."""
        return name.removeprefix(f"{self.url.namespace}.")

    def full(self, name: str) -> str:
        """A name of a topic with the namespace."""
        return f"{self.url.namespace}.{self.short(name)}"


def _restore(before: dict[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _listens(server: str) -> bool:
    host, _, port = server.rpartition(":")
    with suppress(OSError, ValueError), socket.create_connection((host.strip("[]"), int(port)), _CONNECT):
        return True
    return False
