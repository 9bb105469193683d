"""An authority, and keys that it has signed, made anew for each session of tests."""

from __future__ import annotations

import subprocess
from pathlib import Path


def make_certificates(directory: Path) -> None:
    """Write ``ca.pem``, ``server.pem`` (with its key), ``client.pem``, ``client.key``, ``other.pem``."""
    directory.mkdir()
    _authority(directory, "ca", "the authority of these tests")
    _authority(directory, "other", "an authority that signed nothing here")
    for name in ("server", "client"):
        _signed(directory, name)
    both = (directory / "server.key").read_text() + (directory / "server.crt").read_text()
    (directory / "server.pem").write_text(both)
    (directory / "client.pem").write_text((directory / "client.crt").read_text())


def _authority(directory: Path, name: str, who: str) -> None:
    _openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={who}"),
        *("-keyout", directory / f"{name}.key", "-out", directory / f"{name}.pem"),
    )


def _signed(directory: Path, name: str) -> None:
    request, extension = directory / f"{name}.csr", directory / f"{name}.ext"
    extension.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    _openssl(
        *("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}"),
        *("-keyout", directory / f"{name}.key", "-out", request),
    )
    _openssl(
        *("x509", "-req", "-in", request, "-days", "2", "-extfile", extension, "-CAcreateserial"),
        *("-CA", directory / "ca.pem", "-CAkey", directory / "ca.key", "-out", directory / f"{name}.crt"),
    )


def _openssl(*arguments: object) -> None:
    command = ["openssl", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
