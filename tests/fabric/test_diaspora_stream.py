"""Streams through the stream API: what is in them, how they begin and go on, and who may be in the way."""

from __future__ import annotations

import gc
import json
import os
import signal
import struct
import subprocess
import sys
import textwrap
import threading
import time
import uuid

import jsonschema
import psutil
import pytest

from parsl_diaspora.errors import FabricError, FabricUnavailable
from parsl_diaspora.events import Event, EventsLost, TaskEnded, TaskSubmitted, encode
from parsl_diaspora.events.cloudevents import encode_cloudevent
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.diaspora_stream import NO_MORE, Framed, join_frame, split_frame
from parsl_diaspora.fabric.diaspora_stream.link import close_links
from parsl_diaspora.fabric.diaspora_stream.process import SideProcess
from parsl_diaspora.fabric.diaspora_stream.records import (
    ENDED,
    FOREIGN,
    HEARTBEAT,
    encode_record,
    mark,
    read_record,
    split_record,
)
from parsl_diaspora.fabric.stamp import Stamp
from parsl_diaspora.testing.samples import sample_events
from tests.fabric.stream_help import side_processes
from tests.waiting import becomes

CLOUDEVENT = {
    "type": "object",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "minLength": 1, "format": "uri-reference"},
        "type": {"type": "string", "minLength": 1},
        "time": {"type": "string", "format": "date-time"},
        "subject": {"type": "string", "minLength": 1},
        "datacontenttype": {"type": "string", "minLength": 1},
        "dataref": {"type": "string", "minLength": 1},
    },
}


def a_topic():
    return uuid.uuid4().hex[:12]


@pytest.fixture
def url(session_directory, stand_in):
    return f"files+diaspora:{session_directory}?topic={a_topic()}"


@pytest.fixture
def mofka_url(stream_server):
    return stream_server.url(a_topic(), patience=2)


@pytest.fixture(params=["files", "mofka"])
def any_url(request):
    return request.getfixturevalue("url" if request.param == "files" else "mofka_url")


@pytest.fixture
def raw(url, session_directory):
    """The stand-in's own handle of the topic of `url`."""
    from diaspora_stream.api import Driver

    driver = Driver(backend="files", options={"root_path": str(session_directory)})
    name = url.partition("topic=")[2]
    driver.create_topic(name)
    return driver.open_topic(name)


def push(topic, *records):
    producer = topic.producer()
    futures = [producer.push(metadata, data) for metadata, data in records]
    producer.flush()
    return [future.wait(timeout_ms=1000) for future in futures]


def pull_all(topic):
    consumer, events = topic.consumer("raw"), []
    while (event := consumer.pull().wait(timeout_ms=100)) is not None:
        events.append(event)
    return events


def say(fabric, numbers, source="me"):
    publisher = fabric.publisher(source)
    for number in numbers:
        publisher.publish(TaskSubmitted(task=number))
    assert publisher.flush(15.0).waiting == 0
    return publisher


def read(consumer, count, patience=15.0):
    events, deadline = [], time.monotonic() + patience
    while len(events) < count and time.monotonic() < deadline:
        events += consumer.poll(0.1)
    return events


def tasks(events):
    return [event.task for event in events]


# --- the records ---


@pytest.mark.parametrize("event", [*sample_events(), Event(), TaskEnded()], ids=lambda event: event.kind)
def test_metadata_are_the_cloudevent_and_data_are_empty(event):
    metadata, data = split_record(encode_record(event, 100_000))
    assert json.loads(metadata) == json.loads(encode_cloudevent(event))
    jsonschema.validate(json.loads(metadata), CLOUDEVENT)
    assert data == b""


def test_large_event_goes_into_the_data_and_leaves_small_valid_metadata():
    event = TaskEnded(boot="ab", seq=1, run="r", error="x" * 100_000)
    metadata, data = split_record(encode_record(event, 40_000))
    jsonschema.validate(json.loads(metadata), CLOUDEVENT)
    assert len(metadata) < 1000
    assert data == encode(event, "json")
    assert read_record(json.loads(metadata), data).id == "ab-1"


