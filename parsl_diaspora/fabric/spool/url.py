"""``spool:DIRECTORY?[limit=SIZE&]to=URL``: everything behind ``to=`` is the other fabric's URL, as it is."""

from __future__ import annotations

import re
from pathlib import Path

from parsl_diaspora.errors import FabricError
from parsl_diaspora.fabric.spool.fabric import LIMIT_BYTES, SpooledFabric
from parsl_diaspora.fabric.spool.late import LateFabric
from parsl_diaspora.settings import without_secrets

_HINT = "Write it as in 'spool:/scratch/events?to=kafka://host:9092', or with 'limit=200MB&' before 'to='."
_SIZE = re.compile(r"(\d+)\s*(k|M|G|T)?B?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4}


def open_spool(url: str) -> SpooledFabric:
    """The spooled fabric that a URL names. The fabric behind may be unavailable; it is tried again later.

    Raises:
        FabricError: the URL is incomplete or has an option that a spool does not have.
        UnknownFabric: the other fabric's URL names none.

    Example:
        >>> import tempfile
        >>> open_spool(f"spool:{tempfile.mkdtemp()}?limit=64MB&to=memory:").limit_bytes
        64000000
    """
    place, _, query = url.partition(":")[2].partition("?")
    options, found, behind = f"&{query}".partition("&to=")
    if not place or not found or not behind:
        raise _error("A spool needs a directory and, behind 'to=', the URL of a fabric.", url)
    if behind.lower().startswith("spool:"):
        raise _error("A spool cannot lead to another spool.", url)
    limit = _limit_in(options, url)
    return SpooledFabric(LateFabric(behind), _absolute(place, url), limit_bytes=limit)


def _limit_in(options: str, url: str) -> int:
    limit = LIMIT_BYTES
    for option in filter(None, options.split("&")):
        name, _, value = option.partition("=")
        if name != "limit":
            raise _error(f"A spool has no option {name!r} before 'to='.", url)
        limit = _bytes(value, url)
    return limit


def _bytes(text: str, url: str) -> int:
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise _error(f"{text!r} is no size for a spool.", url)
    return int(match[1]) * _UNITS[(match[2] or "").lower()]


def _absolute(place: str, url: str) -> Path:
    try:
        return Path(place).expanduser().absolute()
    except RuntimeError as error:
        raise _error(f"The home directory in {place!r} is not known.", url) from error


def _error(message: str, url: str) -> FabricError:
    return FabricError(message, url=without_secrets(url), hint=_HINT)
