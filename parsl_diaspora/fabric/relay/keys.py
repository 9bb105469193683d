"""The keys of one run: who may speak to its hub, and how the hub proves that it is the one.

A directory (mode 0700) holds ``hub.key`` for the hub alone and ``client.key`` for every process of the run
(mode 0600). Both ends are authenticated by CURVE, so a stranger neither gets in nor can pose as the hub.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import msgspec
import zmq

from parsl_diaspora.errors import FabricError

HUB_FILE, CLIENT_FILE = "hub.key", "client.key"
_Key = Annotated[str, msgspec.Meta(pattern=r"^[!-~]{40}$")]  # 32 bytes in Z85


class _Secretive(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Keeps its secret out of everything but its file."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("secret", "***")]

    def __reduce__(self) -> NoReturn:
        message = f"{type(self).__name__} holds a secret and is not pickled: give the path of its file."
        raise TypeError(message)


class HubKeys(_Secretive, frozen=True):
    """What the hub knows.

    Attributes:
        public: the hub's public key, Z85.
        secret: the hub's secret key, Z85.
        allowed: public keys of those who may enter.
    """

    public: _Key
    secret: _Key
    allowed: frozenset[_Key]


class ClientKeys(_Secretive, frozen=True):
    """What a client knows.

    Attributes:
        hub: public key of the hub that it trusts, Z85.
        public: the client's public key, Z85.
        secret: the client's secret key, Z85.
    """

    hub: _Key
    public: _Key
    secret: _Key


_Keys = TypeVar("_Keys", HubKeys, ClientKeys)


def make_keys(directory: str | os.PathLike[str]) -> Path:
    """Make the keys of a new run.

    Args:
        directory: made with mode 0700 if it is not there; an existing one must be closed to others.

    Returns:
        The file that clients need.

    Raises:
        FabricError: there are keys already, or they cannot be written.

    Example:
        >>> import tempfile
        >>> make_keys(tempfile.mkdtemp()).name
        'client.key'
    """
    place = Path(directory).absolute()
    (hub, hub_secret), (client, client_secret) = _pair(), _pair()
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_open_to_others(place)
        _write(place / CLIENT_FILE, ClientKeys(hub=hub, public=client, secret=client_secret))
        _write(place / HUB_FILE, HubKeys(public=hub, secret=hub_secret, allowed=frozenset({client})))
    except OSError as error:
        hint = "Name a directory that you can write."
        raise FabricError(f"Keys cannot be made in {place}: {error.strerror}.", hint=hint) from error
    return place / CLIENT_FILE


def load_hub_keys(directory: str | os.PathLike[str]) -> HubKeys:
    """The hub's keys of a directory.

    Raises:
        FabricError: there are none, or others can read them.
    """
    return _load(Path(directory).absolute() / HUB_FILE, HubKeys)


def load_client_keys(file: str | os.PathLike[str]) -> ClientKeys:
    """The client's keys of a file.

    Raises:
        FabricError: there are none, or others can read them.
    """
    return _load(Path(file).absolute(), ClientKeys)


def _pair() -> tuple[str, str]:
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()


def _write(path: Path, keys: HubKeys | ClientKeys) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(msgspec.json.encode(keys))


def _load(path: Path, kind: type[_Keys]) -> _Keys:
    try:
        _refuse_open_to_others(path)
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise FabricError(f"The keys {path} cannot be read: {error.strerror}.", hint=_MAKE) from error
    except msgspec.MsgspecError:  # its text may quote the file
        raise FabricError(f"The file {path} holds no keys of a relay.", hint=_MAKE) from None


_MAKE = "parsl_diaspora.fabric.relay.make_keys(directory) makes them."


def _refuse_open_to_others(path: Path) -> None:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        hint = f"Use 'chmod go= {path}', and new keys if others may have read these."
        raise FabricError(f"The keys in {path} are open to others.", hint=hint)
