"""An event to a web server: one POST, in the CloudEvents JSON format."""

from __future__ import annotations

import http.client
import ipaddress
import os
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from parsl_diaspora.errors import DiasporaError, NonRetryable, SettingsError
from parsl_diaspora.events import Event
from parsl_diaspora.events.cloudevents import CONTENT_TYPE, encode_cloudevent
from parsl_diaspora.trigger_settings import is_reference, without_path

#: Answers after which the same request may succeed, beside those of the server's own trouble.
_SERVERS_TROUBLE = 500
_WORTH_ANOTHER_TRY = (408, 425, 429)
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirected POST would become a GET, and take the headers' secrets to another host."""

    def redirect_request(self, *args: Any, **words: Any) -> None:
        del args, words


class Webhook:
    """Sends events to a URL. Neither the URL's path nor the headers' values appear in errors.

    Args:
        url: the URL, or ``env:NAME`` or ``file:PATH``, which are read anew for each event.
        headers: further headers, values in the same forms.
        timeout: seconds for each step of the exchange.
        trigger: name of the trigger, for errors.

    Raises:
        SettingsError: the URL is none, a header cannot be sent, or a secret cannot be had or would go in
            the clear.
    """

    def __init__(self, url: str, headers: Mapping[str, str], *, timeout: float, trigger: str) -> None:
        self._url, self._headers, self._timeout, self._trigger = url, dict(headers), timeout, trigger
        self._open = urllib.request.build_opener(_NoRedirects).open
        self._request(b"")

    def __call__(self, event: Event) -> None:
        """Send the event; an answer of 2xx is a success.

        Raises:
            DiasporaError: there was no such answer.
            NonRetryable: the server has said that it does not want this.
        """
        request = self._request(encode_cloudevent(event))
        where = without_path(request.full_url)
        try:
            with self._open(request, timeout=self._timeout):
                return
        except urllib.error.HTTPError as error:
            error.close()
            message = f"The webhook {where} answered {error.code}."
            if error.code < _SERVERS_TROUBLE and error.code not in _WORTH_ANOTHER_TRY:
                raise NonRetryable(message, type="WebhookRefused") from None
            raise DiasporaError(message) from None
        except (OSError, http.client.HTTPException) as error:
            why = getattr(error, "reason", None) or error
            if isinstance(why, ssl.SSLCertVerificationError):
                raise NonRetryable(f"The webhook {where} is not who it says: {why.verify_message}.") from None
            raise DiasporaError(f"The webhook {where} cannot be reached: {_words(why)}.") from None

    def caused(self, event: Event) -> bool:
        """What the server does is not known."""
        del event
        return False

    def close(self) -> None:
        """No connection is kept."""

    def _request(self, body: bytes) -> urllib.request.Request:
        url = self._value(self._url, "webhook")
        headers = {name: self._value(value, f"header {name!r}") for name, value in self._headers.items()}
        _check_url(url, self._trigger, secret=any(map(_is_secret, self._headers.items())))
        for name, value in headers.items():
            if not _HEADER.fullmatch(name) or not value.isprintable() or not value.isascii():
                message = f"The trigger {self._trigger!r} has a header {name!r} that cannot be sent."
                raise SettingsError(message, hint="Names and values are printable ASCII, on one line.")
        headers["Content-Type"] = CONTENT_TYPE
        return urllib.request.Request(url, data=body, headers=headers, method="POST")  # noqa: S310

    def _value(self, text: str, what: str) -> str:
        if not is_reference(text):
            return text
        kind, _, place = text.partition(":")
        try:
            value = os.environ[place] if kind == "env" else Path(place).read_text(encoding="utf-8")
        except (KeyError, OSError, UnicodeDecodeError) as error:
            why = "is not set" if kind == "env" else f"cannot be read ({type(error).__name__})"
            place = f"variable {place}" if kind == "env" else f"file {place}"
            message = f"The {what} of the trigger {self._trigger!r} is kept in the {place}, which {why}."
            raise SettingsError(message, hint="It must be there where the program runs.") from None
        return value.strip()


def _is_secret(header: tuple[str, str]) -> bool:
    name, value = header
    words = ("auth", "token", "key", "secret", "cookie", "signature")
    return is_reference(value) or any(word in name.lower() for word in words)


def _check_url(url: str, trigger: str, *, secret: bool) -> None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    del port
    if parts.scheme not in ("http", "https") or not host or not url.isprintable() or " " in url:
        message = f"The webhook of the trigger {trigger!r} is no URL of a web server."
        raise SettingsError(message, hint="Write https://HOST/PATH.")
    if parts.username is not None or parts.password is not None:
        message = f"The webhook of the trigger {trigger!r} has a password in its URL."
        raise SettingsError(message, hint="Put it into a header: {Authorization: env:NAME}.")
    if secret and parts.scheme == "http" and not _is_loopback(host):
        message = f"The webhook of the trigger {trigger!r} would send a secret unencrypted to {host}."
        raise SettingsError(message, hint="Use https.")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _words(error: object) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long"
    return getattr(error, "strerror", None) or type(error).__name__
