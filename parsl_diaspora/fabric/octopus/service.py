"""The web service of Octopus, by the SDK's client. For processes where somebody is logged in."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from parsl_diaspora.errors import FabricError, FabricUnavailable
from parsl_diaspora.fabric.kafka.faults import Fault, Faults
from parsl_diaspora.fabric.octopus.errors import Refusal
from parsl_diaspora.fabric.octopus.keys import Keys

TIMEOUT = 15.0  # seconds of one request
APPEARS = 30.0  # seconds until a new topic is there at the latest
BATCH = 500  # records of one request

_KNOCK = 3.0
_LOGIN = "Log in once: python -c 'from diaspora_event_sdk import Client; Client()'"
_STATUS = {
    401: ("the login was refused", _LOGIN),
    403: ("it is forbidden", "Check that the namespace is yours."),
    429: ("the web service is throttling us", "It goes on by itself."),
}


def need_sdk(shown: str) -> None:
    """See that the SDK is there.

    Raises:
        FabricUnavailable: it is not.
    """
    if find_spec("diaspora_event_sdk") is None:
        message = "The SDK of Octopus, diaspora-event-sdk, is not installed."
        raise FabricUnavailable(message, url=shown, hint="Run: pip install 'parsl-diaspora[octopus]'")


class Service:
    """Asks the web service. Safe to use from several threads.

    Args:
        shown: URL of the fabric.
    """

    def __init__(self, shown: str) -> None:
        need_sdk(shown)
        self._shown = shown
        self._lock = threading.Lock()
        self._client: Any = None
        self._process = 0

    def client(self) -> Any:
        """The SDK's client, made when it is first needed in a process.

        Raises:
            FabricUnavailable: nobody is logged in, or the service does not answer.
        """
        with self._lock:
            if self._client is None or self._process != os.getpid():
                self._client, self._process = self.ask(self._make), os.getpid()
            return self._client

    def key(self) -> Keys:
        """The user's key; the service makes one if there is none."""
        client = self.client()
        answer = self.ask(client.create_key)
        try:
            return Keys(answer["access_key"], answer["secret_key"], answer["endpoint"], client.namespace)
        except (KeyError, TypeError):
            raise self._refusal(Fault("the web service gave no key")) from None

    def topics(self) -> set[str]:
        """Names of the user's topics, without the namespace."""
        client = self.client()
        answer = self.ask(client.list_namespaces)
        named = answer.get("namespaces", {}).get(client.namespace, [])
        return {name.removeprefix(f"{client.namespace}.") for name in named}

    def make_topics(self, namespace: str, topics: Sequence[str]) -> None:
        """Make topics, named without the namespace. They appear some seconds later.

        Raises:
            FabricError: the namespace is another user's.
        """
        client = self.client()
        if namespace != client.namespace:
            message = f"Topics cannot be made in {namespace!r}: your namespace is {client.namespace!r}."
            raise FabricError(message, url=self._shown, hint=f"Use octopus:{client.namespace}/PREFIX.")
        for topic in topics:
            self.ask(partial(client.create_topic, topic))

    def ask(self, question: Callable[[], Any]) -> Any:
        """What the service answers.

        Raises:
            Refusal: it did not answer, or with an error, which may come with HTTP status 200.
        """
        globus = import_module("globus_sdk")
        try:
            answer = question()
        except globus.GlobusAPIError as error:
            raise self._refused(error) from None  # its text may hold what was sent
        except (globus.GlobusError, OSError) as error:
            cause = f"the web service does not answer ({type(error).__name__})"
            raise self._refusal(Fault(cause, "Check the network, and that the service runs.")) from None
        if isinstance(answer, dict) and answer.get("status") in ("error", "failure"):
            why = str(answer.get("reason") or answer.get("message") or "no reason was given")[:300]
            raise self._refusal(Fault(f"the web service refused it: {why}", _LOGIN), 200)
        return answer

    def _make(self) -> Any:
        sdk = import_module("diaspora_event_sdk.sdk.client")
        self._knock(sdk.get_web_service_url(None))
        app = sdk.get_globus_app()
        if _asks_a_person(app):
            raise self._refusal(Fault("nobody is logged in to Globus here", _LOGIN))
        client = sdk.Client(app=app)
        web = client.web_client
        web.transport.http_timeout = TIMEOUT
        web.retry_config.max_retries, web.retry_config.max_sleep = 1, 1.0
        return client

    def _knock(self, address: str) -> None:
        """Find out soon whether the service is there: the SDK would try for long."""
        utilities: Any = import_module("requests.utils")
        place = urlsplit(address)
        if utilities.get_environ_proxies(address) or place.hostname is None:
            return
        port = place.port or (443 if place.scheme == "https" else 80)
        socket.create_connection((place.hostname, port), _KNOCK).close()

    def _refused(self, error: Any) -> Refusal:
        code = getattr(error, "error_code", 0) or 0
        text = f"the web service answered {error.http_status}" + (f" ({code})" if code else "")
        cause, hint = _STATUS.get(error.http_status, (text, ""))
        return self._refusal(Fault(cause, hint), error.http_status, code)

    def _refusal(self, fault: Fault, status: int = 0, code: int = 0) -> Refusal:
        plain = Faults(self._shown, "").error(fault)
        refusal = Refusal(plain.message, url=self._shown, hint=plain.hint)
        refusal.status, refusal.code, refusal.fault = status, code, fault
        return refusal


def _asks_a_person(app: Any) -> bool:
    """Whether a login would wait for somebody at the terminal."""
    user_app = import_module("globus_sdk").UserApp
    return isinstance(app, user_app) and bool(app.login_required())


def await_topics(seen: Callable[[], set[str]], wanted: Sequence[str], shown: str) -> None:
    """Wait until new topics are there.

    Raises:
        FabricUnavailable: they are not, in 30 s.
    """
    deadline, pause = time.monotonic() + APPEARS, 0.1
    while missing := set(wanted) - seen():
        if time.monotonic() > deadline:
            cause = f"the topic {min(missing)} was made and is not there after {APPEARS:.0f} s"
            raise Faults(shown, "").error(Fault(cause))
        time.sleep(pause)
        pause = min(2 * pause, 2.0)
