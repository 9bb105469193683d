"""Failures of the place: modules, versions, files, permissions, devices, services."""

from __future__ import annotations

import socket
import subprocess
from importlib import import_module
from pathlib import Path


def import_what_is_not_installed(directory: str) -> None:
    """Import a module that no place has."""
    import_module("a_solver_that_is_not_installed")


def import_a_newer_name(directory: str) -> object:
    """Import from a module what only another version of it has."""
    from json import loads_fast  # type: ignore[attr-defined]

    return loads_fast


def load_a_missing_library(directory: str) -> None:
    """Import a compiled module whose shared library is not there."""
    import ctypes

    try:
        ctypes.CDLL("libasolver.so.7")
    except OSError as error:
        raise ImportError(str(error)) from None


def read_a_missing_file(directory: str) -> str:
    """Read an input that nobody has staged."""
    return Path(directory, "input.dat").read_text()


def write_into_a_missing_directory(directory: str) -> int:
    """Write where no directory is."""
    return Path(directory, "scratch", "out.dat").write_text("1")


def execute_what_may_not_be(directory: str) -> None:
    """Start a program that lacks its permission to run: refused even to root."""
    path = Path(directory, "solve")
    path.write_text("#!/bin/sh\n")
    path.chmod(0o644)
    subprocess.run([str(path)], check=True)


def call_a_closed_port(directory: str) -> None:
    """Connect to a port of this host at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    socket.create_connection(("127.0.0.1", port), timeout=5).close()


def call_a_service_that_hangs_up(directory: str) -> bytes:
    """Ask a web service of this host whose server closes each connection."""
    import threading
    from urllib.request import urlopen

    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            connection, _ = server.accept()
            connection.recv(1024)
            connection.close()

        threading.Thread(target=hang_up, daemon=True).start()
        with urlopen(f"http://127.0.0.1:{server.getsockname()[1]}/", timeout=5) as answer:
            data: bytes = answer.read()
            return data


def lose_the_device(directory: str) -> None:
    """Raise what array libraries raise when a kernel on the device has failed."""
    raise RuntimeError(
        "CUDA error: an illegal memory access was encountered\n"
        "CUDA kernel errors might be asynchronously reported at some other API call."
    )


def fill_the_device(directory: str) -> None:
    """Raise what array libraries raise when the device has no memory left."""
    raise RuntimeError(
        "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 15.77 GiB "
        "of which 1.02 GiB is free."
    )
