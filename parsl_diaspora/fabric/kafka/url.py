"""``kafka://[USER[:PASSWORD]@]HOST:PORT[,HOST:PORT]/PREFIX?option=value&...``, taken apart."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn, get_args
from urllib.parse import parse_qsl, quote, unquote

import msgspec

from parsl_diaspora.errors import FabricError
from parsl_diaspora.events.envelope import Topic
from parsl_diaspora.hints import nearest
from parsl_diaspora.masking import without_secrets
from parsl_diaspora.sizes import parse_seconds

DEFAULT_PREFIX = "parsl-diaspora"
DEFAULT_PORT = 9092
TOPICS: tuple[str, ...] = get_args(Topic)
RAW = "rdkafka."  # options behind it are librdkafka's own
MASK = "***"

OPTIONS = (
    "ca_file",
    "cert_file",
    "client",
    "compression",
    "key_file",
    "key_password_env",
    "key_password_file",
    "order_wait",
    "partitions",
    "password_env",
    "password_file",
    "replication",
    "retention",
    "sasl",
    "tls",
    "token_function",
    "topics",
)
COMPRESSIONS = ("lz4", "zstd", "gzip", "snappy", "none")
CLIENTS = ("confluent-kafka", "kafka-python")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")

_PREFIX = re.compile(r"[A-Za-z0-9._-]{1,200}")
_SERVER = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\])(?::\d{1,5})?")
_PATHS = ("ca_file", "cert_file", "key_file", "key_password_file", "password_file")
_SECRET = re.compile(r"password|secret|\.pem$")
_HINT = "Write it as in 'kafka://host:9092/prefix?compression=zstd'."


class KafkaUrl(msgspec.Struct, frozen=True, kw_only=True):
    """What a ``kafka:`` URL says.

    Attributes:
        servers: addresses to begin with, as ``host:port``.
        prefix: of the topics' names.
        user: for SASL, or empty.
        password: as it stands in the URL, or empty.
        options: as they are written, each known.
        separator: between the prefix and the name of a topic.
        named: the URL that is shown, where this one stands for another.
        tokens: a function of tokens, where no option names one.
    """

    servers: tuple[str, ...]
    prefix: str = DEFAULT_PREFIX
    user: str = ""
    password: str = ""
    options: dict[str, str] = {}
    separator: str = "."
    named: str = ""
    tokens: Any = None

    def __repr__(self) -> str:
        return f"KafkaUrl({self.shown!r})"

    @property
    def secrets(self) -> list[str]:
        """Where the URL itself holds secrets: none can be opened again from what is shown."""
        held = [name for name in self.options if name.startswith(RAW) and _SECRET.search(name)]
        return [*(["the password"] if self.password else []), *held]

    @property
    def shown(self) -> str:
        """The URL without secrets."""
        if self.named:
            return self.named
        login = quote(self.user) + (f":{MASK}@" if self.password else "@") if self.user else ""
        options = [
            f"{name}={MASK if name in self.secrets else quote(value, safe='/:,.+')}"
            for name, value in sorted(self.options.items())
        ]
        query = f"?{'&'.join(options)}" if options else ""
        return f"kafka://{login}{','.join(self.servers)}/{self.prefix}{query}"

    @property
    def topics(self) -> tuple[str, ...]:
        """Full names of the topics that are read."""
        chosen = self.options.get("topics")
        return tuple(self.topic(name) for name in (chosen.split(",") if chosen else TOPICS))

    @property
    def reads_all(self) -> bool:
        """Whether every topic is read."""
        return set(self.topics) == {self.topic(name) for name in TOPICS}

    @property
    def retention_ms(self) -> int | None:
        """How long a new topic keeps its events, in milliseconds."""
        text = self.options.get("retention")
        return None if text is None else int(parse_seconds(text) * 1000)

    @property
    def order_wait(self) -> float:
        """Seconds that an event waits for an earlier one of the same publisher that is not there yet."""
        return parse_seconds(self.options.get("order_wait", "0.5"))

    @property
    def raw(self) -> dict[str, str]:
        """Options for librdkafka."""
        return {name.removeprefix(RAW): value for name, value in self.options.items() if name.startswith(RAW)}

    def topic(self, name: str) -> str:
        """Full name of one of our topics."""
        return f"{self.stem}{name}"

    @property
    def stem(self) -> str:
        """What all full names of topics begin with."""
        return self.prefix + self.separator

    def number(self, option: str, default: int) -> int:
        """An option that is a whole number."""
        return int(self.options.get(option, default))


def read_url(url: str) -> KafkaUrl:
    """What the URL says.

    Raises:
        FabricError: it names no server, or an option is unknown or has a value that it cannot have.

    Example:
        >>> read_url("kafka://me:pw@broker/runs?compression=zstd").shown
        'kafka://me:***@broker:9092/runs?compression=zstd'
    """
    rest, _, query = url.partition(":")[2].removeprefix("//").partition("?")
    login, at, place = rest.rpartition("@")
    where, _, prefix = place.partition("/")
    user, _, password = login.partition(":") if at else ("", "", "")
    if password == MASK:
        _refuse(url, "The password was taken out of this URL.", "Use password_file= or password_env=.")
    read = KafkaUrl(
        servers=_servers(where, url),
        prefix=prefix or DEFAULT_PREFIX,
        user=unquote(user),
        password=unquote(password),
        options=_options(query, url),
    )
    if not _PREFIX.fullmatch(read.prefix):
        _refuse(url, f"{read.prefix!r} is no prefix for Kafka topics.", "Use letters, digits, '.', '_', '-'.")
    return read


def _servers(where: str, url: str) -> tuple[str, ...]:
    servers = [server for server in where.split(",") if server]
    if not servers or not all(_SERVER.fullmatch(server) for server in servers):
        _refuse(url, f"{where!r} names no Kafka server.", _HINT)
    return tuple(
        server if re.search(r":\d+$", server.rpartition("]")[2]) else f"{server}:{DEFAULT_PORT}"
        for server in servers
    )


def _options(query: str, url: str) -> dict[str, str]:
    try:
        options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError:
        _refuse(url, "The options of the URL are not of the form name=value.", _HINT)
    for name, value in options.items():
        _check_name(name, url)
        if not value:
            _refuse(url, f"The option {name!r} has no value.", _HINT)
        if value == MASK:
            _refuse(url, f"The value of {name!r} was taken out of this URL.", "Give it again.")
    for name, fits in _VALUES.items():
        if name in options and not fits(options[name]):
            _refuse(url, f"The option {name!r} cannot be {options[name]!r}.", _WORDS[name])
    return {name: _absolute(name, value) for name, value in options.items()}


def _absolute(name: str, value: str) -> str:
    return str(Path(value).expanduser().absolute()) if name in _PATHS else value


def _check_name(name: str, url: str) -> None:
    if name in OPTIONS or name.startswith(RAW):
        return
    raw = f" What librdkafka calls {name!r} is written '{RAW}{name}'." if "." in name else ""
    hint = nearest(name, OPTIONS, listed="The options are")
    _refuse(url, f"A Kafka fabric has no option {name!r}.", hint + raw)


def _refuse(url: str, message: str, hint: str) -> NoReturn:
    raise FabricError(message, url=without_secrets(url), hint=hint)


def _is_span(text: str) -> bool:
    try:
        parse_seconds(text)
    except ValueError:
        return False
    return True


def _is_count(text: str) -> bool:
    return text.isdigit() and int(text) > 0


_VALUES: Mapping[str, Callable[[str], bool]] = {
    "client": CLIENTS.__contains__,
    "compression": COMPRESSIONS.__contains__,
    "order_wait": _is_span,
    "partitions": _is_count,
    "replication": _is_count,
    "retention": _is_span,
    "sasl": MECHANISMS.__contains__,
    "tls": ("true", "false").__contains__,
    "topics": lambda text: set(text.split(",")) <= set(TOPICS),
}
_WORDS = {
    "client": f"It is one of {', '.join(CLIENTS)}.",
    "compression": f"It is one of {', '.join(COMPRESSIONS)}.",
    "order_wait": "It is a time, as in 0.5 or 2s.",
    "partitions": "It is a whole number from 1 on.",
    "replication": "It is a whole number from 1 on.",
    "retention": "It is a time, as in 3600, 12h or 7d.",
    "sasl": f"It is one of {', '.join(MECHANISMS)}.",
    "tls": "It is true or false.",
    "topics": f"It is some of {','.join(TOPICS)}.",
}