@pytest.mark.parametrize("time", [1e20, -1e20, 0.0])
def test_event_of_any_time_can_be_written(time):
    metadata, _ = split_record(encode_record(Event(time=time), 40_000))
    jsonschema.validate(json.loads(metadata), CLOUDEVENT)


def test_characters_that_no_encoding_has_are_spelled_out_in_the_metadata():
    metadata, _ = split_record(encode_record(Event(boot="a\udce4", run="r\udce4"), 40_000))
    assert json.loads(metadata)["subject"] == "run/r\\udce4"


@pytest.mark.parametrize("kind", [HEARTBEAT, ENDED])
def test_marks_are_valid_cloudevents_without_data(kind):
    metadata = json.loads(mark(Stamp("me"), kind))
    jsonschema.validate(metadata, CLOUDEVENT)
    assert "data" not in metadata
    assert read_record(metadata, b"").mark == kind


@pytest.mark.parametrize(
    "metadata",
    [None, [], 7, {}, {"a": 1}, {"specversion": "1.0", "type": "com.example.x"}, {"kind": 5}],
    ids=str,
)
def test_record_of_somebody_else_is_foreign(metadata):
    assert read_record(metadata, b"") == FOREIGN
    assert read_record(metadata, b"any bytes at all") == FOREIGN


def test_frame_has_the_layout_of_the_octopus_driver_bit_by_bit():
    assert join_frame(b'{"a":1}', b"\x00\xff") == (
        b"\x07\x00\x00\x00\x00\x00\x00\x00" + b"\x02\x00\x00\x00\x00\x00\x00\x00" + b'{"a":1}' + b"\x00\xff"
    )
    assert NO_MORE == b"\xff" * 16


def test_frame_of_a_peer_is_taken_apart():
    value = struct.pack("<QQ", 7, 2) + b'{"a":1}' + b"\x00\xff"
    assert split_frame(value) == Framed(b'{"a":1}', b"\x00\xff")
    assert split_frame(b"\xff" * 16) == Framed(b"", b"", ends=True)
    assert split_frame(struct.pack("<QQ", 0, 0)) == Framed(b"", b"")


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{}",
        b"x" * 16,
        struct.pack("<QQ", 2, 0) + b"{",
        struct.pack("<QQ", 2, 0) + b"{}x",
        NO_MORE + b"x",
    ],
)
def test_value_without_a_frame_is_seen_as_such(value):
    assert split_frame(value) is None


# --- with other writers in the topic ---


def test_peers_records_are_read_in_three_forms_and_others_are_skipped_and_counted(url, raw):
    plain, framed, cloud = (TaskSubmitted(boot="cafe", seq=n, task=n) for n in (1, 2, 3))
    push(
        raw,
        (json.loads(encode(plain, "json")), b""),
        ({}, join_frame(json.dumps(json.loads(encode_cloudevent(framed))).encode())),
        (json.loads(encode_cloudevent(cloud)), b""),
        ({"temperature": 20.5}, b"1234"),
        ({}, NO_MORE),
    )
    consumer = open_fabric(url).consumer("reader")
    assert read(consumer, 3) == [plain, framed, cloud]
    assert becomes(lambda: consumer.poll(0.0) == [] and consumer.skipped() == 2)
    consumer.close()


def test_event_that_is_stored_twice_is_read_once(url, raw):
    events = [json.loads(encode_cloudevent(TaskSubmitted(boot="cafe", seq=n, task=n))) for n in (1, 2, 3)]
    push(raw, *((event, b"") for event in [*events, *events, events[1]]))
    consumer = open_fabric(url).consumer("reader")
    assert tasks(read(consumer, 3)) == [1, 2, 3]
    assert consumer.poll(0.3) == []
    assert becomes(lambda: consumer.position() == {"0": 7})
    assert (consumer.lag(), consumer.skipped()) == (0, 0)
    consumer.close()


