"""Messages without what differs from one machine, run or release to the next."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

_RULES = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "RUN"),
    (re.compile(r"\bexplain [0-9a-f]{8}\b"), "explain RUN"),
    (re.compile(r"\bmanager [0-9a-f]{12}\b"), "manager MANAGER"),
    (re.compile(r"\bpid \d+"), "pid PID"),
    (re.compile(r"HOST\.\d+\.[0-9a-f]{16}\.\d{4}\.events at \d+"), "SEGMENT.events at BYTE"),
    (re.compile(r"\b0x[0-9a-f]+"), "0xADDRESS"),
    (re.compile(r"\bworker \d+"), "worker N"),
    (re.compile(r"127\.0\.0\.1:\d{5}"), "127.0.0.1:PORT"),
)


def neutral(text: str, place: Path) -> str:
    """The same message for everybody.

    Args:
        text: as it was said.
        place: the current directory.
    """
    text = text.replace(str(place), "/home/me")
    text = re.sub(rf"\b{re.escape(socket.gethostname())}\b", "HOST", text)
    text = re.sub(rf"\b{re.escape(os.uname().nodename)}\b", "HOST", text)
    for pattern, words in _RULES:
        text = pattern.sub(words, text)
    return text
