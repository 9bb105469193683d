"""A broker of Apache Kafka in KRaft mode: one JVM on loopback."""

from __future__ import annotations

import base64
import ctypes
import os
import signal
import socket
import subprocess
import time
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.ports import free_ports
from tests.services.kafka.certificates import make_certificates
from tests.services.kafka.jars import kafka_jars

USER, PASSWORD = "anna", "Sesam &öffne dich%!"
LISTENERS = ("PLAINTEXT", "SASL_PLAINTEXT", "SSL", "SASL_SSL")
PATIENCE = 60.0  # seconds for a start on a busy machine
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class Broker:
    """One broker with listeners for plain text, SASL, TLS and both, on ports that stay the same.

    Args:
        directory: for all that it writes.
        data: directory of its logs, if that is another.
        options: further lines of its configuration.
    """

    def __init__(self, directory: Path, data: Path | None = None, options: dict[str, object] | None = None):
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.data = data or directory / "data"
        self.process: subprocess.Popen | None = None
        self._classes = f"{kafka_jars()}/*"
        self.ports = dict(zip((*LISTENERS, "CONTROLLER"), free_ports(len(LISTENERS) + 1), strict=True))
        self.certificates = directory / "certificates"
        make_certificates(self.certificates)
        self._config = directory / "server.properties"
        lines = {**self._settings(), **(options or {})}
        self._config.write_text("".join(f"{name}={value}\n" for name, value in lines.items()), "utf-8")
        self._format()
        self.start()

    def address(self, listener: str = "PLAINTEXT") -> str:
        """Host and port of a listener."""
        return f"127.0.0.1:{self.ports[listener]}"

    def url(self, prefix: str | None = None, **options: object) -> str:
        """A URL of a fabric under which nothing was published, or the one with the prefix."""
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return f"kafka://{self.address()}/{prefix or uuid.uuid4().hex}" + (f"?{query}" if query else "")

    def start(self) -> None:
        """Start it, and wait until it listens."""
        command = ["java", "-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        command += ["-cp", self._classes, "kafka.Kafka", str(self._config)]
        log = (self.directory / "broker.log").open("ab")
        with log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - two system calls, and no lock is taken
            )
        self._await_ports()

    def stop(self) -> None:
        """End it in its own way."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power failure would."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Let it stand still: it listens, and answers nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        state = psutil.Process(self.process.pid)
        _wait_until(lambda: state.status() == psutil.STATUS_STOPPED, 10.0)

    def thaw(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    @contextmanager
    def frozen(self):
        """It stands still within the block."""
        self.freeze()
        try:
            yield
        finally:
            self.thaw()

    def runs(self) -> bool:
        """Whether its process is there."""
        return self.process is not None and self.process.poll() is None

    def close(self) -> None:
        """End it for sure."""
        if self.runs():
            self.kill()

    def _end(self, number: signal.Signals) -> None:
        assert self.process is not None
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(number)
        self.process.wait(PATIENCE)

    def _await_ports(self) -> None:
        for port in (self.ports[name] for name in LISTENERS):
            _wait_until(lambda port=port: self._listens(port), PATIENCE)

    def _listens(self, port: int) -> bool:
        if not self.runs():
            raise RuntimeError("The broker ended: " + (self.directory / "broker.log").read_text()[-2000:])
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return True
        return False

    def _format(self) -> None:
        name = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        command = ["java", "-cp", self._classes, "kafka.tools.StorageTool", "format"]
        command += [f"--cluster-id={name}", "-c", str(self._config)]  # it may begin with a dash
        command += ["--add-scram", f"SCRAM-SHA-256=[name={USER},password={PASSWORD}]"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def _settings(self) -> dict[str, object]:
        names = [f"{name}://{self.address(name)}" for name in LISTENERS]
        sasl = "org.apache.kafka.common.security"
        settings: dict[str, object] = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@{self.address('CONTROLLER')}",
            "listeners": ",".join([*names, f"CONTROLLER://{self.address('CONTROLLER')}"]),
            "advertised.listeners": ",".join(names),
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": ",".join(
                ["CONTROLLER:PLAINTEXT", *(f"{name}:{name}" for name in LISTENERS)]
            ),
            "log.dirs": self.data,
            "log.index.size.max.bytes": 1024 * 1024,
            "auto.create.topics.enable": "false",
            "group.initial.rebalance.delay.ms": 0,
            "offsets.topic.num.partitions": 1,
            "transaction.state.log.min.isr": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "broker.session.timeout.ms": 1500,  # so that partitions have a leader soon after a kill
            "broker.heartbeat.interval.ms": 300,
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self.certificates / "server.pem",
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.certificates / "ca.pem",
            "ssl.client.auth": "requested",
        }
        for topic in ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic"):
            settings[f"{topic}.replication.factor"] = 1
        for listener in ("sasl_plaintext", "sasl_ssl"):
            name = f"listener.name.{listener}"
            settings[f"{name}.sasl.enabled.mechanisms"] = "PLAIN,SCRAM-SHA-256,OAUTHBEARER"
            settings[f"{name}.plain.sasl.jaas.config"] = (
                f'{sasl}.plain.PlainLoginModule required user_{USER}="{_escaped(PASSWORD)}";'
            )
            settings[f"{name}.scram-sha-256.sasl.jaas.config"] = f"{sasl}.scram.ScramLoginModule required;"
            settings[f"{name}.oauthbearer.sasl.jaas.config"] = (
                f"{sasl}.oauthbearer.OAuthBearerLoginModule required;"
            )
        return settings


def _escaped(text: str) -> str:
    """As a file of properties, which is read as Latin-1, wants other characters."""
    return "".join(one if ord(one) < 128 else f"\\u{ord(one):04x}" for one in text)


def _die_with_parent() -> None:
    """A broker never outlives the tests, not even if those are killed."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setsid()


def _wait_until(condition, patience: float) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"The broker needs more than {patience} s.")
        time.sleep(0.02)