def test_a_link_that_has_ended_leaves_no_descriptor(url):
    close_links()
    gc.disable()
    try:
        before = psutil.Process().num_fds()
        publisher = open_fabric(url).publisher("me")
        publisher.publish(TaskEnded())
        assert publisher.flush(30.0).waiting == 0
        publisher.close()
        close_links()
        assert becomes(lambda: psutil.Process().num_fds() <= before)
    finally:
        gc.enable()


def test_a_process_that_is_not_understood_is_given_up(url):
    ended = threading.Event()
    side = SideProcess(open_fabric(url)._target, lambda message: 1 / 0, ended.set)
    try:
        assert ended.wait(30.0)
    finally:
        side.end(0.0)


def test_end_of_a_writer_is_said_in_the_stream_and_is_no_event(url):
    fabric = open_fabric(url)
    publisher = say(fabric, range(3))
    consumer = fabric.consumer("reader")
    boots = {event.boot for event in read(consumer, 3)}
    assert consumer.ended == set()
    publisher.close()
    assert becomes(lambda: consumer.poll(0.05) == [] and consumer.ended == boots)
    consumer.close()


def test_what_is_stored_is_valid_for_anybody(url, session_directory):
    from diaspora_stream.api import Driver

    fabric = open_fabric(url)
    publisher = say(fabric, range(3))
    publisher.publish(TaskEnded(error="x" * 100_000))
    publisher.close()
    driver = Driver(backend="files", options={"root_path": str(session_directory)})
    topic = driver.open_topic(url.partition("topic=")[2])
    assert becomes(lambda: len(pull_all(topic)) == 5)
    for event in pull_all(topic):
        jsonschema.validate(event.metadata, CLOUDEVENT)
    assert [bool(event.data) for event in pull_all(topic)] == [False, False, False, True, False]


# --- positions ---


def test_position_says_what_comes_next_and_a_consumer_can_start_there(any_url):
    fabric = open_fabric(any_url)
    say(fabric, range(10))
    consumer = fabric.consumer("reader")
    assert tasks(consumer.poll(10.0, limit=4)) == [0, 1, 2, 3]
    position = consumer.position()
    consumer.close()
    assert position == {"0": 4}
    other = fabric.consumer("other", start=position)
    assert tasks(read(other, 6)) == [4, 5, 6, 7, 8, 9]
    other.close()


def test_position_is_kept_by_us_and_survives_a_server_that_forgets(stream_server, mofka_url):
    fabric = open_fabric(mofka_url)
    say(fabric, range(10))
    consumer = fabric.consumer("reader")
    assert len(consumer.poll(10.0, limit=6)) == 6
    consumer.commit()
    consumer.close()
    stream_server.restart()
    assert becomes(lambda: _can_open(fabric), 20)
    again = fabric.consumer("reader")
    assert tasks(read(again, 4)) == [6, 7, 8, 9]
    again.close()


def _can_open(fabric):
    try:
        fabric.consumer("probe").close()
    except FabricUnavailable:
        return False
    return True


def test_servers_cursor_beyond_our_position_does_not_hide_events(mofka_url, tmp_path):
    here, there = (f"{mofka_url}&positions={tmp_path / name}" for name in ("here", "there"))
    fabric = open_fabric(here)
    say(fabric, range(10))
    consumer = fabric.consumer("reader")
    assert len(consumer.poll(10.0, limit=3)) == 3
    consumer.commit()
    consumer.close()
    elsewhere = open_fabric(there).consumer("reader", start={"0": 3})
    assert len(read(elsewhere, 7)) == 7
    elsewhere.commit()  # the server now stands at 10
    time.sleep(0.5)
    again = fabric.consumer("reader")
    assert tasks(read(again, 7)) == [3, 4, 5, 6, 7, 8, 9]
    for each in (elsewhere, again):
        each.close()


