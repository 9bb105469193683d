"""TLS and SASL of a connection; secrets are looked up when a client is made, and kept nowhere."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from parsl_diaspora.errors import FabricError
from parsl_diaspora.fabric.kafka.url import KafkaUrl

TokenFunction = Callable[[str], tuple[str, float]]


def mechanism(url: KafkaUrl) -> str:
    """The SASL mechanism, or nothing. A user without one means PLAIN, a function of tokens OAUTHBEARER."""
    implied = "OAUTHBEARER" if _has_tokens(url) else "PLAIN" if url.user else ""
    return url.options.get("sasl", implied)


def uses_tls(url: KafkaUrl) -> bool:
    """Whether the connection is encrypted: as said, else when a certificate is named."""
    named = any(name in url.options for name in ("ca_file", "cert_file", "key_file"))
    return url.options.get("tls", "true" if named else "false") == "true"


def protocol(url: KafkaUrl) -> str:
    """Kafka's name for the combination."""
    return ("SASL_" if mechanism(url) else "") + ("SSL" if uses_tls(url) else "PLAINTEXT")


def password(url: KafkaUrl) -> str:
    """The password of the user.

    Raises:
        FabricError: none is given, or the place that is named does not hold one.
    """
    found = _secret(url, "password") or url.password
    if not found:
        hint = "Use password_file=FILE or password_env=VARIABLE."
        raise FabricError(f"The user {url.user!r} of Kafka has no password.", url=url.shown, hint=hint)
    return found


def token_function(url: KafkaUrl) -> TokenFunction:
    """The function that makes tokens: from any text to a token and its end in seconds since the epoch.

    Raises:
        FabricError: it cannot be imported.
    """
    if url.tokens is not None:
        given: TokenFunction = url.tokens
        return given
    named = url.options.get("token_function", "")
    module, _, name = named.partition(":")
    try:
        function: TokenFunction = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        hint = "Use token_function=package.module:function."
        raise FabricError(
            f"No function {named!r} makes tokens: {error}.", url=url.shown, hint=hint
        ) from error
    return function


def librdkafka_security(url: KafkaUrl) -> dict[str, Any]:
    """The settings of librdkafka.

    Raises:
        FabricError: something that is named is not there.
    """
    settings: dict[str, Any] = {"security.protocol": protocol(url)}
    names = {"ca_file": "ssl.ca.location", "cert_file": "ssl.certificate.location"}
    names["key_file"] = "ssl.key.location"
    for option, name in names.items():
        if path := url.options.get(option):
            settings[name] = _readable(path, url)
    if secret := _secret(url, "key_password"):
        settings["ssl.key.password"] = secret
    if sasl := mechanism(url):
        settings["sasl.mechanism"] = sasl
        settings.update(_login(url, sasl))
    return settings


def _has_tokens(url: KafkaUrl) -> bool:
    return url.tokens is not None or "token_function" in url.options


def _login(url: KafkaUrl, sasl: str) -> dict[str, Any]:
    if sasl == "OAUTHBEARER":
        return {"oauth_cb": token_function(url)} if _has_tokens(url) else {}
    if not url.user:
        hint = "Write it as in 'kafka://user@host:9092/prefix?password_file=FILE'."
        raise FabricError(f"SASL {sasl} needs a user.", url=url.shown, hint=hint)
    return {"sasl.username": url.user, "sasl.password": password(url)}


def _secret(url: KafkaUrl, name: str) -> str:
    if variable := url.options.get(f"{name}_env"):
        if variable not in os.environ:
            message = f"The environment variable {variable} with Kafka's {name} is not set."
            raise FabricError(message, url=url.shown, hint="Set it wherever events are published or read.")
        return os.environ[variable]
    if path := url.options.get(f"{name}_file"):
        return Path(_readable(path, url)).read_text(encoding="utf-8").rstrip("\r\n")
    return ""


def _readable(path: str, url: KafkaUrl) -> str:
    try:
        with open(path, "rb"):
            return path
    except OSError as error:
        message = f"The file {path} that the URL names cannot be read: {error.strerror}."
        raise FabricError(message, url=url.shown, hint="It must be there on nodes, too.") from error
