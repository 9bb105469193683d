"""What went wrong between us and a Kafka cluster: cause, remedy, and what becomes of the record."""

from __future__ import annotations

import logging
import threading
from typing import Literal

import msgspec

from parsl_diaspora.errors import DiasporaError, FabricUnavailable

logger = logging.getLogger(__name__)

#: What becomes of a record that was not taken: ``lost`` for good; sent ``again``, after its ``topics`` were
#: seen to or with a ``new`` client; it waits because the client is ``full``; or nothing, as it was taken.
Verdict = Literal["", "lost", "again", "topics", "new", "full"]


class Fault(msgspec.Struct, frozen=True):
    """A fault of the cluster or of the way to it.

    Attributes:
        cause: a sentence, without secrets.
        hint: what to do about it.
        lasting: nothing can be done on the cluster until it is repaired.
        vague: it says that there is no answer, and not why.
    """

    cause: str
    hint: str = ""
    lasting: bool = True
    vague: bool = False

    def or_clearer(self, other: Fault | None) -> Fault:
        """This fault, unless it is vague and the other one says why."""
        return other if self.vague and other is not None and not other.vague else self


#: by the error's name: cause, remedy
_KNOWN: dict[str, tuple[str, str]] = {
    "_ALL_BROKERS_DOWN": ("no server answers", "Check host and port, and that the cluster runs."),
    "_RESOLVE": ("the host's name is not known", "Check the host in the URL."),
    "_AUTHENTICATION": ("the login was refused", "Check user, password and sasl= in the URL."),
    "SASL_AUTHENTICATION_FAILED": ("the login was refused", "Check user, password and sasl= in the URL."),
    "_SSL": ("TLS failed", "Check tls=, ca_file= and the port: it must be one that speaks TLS."),
    "TOPIC_AUTHORIZATION_FAILED": ("the topics are forbidden", "Ask for access to PREFIX.*"),
    "GROUP_AUTHORIZATION_FAILED": ("the consumer group is forbidden", "Ask for access to groups PREFIX.*"),
    "CLUSTER_AUTHORIZATION_FAILED": ("the cluster forbids it", "Ask for the right of idempotent writing."),
    "_TIMED_OUT": ("no answer came in time", "Check that the cluster is healthy."),
    "_TIMED_OUT_QUEUE": ("no answer came in time", "Check that the cluster is healthy."),
    "REQUEST_TIMED_OUT": ("no answer came in time", "Check that the cluster is healthy."),
}
_VAGUE = frozenset({"_ALL_BROKERS_DOWN", "_TIMED_OUT", "_TIMED_OUT_QUEUE", "REQUEST_TIMED_OUT"})
_TOPICS = frozenset(
    {"_UNKNOWN_TOPIC", "_UNKNOWN_PARTITION", "UNKNOWN_TOPIC_OR_PART", "TOPIC_EXCEPTION", "UNKNOWN_TOPIC_ID"}
)
_LOST = frozenset(
    {"MSG_SIZE_TOO_LARGE", "INVALID_MSG_SIZE", "RECORD_LIST_TOO_LARGE", "INVALID_MSG", "INVALID_RECORD"}
    | {"INVALID_TIMESTAMP", "POLICY_VIOLATION", "_INVALID_ARG"}
)
_NEW = frozenset({"_FATAL", "_FENCED", "_STATE", "INVALID_PRODUCER_EPOCH", "OUT_OF_ORDER_SEQUENCE_NUMBER"})
_CANNOT = " cannot be used now: "
_PASSING = frozenset({"_TRANSPORT"})  # one connection of several; _ALL_BROKERS_DOWN says when it is the last


def fault_of(name: str, text: str) -> Fault:
    """A fault from an error's name and text."""
    if name == "_TRANSPORT" and "SSL" in text:
        name = "_SSL"
    cause, hint = _KNOWN.get(name, (f"{name.strip('_').lower()}", ""))
    return Fault(f"{cause} ({text})", hint, lasting=name not in _PASSING, vague=name in _VAGUE)


def cause_of(error: DiasporaError) -> Fault:
    """The fault of which an exception speaks."""
    before, said, cause = error.message.partition(_CANNOT)
    cause = (cause if said else before).rstrip(".")
    return Fault(cause, error.hint, vague=cause.startswith(tuple(_KNOWN[name][0] for name in _VAGUE)))


def verdict_of(name: str) -> Verdict:
    """What becomes of a record that failed with an error of this name."""
    if name in _LOST:
        return "lost"
    if name in _TOPICS:
        return "topics"
    return "new" if name in _NEW else "again"


class Faults:
    """The fault that is on now; said when it comes, when it is known why, and when it is over."""

    def __init__(self, shown: str, what: str) -> None:
        self._shown = shown
        self._who = shown.partition(":")[0].capitalize()
        self._what = what
        self._lock = threading.Lock()
        self.now: Fault | None = None

    def note(self, fault: Fault) -> None:
        """Something went wrong."""
        if not fault.lasting:
            return
        with self._lock:
            is_news = self.now is None or (self.now.vague and not fault.vague)
            self.now = fault.or_clearer(self.now)
        if is_news:
            logger.warning(
                "%s at %s: %s; %s. %s", self._who, self._shown, fault.cause, self._what, fault.hint
            )

    def over(self) -> None:
        """The cluster answered."""
        if self.now is None:
            return
        with self._lock:
            self.now = None
        logger.info("%s at %s answers again.", self._who, self._shown)

    def error(self, fault: Fault | None = None) -> FabricUnavailable:
        """An exception that says what is on."""
        found = fault or self.now or Fault("no answer came in time", "Check that the cluster is healthy.")
        return FabricUnavailable(
            f"{self._who} at {self._shown}{_CANNOT}{found.cause}.", url=self._shown, hint=found.hint
        )