def test_without_a_position_of_ours_the_servers_cursor_counts(mofka_url, tmp_path):
    fabric = open_fabric(f"{mofka_url}&positions={tmp_path / 'lost'}")
    say(fabric, range(10))
    consumer = fabric.consumer("reader")
    read(consumer, 10)
    consumer.commit()
    time.sleep(0.5)
    consumer.close()
    say(fabric, range(10, 12))
    again = open_fabric(f"{mofka_url}&positions={tmp_path / 'new'}").consumer("reader")
    assert tasks(read(again, 2)) == [10, 11]
    again.close()


def test_damaged_position_begins_anew(url, session_directory):
    fabric = open_fabric(url)
    say(fabric, range(3))
    place = session_directory / ".parsl-diaspora" / url.partition("topic=")[2]
    place.mkdir(parents=True)
    (place / "reader.json").write_text('{"0": -')
    consumer = fabric.consumer("reader")
    assert tasks(read(consumer, 3)) == [0, 1, 2]
    consumer.close()


def test_position_that_cannot_be_kept_is_an_error_with_a_remedy(url, tmp_path):
    (tmp_path / "file").write_text("")
    fabric = open_fabric(f"{url}&positions={tmp_path / 'file'}")
    say(fabric, range(1))
    consumer = fabric.consumer("reader")
    read(consumer, 1)
    with pytest.raises(FabricUnavailable, match="positions=DIR"):
        consumer.commit()
    consumer.close()


def test_several_partitions_keep_each_sources_order_and_are_committed_together(mofka_url):
    fabric = open_fabric(f"{mofka_url}&partitions=3")
    for source in "abcdef":
        say(fabric, range(40), source)
    consumer = fabric.consumer("reader")
    events = consumer.poll(10.0, limit=100)
    consumer.commit()
    consumer.close()
    again = fabric.consumer("reader")
    events += read(again, 240 - len(events))
    for source in "abcdef":
        assert [event.task for event in events if event.source == source] == list(range(40))
    assert sorted(again.position()) == ["0", "1", "2"]
    assert sum(again.position().values()) >= 240
    again.close()


def test_file_drivers_topic_with_several_partitions_is_refused(session_directory, stand_in):
    from diaspora_stream.api import Driver

    topic = a_topic()
    driver = Driver(backend="files", options={"root_path": str(session_directory)})
    driver.create_topic(topic, options={"num_partitions": 2})
    with pytest.raises(FabricUnavailable, match="2 partitions"):
        open_fabric(f"files+diaspora:{session_directory}?topic={topic}").consumer("reader")


def test_slow_consumer_keeps_a_bounded_part_here_and_counts_the_rest_as_lag(url):
    fabric = open_fabric(url)
    consumer = fabric.consumer("reader")
    say(fabric, range(25_000))
    assert becomes(lambda: consumer.lag() >= 25_000, 20)
    assert len(consumer._items) <= 10_000
    assert tasks(read(consumer, 25_000, 60)) == list(range(25_000))
    assert becomes(lambda: consumer.lag() == 0)
    consumer.close()


# --- processes ---


def test_one_process_serves_all_topics_of_a_target_and_ends_when_nobody_uses_it(tmp_path, stand_in):
    before = {side.pid for side in side_processes()}
    fabrics = [open_fabric(f"files+diaspora:{tmp_path}?topic={name}") for name in ("one", "two")]
    publishers = [say(fabric, range(2)) for fabric in fabrics]
    (side,) = [side for side in side_processes() if side.pid not in before]
    for publisher in publishers:
        publisher.close()
    assert becomes(lambda: not side.is_running(), 15)


def test_process_that_is_killed_is_replaced_and_nothing_is_lost(any_url):
    fabric = open_fabric(any_url)
    consumer = fabric.consumer("reader")
    publisher = say(fabric, range(100))
    events = read(consumer, 50)
    for side in side_processes():
        side.kill()
    for number in range(100, 200):
        publisher.publish(TaskSubmitted(task=number))
    assert publisher.flush(20.0).safe == 200
    events += read(consumer, 200 - len(events))
    assert tasks(events) == list(range(200))
    consumer.close()


