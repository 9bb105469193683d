"""Texts for people and logs, without their secrets."""

from __future__ import annotations

import re

_PASSWORD = re.compile(r"(?<=://)([^/@:]*):[^/@]*@")
_SECRET_PART = re.compile(
    r"((?:password|passwd|secret|token|key)[^=&]*=(?<!_file=)(?<!_env=)(?<!_function=))[^&]*", re.IGNORECASE
)


def without_secrets(url: str) -> str:
    """A URL whose password, and whatever else is named like a secret, is masked.

    Where a secret is to be found (``password_file=``, ``password_env=``, ``token_function=``) is none itself.

    Example:
        >>> without_secrets("kafka://me:pw@host:9092?token=abc&acks=all")
        'kafka://me:***@host:9092?token=***&acks=all'
    """
    return _SECRET_PART.sub(r"\1***", _PASSWORD.sub(r"\1:***@", url))
