"""Fabrics that are none, that cannot be had, or that have no such option."""

from __future__ import annotations

from pathlib import Path

from tests.user_errors.case import Case

KAFKA = "resilient(config, fabric='kafka://broker:9092/campaign{}')"


def _hub_keys(place: Path) -> None:
    from parsl_diaspora.fabric.relay.keys import make_keys

    made = make_keys(place / "keys")
    Path(made).chmod(0o644)


ANY = (
    Case("A path instead of a URL", code="resilient(config, fabric='./events')"),
    Case("A scheme that does not exist", code="open_fabric('kafak://broker:9092')"),
    Case("A scheme that is like none", code="open_fabric('redis://broker')"),
    Case("A consumer without a proper name", code="open_fabric('file:./events').consumer('my consumer')"),
    Case(
        "A consumer that starts nowhere",
        code="open_fabric('file:./events').consumer('report', start='yesterday')",
    ),
)

FILE = (
    Case("No directory", code="resilient(config, fabric='file:')"),
    Case(
        "A file in place of the directory",
        code="resilient(config, fabric='file:./events')",
        files={"events": "notes\n"},
    ),
    Case(
        "A directory that cannot be made",
        code="resilient(config, fabric='file:./notes/events')",
        files={"notes": "notes\n"},
    ),
    Case("A home directory that nobody knows", code="resilient(config, fabric='file:~nobody-at-all/events')"),
    Case("An option that does not exist", code="resilient(config, fabric='file:./events?kep=10GB')"),
    Case(
        "An option with a word that it does not know",
        code="resilient(config, fabric='file:./events?durability=always')",
    ),
    Case("A size that is none", code="resilient(config, fabric='file:./events?keep=much')"),
    Case("A size that is too small", code="resilient(config, fabric='file:./events?roll=10')"),
    Case("A span of time that is none", code="resilient(config, fabric='file:./events?keep_for=long')"),
)

SPOOL = (
    Case("Nothing behind it", code="open_fabric('spool:/scratch/events')"),
    Case("A spool behind a spool", code="open_fabric('spool:/a?to=spool:/b?to=memory:')"),
    Case("An option that does not exist", code="open_fabric('spool:./events?limits=1GB&to=memory:')"),
    Case("A limit that is no size", code="open_fabric('spool:./events?limit=much&to=memory:')"),
    Case("A limit that is too small", code="open_fabric('spool:./events?limit=10&to=memory:')"),
    Case("A topic that does not exist", code="open_fabric('spool:./events?drop=samples&to=memory:')"),
)

RELAY = (
    Case("No port, or no keys", code="open_fabric('relay:login1')"),
    Case("No keys", code="open_fabric('relay:login1:9000')"),
    Case(
        "Keys that are not there",
        code="open_fabric('relay:127.0.0.1:9000?key=keys/client.key').publisher('me')",
    ),
    Case(
        "Keys that others may read",
        code="open_fabric('relay:127.0.0.1:9000?key=keys/client.key').publisher('me')",
        given="others may read the file of the keys",
        prepare=_hub_keys,
    ),
    Case(
        "A file that holds no keys",
        code="open_fabric('relay:127.0.0.1:9000?key=notes').publisher('me')",
        files={"notes": "notes\n"},
        prepare=lambda place: (place / "notes").chmod(0o600),
    ),
    Case(
        "Events are read elsewhere",
        code="open_fabric('relay:127.0.0.1:9000?key=keys/client.key').consumer('report')",
    ),
)

KAFKA_CASES = (
    Case("No server", code="open_fabric('kafka:')"),
    Case("An option that does not exist", code=KAFKA.format("?compresion=zstd")),
    Case("An option of librdkafka without its mark", code=KAFKA.format("?linger.ms=5")),
    Case("An option without a value", code=KAFKA.format("?sasl=")),
    Case("An option with a value that it cannot have", code=KAFKA.format("?sasl=MAGIC")),
    Case("A prefix that cannot begin topics", code="open_fabric('kafka://broker:9092/my runs')"),
    Case(
        "A URL from a log, whose password was taken out",
        code="open_fabric('kafka://me:***@broker:9092/campaign')",
    ),
    Case(
        "A user without a password",
        code="open_fabric('kafka://me@broker:9092/campaign?sasl=PLAIN').publisher('me')",
    ),
    Case(
        "A variable with the password that is not set",
        code=(
            "open_fabric('kafka://me@broker:9092/campaign?sasl=PLAIN&password_env=KAFKA_PASSWORD')"
            ".publisher('me')"
        ),
    ),
    Case(
        "A file with the password that is not there",
        code=(
            "open_fabric('kafka://me@broker:9092/campaign?sasl=PLAIN&password_file=kafka.txt').publisher('me')"
        ),
    ),
    Case(
        "No client library",
        code=KAFKA.format(""),
        missing=("confluent_kafka", "kafka"),
    ),
)

OCTOPUS = (
    Case("A namespace that is none", code="open_fabric('octopus:my namespace/campaign')"),
    Case("A prefix that cannot begin topics", code="open_fabric('octopus:ns-0123456789ab/my.runs')"),
    Case("An option that does not exist", code="open_fabric('octopus:ns-0123456789ab/campaign?kees=k.json')"),
    Case(
        "A secret in the URL",
        code="open_fabric('octopus:ns-0123456789ab/campaign?rdkafka.sasl.password=x')",
    ),
    Case(
        "The SDK is not installed",
        code="open_fabric('octopus:ns-0123456789ab/campaign').publisher('me')",
        missing=("diaspora_event_sdk",),
    ),
    Case(
        "Others may read the key",
        code="open_fabric('octopus:ns-0123456789ab/campaign?login=never&keys=octopus.json').consumer('report')",
        files={"octopus.json": "{}"},
        prepare=lambda place: (place / "octopus.json").chmod(0o644),
    ),
    Case(
        "A file that holds no key",
        code="open_fabric('octopus:ns-0123456789ab/campaign?login=never&keys=octopus.json').consumer('report')",
        files={"octopus.json": "{}"},
        prepare=lambda place: (place / "octopus.json").chmod(0o600),
    ),
)

STREAM = (
    Case(
        "The binding is not installed", code="open_fabric('mofka:group.json')", missing=("diaspora_stream",)
    ),
    Case("No group file", code="open_fabric('mofka:')"),
    Case("An option that does not exist", code="open_fabric('mofka:group.json?topics=campaign')"),
    Case("An option out of its range", code="open_fabric('mofka:group.json?patience=0')"),
    Case("A name that no topic can have", code="open_fabric('mofka:group.json?topic=my topic')"),
    Case("A type of partition that does not exist", code="open_fabric('mofka:group.json?type=fast')"),
    Case(
        "Partitions, where the driver has none",
        code="open_fabric('files+diaspora:./stream?partitions=4')",
    ),
)