def run_program(body, *arguments, expect=0):
    code = textwrap.dedent(body)
    command = [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == expect, done.stderr
    return done.stdout


def test_forked_child_speaks_through_a_process_of_its_own(any_url):
    run_program(
        """
        import os, sys
        from parsl_diaspora.events import TaskSubmitted
        from parsl_diaspora.errors import FabricError
        from parsl_diaspora.fabric import open_fabric
        fabric = open_fabric(sys.argv[1])
        publisher = fabric.publisher("parent")
        publisher.publish(TaskSubmitted(task=0))
        assert publisher.flush(20).safe == 1
        consumer = fabric.consumer("reader")
        if not (child := os.fork()):
            publisher.publish(TaskSubmitted(task=1))
            try:
                consumer.poll()
                os._exit(2)
            except FabricError as error:
                assert "forked" in str(error)
            os._exit(0 if publisher.close(20).safe == 1 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        publisher.publish(TaskSubmitted(task=2))
        assert publisher.close(20).safe == 2
        """,
        any_url,
    )
    consumer = open_fabric(any_url).consumer("reader")
    events = read(consumer, 3)
    assert sorted(tasks(events)) == [0, 1, 2]
    assert len({event.boot for event in events}) == 2
    consumer.close()


def test_nothing_is_left_running_when_the_program_is_killed(any_url):
    told = run_program(
        """
        import os, sys
        from parsl_diaspora.events import TaskSubmitted
        from parsl_diaspora.fabric import open_fabric
        from tests.fabric.stream_help import side_processes
        publisher = open_fabric(sys.argv[1]).publisher("me")
        publisher.publish(TaskSubmitted(task=0))
        publisher.flush(20)
        if not (child := os.fork()):
            os.close(1), os.close(2)
            import time; time.sleep(60)
        print(side_processes()[0].pid, child, flush=True)
        os.kill(os.getpid(), 9)
        """,
        any_url,
        expect=-9,
    )
    side, forked = map(int, told.split())
    assert becomes(lambda: not psutil.pid_exists(side), 20)
    os.kill(forked, signal.SIGKILL)  # which did not keep the process alive


def test_several_processes_publish_into_one_topic_and_each_ones_order_is_kept(any_url):
    program = """
        import sys
        from parsl_diaspora.events import TaskSubmitted
        from parsl_diaspora.fabric import open_fabric
        publisher = open_fabric(sys.argv[1]).publisher(sys.argv[2])
        for number in range(300):
            publisher.publish(TaskSubmitted(task=number))
        """  # it ends without a close
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program), any_url]
    writers = [subprocess.Popen([*command, name]) for name in "abc"]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    consumer = open_fabric(any_url).consumer("reader")
    events = read(consumer, 900)
    for name in "abc":
        assert [event.task for event in events if event.source == name] == list(range(300))
    consumer.close()


# --- what is wrong with the URL or the place ---


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("mofka:", "path of a group file"),
        ("files+diaspora:", "directory"),
        ("mofka:g.json?topik=x", "Did you mean 'topic'"),
        ("mofka:g.json?topic=a/b", "no name for a topic"),
        ("mofka:g.json?partitions=0", "no value for 'partitions'"),
        ("mofka:g.json?patience=nan", "no value for 'patience'"),
        ("mofka:g.json?create=maybe", "yes, no"),
        ("mofka:g.json?type=fast", "default, memory, legacy"),
        ("files+diaspora:d?type=memory", "Only Mofka"),
        ("files+diaspora:d?partitions=2", "tell partitions apart"),
    ],
)
def test_url_that_no_stream_can_have_is_an_error(url, why):
    with pytest.raises(FabricError, match=why):
        open_fabric(url)


