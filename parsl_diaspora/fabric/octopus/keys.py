"""The key of a user of Octopus: made once where somebody is logged in, read wherever events are published."""

from __future__ import annotations

import os
import stat
import uuid
from pathlib import Path

import msgspec

from parsl_diaspora.errors import FabricError

ACCESS, SECRET = "OCTOPUS_AWS_ACCESS_KEY_ID", "OCTOPUS_AWS_SECRET_ACCESS_KEY"
SERVERS = "OCTOPUS_BOOTSTRAP_SERVERS"
MODE = 0o600
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Keys(msgspec.Struct, frozen=True):
    """What a publisher or consumer needs to speak to the brokers.

    Attributes:
        access_key: names the key.
        secret_key: signs tokens.
        endpoint: addresses of brokers, as ``host:port,host:port``.
        namespace: of the user.
    """

    access_key: str
    secret_key: str
    endpoint: str
    namespace: str

    def __repr__(self) -> str:
        return f"Keys(access_key='***', secret_key='***', endpoint={self.endpoint!r}, {self.namespace!r})"

    @property
    def servers(self) -> tuple[str, ...]:
        """The brokers' addresses."""
        return tuple(server.strip() for server in self.endpoint.split(",") if server.strip())


def keys_place(namespace: str) -> Path:
    """Where a user's key is kept, unless the URL names a file."""
    return Path.home() / ".parsl-diaspora" / "octopus" / f"{namespace}.json"


def keys_of_environment(namespace: str) -> Keys | None:
    """The key that the environment gives; None unless it gives all of it."""
    found = [os.environ.get(name, "") for name in (ACCESS, SECRET, SERVERS)]
    access, secret, servers = found
    return Keys(access, secret, servers, namespace) if all(found) and namespace else None


def read_keys(path: Path, shown: str) -> Keys | None:
    """The key in a file; None if there is no such file.

    Raises:
        FabricError: others may read the file, or it holds no key.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & _OTHERS:
                message = f"The file {path} with the key of Octopus can be read or written by other users."
                raise FabricError(message, url=shown, hint=f"Run: chmod 600 {path}")
            return msgspec.json.decode(file.read(), type=Keys)
    except FileNotFoundError:
        return None
    except OSError as error:
        message = f"The file {path} with the key of Octopus cannot be read: {error.strerror}."
        raise FabricError(message, url=shown, hint="Name another file with keys=FILE.") from error
    except msgspec.MsgspecError:
        message = f"The file {path} holds no key of Octopus."
        raise FabricError(message, url=shown, hint="Delete it where you are logged in.") from None


def write_keys(path: Path, keys: Keys, shown: str) -> None:
    """Keep a key for this user alone; a reader meets the whole file or none.

    Raises:
        FabricError: the file cannot be written.
    """
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
        with os.fdopen(number, "wb") as file:
            file.write(msgspec.json.encode(keys))
            file.flush()
            os.fsync(number)
        scratch.replace(path)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        message = f"The key of Octopus cannot be kept in {path}: {error.strerror}."
        raise FabricError(message, url=shown, hint="Name another file with keys=FILE.") from error
