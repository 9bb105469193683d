"""``octopus:[NAMESPACE[/PREFIX]]?option=value&...``, taken apart."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn
from urllib.parse import parse_qsl, quote, urlencode

import msgspec

from parsl_diaspora.errors import FabricError
from parsl_diaspora.fabric.kafka.url import DEFAULT_PREFIX, RAW, TOPICS, KafkaUrl, read_url
from parsl_diaspora.hints import nearest
from parsl_diaspora.masking import without_secrets

REGION = "us-east-1"
CHOICES: Mapping[str, tuple[str, ...]] = {
    "login": ("allowed", "never"),
    "names": ("full", "short"),
    "security": ("sasl_ssl", "sasl_plaintext", "ssl", "plaintext"),
    "via": ("kafka", "https", "auto"),
}
OWN = (*CHOICES, "keys", "region")
SHARED = ("ca_file", "compression", "order_wait", "topics")  # with `kafka:`
SHORTEST, LONGEST = 3, 32  # characters of a topic's name

_NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}")
_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_REGION = re.compile(r"[a-z0-9-]+")
_HINT = "Write it as in 'octopus:ns-0123456789ab/runs?via=auto'."
_LONGEST_PREFIX = LONGEST - max(len(f"-{name}") for name in TOPICS)


class OctopusUrl(msgspec.Struct, frozen=True, kw_only=True):
    """What an ``octopus:`` URL says.

    Attributes:
        namespace: of the user; empty for the one that the service tells.
        prefix: of the topics' names.
        options: of ours.
        shared: options that go to Kafka's client.
    """

    namespace: str = ""
    prefix: str = DEFAULT_PREFIX
    options: dict[str, str] = {}
    shared: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"OctopusUrl({self.shown!r})"

    @property
    def shown(self) -> str:
        """The URL; it never holds secrets."""
        return self.written()

    def written(self, **options: str) -> str:
        """The URL with other options."""
        both = sorted({**self.options, **self.shared, **options}.items())
        query = "&".join(f"{name}={quote(value, safe='/:,.+')}" for name, value in both)
        place = f"{self.namespace}/{self.prefix}" if self.namespace else ""
        return f"octopus:{place}" + (f"?{query}" if query else "")

    @property
    def via(self) -> str:
        """How the cluster is spoken to."""
        return self.options.get("via", "kafka")

    @property
    def may_log_in(self) -> bool:
        """Whether the web service may be asked."""
        return self.options.get("login", "allowed") == "allowed"

    @property
    def security(self) -> str:
        """Kafka's security protocol, in small letters."""
        return self.options.get("security", "sasl_ssl")

    def topic(self, name: str) -> str:
        """One of our topics as the service names it."""
        return f"{self.prefix}-{name}"

    def kafka(self) -> KafkaUrl:
        """The same as Kafka's client understands it; its servers and tokens come later."""
        url = read_url(f"kafka://unknown/{DEFAULT_PREFIX}?{urlencode(self.shared)}")
        tls = "true" if self.security.endswith("ssl") else "false"
        return msgspec.structs.replace(
            url,
            prefix=f"{self.namespace}.{self.prefix}",
            separator="-",
            named=self.shown,
            options={**url.options, "tls": tls},
        )


def read_octopus_url(url: str) -> OctopusUrl:
    """What the URL says.

    Raises:
        FabricError: an option is unknown or has a value that it cannot have, or the names do not fit.

    Example:
        >>> read_octopus_url("octopus:ns-0123456789ab/runs?via=auto").topic("tasks")
        'runs-tasks'
    """
    place, _, query = url.partition(":")[2].removeprefix("//").partition("?")
    namespace, _, prefix = place.rstrip("/").partition("/")
    if namespace and not _NAMESPACE.fullmatch(namespace):
        _refuse(url, f"{namespace!r} is no namespace of Octopus.", _HINT)
    own, shared = _options(query, url)
    read = OctopusUrl(namespace=namespace, prefix=prefix or DEFAULT_PREFIX, options=own, shared=shared)
    _check_prefix(read.prefix, url)
    try:
        read.kafka()
    except FabricError as error:
        _refuse(url, error.message, error.hint)
    return read


def _check_prefix(prefix: str, url: str) -> None:
    if not _PREFIX.fullmatch(prefix):
        hint = "Use letters, digits, '_' and '-', and begin with a letter or digit."
        _refuse(url, f"{prefix!r} is no prefix for topics of Octopus.", hint)
    if len(prefix) > _LONGEST_PREFIX:
        message = f"The prefix {prefix!r} is too long: topics of Octopus have up to {LONGEST} characters."
        _refuse(
            url, message, f"Use at most {_LONGEST_PREFIX} characters, as '-resources' is put behind them."
        )


def _options(query: str, url: str) -> tuple[dict[str, str], dict[str, str]]:
    try:
        options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError:
        _refuse(url, "The options of the URL are not of the form name=value.", _HINT)
    shared = {name: value for name, value in options.items() if name in SHARED or name.startswith(RAW)}
    own = {name: value for name, value in options.items() if name not in shared}
    for name, value in own.items():
        _check(name, value, url)
    for name in shared:
        if re.search(r"password|secret|\.pem$", name):
            _refuse(url, f"{name!r} is a secret, and has no place in the URL of Octopus.", "Use files.")
    if "keys" in own:
        own["keys"] = str(Path(own["keys"]).expanduser().absolute())
    return own, shared


def _check(name: str, value: str, url: str) -> None:
    if name not in OWN:
        hint = nearest(name, sorted((*OWN, *SHARED)), listed="The options are")
        _refuse(url, f"An Octopus fabric has no option {name!r}.", hint)
    allowed = CHOICES.get(name)
    if allowed is not None and value not in allowed:
        _refuse(url, f"The option {name!r} cannot be {value!r}.", f"It is one of {', '.join(allowed)}.")
    if not value or (name == "region" and not _REGION.fullmatch(value)):
        _refuse(url, f"The option {name!r} cannot be {value!r}.", _HINT)


def _refuse(url: str, message: str, hint: str) -> NoReturn:
    raise FabricError(message, url=without_secrets(url), hint=hint)