def test_binding_that_is_not_installed_is_said_with_a_remedy(tmp_path):
    with pytest.raises(FabricUnavailable, match=r"diaspora_stream is not installed.*Spack"):
        open_fabric(f"files+diaspora:{tmp_path}")


@pytest.mark.parametrize(
    ("content", "why"), [(None, "No such file"), ("{", "no JSON"), ("[]", "describes no group")]
)
@pytest.mark.usefixtures("stand_in")
def test_wrong_group_file_is_said(tmp_path, content, why):
    if content is not None:
        (tmp_path / "group.json").write_text(content)
    with pytest.raises(FabricUnavailable, match=why):
        open_fabric(f"mofka:{tmp_path / 'group.json'}")


@pytest.mark.usefixtures("stand_in")
def test_unreadable_group_file_is_said(tmp_path):
    (tmp_path / "group.json").mkdir()
    with pytest.raises(FabricUnavailable, match="cannot be read"):
        open_fabric(f"mofka:{tmp_path / 'group.json'}")


@pytest.mark.usefixtures("stand_in")
def test_group_file_of_another_kind_is_said_when_the_stream_is_opened(tmp_path):
    (tmp_path / "group.json").write_text('{"servers": []}')
    fabric = open_fabric(f"mofka:{tmp_path / 'group.json'}?patience=2")
    publisher = fabric.publisher("me")
    publisher.publish(TaskSubmitted())
    assert publisher.flush(0.2).waiting == 1
    with pytest.raises(FabricUnavailable, match="group file"):
        fabric.consumer("reader")
    assert publisher.close(0.1).lost == 1


def test_topic_that_may_not_be_made_is_waited_for_by_writers_and_refused_to_readers(any_url):
    strict = open_fabric(f"{any_url}&create=no")
    publisher = strict.publisher("me")
    publisher.publish(TaskSubmitted(task=1))
    assert publisher.flush(0.5).waiting == 1
    with pytest.raises(FabricUnavailable, match=r"missing.*create=no"):
        strict.consumer("reader")
    open_fabric(any_url).consumer("maker").close()
    assert publisher.flush(15.0).safe == 1
    consumer = strict.consumer("reader")
    assert tasks(read(consumer, 1)) == [1]
    consumer.close()


@pytest.mark.usefixtures("stand_in")
def test_directory_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FabricUnavailable, match="is a file"):
        open_fabric(f"files+diaspora:{tmp_path / 'file'}")
    with pytest.raises(FabricUnavailable, match="cannot be made"):
        open_fabric(f"files+diaspora:{tmp_path / 'file' / 'below'}").publisher("me")


def test_event_that_is_too_large_is_counted_and_said_and_others_go_on(any_url):
    fabric = open_fabric(any_url)
    publisher = fabric.publisher("me")
    for event in (TaskSubmitted(task=1), TaskEnded(run="r", error="x" * 600_000), TaskSubmitted(task=2)):
        publisher.publish(event)
    report = publisher.flush(15.0)
    assert (report.safe, report.waiting, report.lost) == (3, 0, 1)
    consumer = fabric.consumer("reader")
    events = read(consumer, 3)
    assert [event.seq for event in events] == [1, 2, 3]
    assert [event.run for event in events if isinstance(event, EventsLost)] == ["r"]
    consumer.close()


@pytest.mark.parametrize("name", ["", "a/b", "x" * 65])
def test_name_that_no_consumer_can_have_is_an_error(url, name):
    with pytest.raises(FabricError, match="no name"):
        open_fabric(url).consumer(name)


@pytest.mark.usefixtures("stand_in")
def test_binding_of_another_release_is_said(tmp_path, monkeypatch):
    package = tmp_path / "older" / "diaspora_stream"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "api.py").write_text("class Driver:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path / "older")
    with pytest.raises(FabricUnavailable, match="another interface"):
        open_fabric(f"files+diaspora:{tmp_path}").consumer("reader")
