"""The stand-in of the stream API fails loudly where the real one loses events, hangs or crashes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from tests.fabric.stream_help import MISUSE, PACKAGE, StreamServer

_PRELUDE = """
import gc, os, sys, threading, time
from diaspora_stream.api import Driver, Exception as StreamError
from diaspora_stream.misuse import Misuse

backend, place, topic = sys.argv[1:]
key = "root_path" if backend == "files" else "group_file"
driver = Driver(backend=backend, options={key: place})


def make(**config):
    driver.create_topic(topic, options={"num_partitions": 1, "config": config or {"type": "default"}})
    return driver.open_topic(topic)


def pushed(producer, count, start=0):
    futures = [producer.push({"n": n}) for n in range(start, start + count)]
    producer.flush()
    return [future.wait(timeout_ms=2000) for future in futures]


def pulled(consumer, count):
    events, pull = [], None
    while len(events) < count:
        pull = pull or consumer.pull()
        if (event := pull.wait(timeout_ms=1000)) is None:
            if pull.completed():
                break
            continue
        events.append(event)
        pull = None
    return events


def is_misuse(call, *arguments, **options):
    try:
        call(*arguments, **options)
    except Misuse:
        return True
    return False


def in_a_fork(call):
    child = os.fork()
    if not child:
        os._exit(0 if is_misuse(call) else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def leave():
    sys.stdout.flush()
    os._exit(0)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = StreamServer(tmp_path_factory.mktemp("server"))
    yield server
    server.kill()


@pytest.fixture
def log(tmp_path):
    return tmp_path / "misuse"


@pytest.fixture
def run(tmp_path, log, request):
    """Run a program against the stand-in; its misuses are in the log."""

    def run(body, place, *, backend="mofka:libmofka.so", expect=0):
        code = _PRELUDE + textwrap.dedent(body)
        topic = request.node.name[-40:]
        command = [sys.executable, "-W", "ignore", "-c", code, backend, str(place), topic]
        environment = {**os.environ, "PYTHONPATH": str(PACKAGE), MISUSE: str(log)}
        environment["NA_OFI_OP_RETRY_TIMEOUT"] = "300"
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False, env=environment
        )
        assert done.returncode == expect, done.stderr
        return done.stdout

    return run


def test_good_use_of_mofka_is_no_misuse(run, server, log):
    run(
        """
        topic = make()
        assert pushed(topic.producer(batch_size=64), 100) == list(range(100))
        consumer = topic.consumer("reader", batch_size=64)
        events = pulled(consumer, 100)
        assert [event.event_id for event in events] == list(range(100))
        assert events[7].metadata == {"n": 7}
        events[-1].acknowledge()
        leave()
        """,
        server.group_file,
    )
    assert not log.exists()


def test_good_use_of_files_is_no_misuse_in_threads_and_forks(run, tmp_path, log):
    run(
        """
        topic = make()
        producer = topic.producer()
        threads = [threading.Thread(target=pushed, args=(topic.producer(), 50)) for _ in range(2)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        if not (child := os.fork()):
            pushed(topic.producer(), 10)
            os._exit(0)
        os.waitpid(child, 0)
        consumer = topic.consumer("reader")
        assert len(pulled(consumer, 200)) == 110
        assert consumer.pull().wait(timeout_ms=1) is None
        """,
        tmp_path,
        backend="files",
    )
    assert not log.exists()


def test_files_are_there_for_a_process_that_comes_later(run, tmp_path):
    run("topic = make(); pushed(topic.producer(), 5)", tmp_path, backend="files")
    run(
        """
        topic = driver.open_topic(topic)
        assert pushed(topic.producer(), 1) == [5]
        events = pulled(topic.consumer("reader"), 10)
        assert [event.metadata["n"] for event in events] == [0, 1, 2, 3, 4, 0]
        """,
        tmp_path,
        backend="files",
    )


def test_writer_that_is_killed_half_way_leaves_whole_records_only(run, tmp_path):
    run("topic = make(); pushed(topic.producer(), 3)", tmp_path, backend="files")
    (log,), (index,) = tmp_path.glob("*/0.log"), tmp_path.glob("*/0.index")
    with log.open("ab") as torn:
        torn.write(b'{"n": 3')
    with index.open("ab") as torn:
        torn.write(b"\\0" * 7)
    run(
        """
        topic = driver.open_topic(topic)
        assert pushed(topic.producer(), 2, start=3) == [3, 4]
        assert [event.metadata["n"] for event in pulled(topic.consumer("reader"), 9)] == [0, 1, 2, 3, 4]
        """,
        tmp_path,
        backend="files",
    )


@pytest.mark.parametrize("name", ["reader", "another"])
def test_cursor_is_kept_for_a_name_until_the_server_restarts(run, server, name):
    first = """
        topic = make()
        pushed(topic.producer(batch_size=64), 10)
        consumer = topic.consumer("reader", batch_size=64)
        pulled(consumer, 5)[-1].acknowledge()
        leave()
    """
    run(first, server.group_file)
    again = """
        topic = driver.open_topic(topic)
        consumer = topic.consumer({name!r}, batch_size=64)
        print(pulled(consumer, 1)[0].event_id)
        leave()
    """
    assert int(run(again.format(name=name), server.group_file)) == (5 if name == "reader" else 0)
    server.restart()
    assert int(run(again.format(name=name), server.group_file)) == 0


@pytest.mark.parametrize(
    "misuse",
    [
        "future.wait(timeout_ms=2148)",
        "future.wait(timeout_ms=0)",
        "future.wait(timeout_ms=-1)",
        "consumer.pull(), consumer.pull()",
        "events[1].acknowledge(), events[0].acknowledge()",
        "[producer.push({}) for _ in range(1000)]",
    ],
)
def test_call_that_loses_or_hangs_is_a_misuse(run, server, log, misuse):
    run(
        f"""
        topic = make()
        producer = topic.producer(batch_size=64)
        pushed(producer, 3)
        consumer = topic.consumer("reader", batch_size=64)
        events = pulled(consumer, 3)
        future = producer.push({{}})
        keep = []
        pull = consumer.pull
        consumer.pull = lambda: keep.append(pull())
        assert is_misuse(lambda: ({misuse}))
        leave()
        """,
        server.group_file,
    )
    assert log.exists()


def test_wait_without_a_timeout_is_a_type_error(run, server):
    run(
        """
        future = make().producer().push({})
        try:
            future.wait()
        except TypeError:
            leave()
        """,
        server.group_file,
    )


@pytest.mark.parametrize("call", ["producer.push({})", "producer.flush()", "driver.open_topic(topic.name)"])
def test_call_from_another_thread_or_a_fork_is_a_misuse(run, server, log, call):
    run(
        f"""
        topic = make()
        producer = topic.producer()
        found = []
        thread = threading.Thread(target=lambda: found.append(is_misuse(lambda: {call})))
        thread.start()
        thread.join()
        assert found == [True]
        assert in_a_fork(lambda: {call})
        leave()
        """,
        server.group_file,
    )
    assert "thread" in log.read_text()
    assert "forked" in log.read_text()


def test_driver_in_a_forked_child_is_a_misuse(run, server, log):
    run(
        """
        assert in_a_fork(lambda: Driver(backend=backend, options={key: place}))
        leave()
        """,
        server.group_file,
    )
    assert "hangs" in log.read_text()


@pytest.mark.parametrize("driver", ["mofka", "files"])
def test_buffer_that_changes_before_its_push_is_done_is_a_misuse(run, server, tmp_path, log, driver):
    run(
        """
        producer = make().producer()
        buffer = bytearray(b"abc")
        future = producer.push({}, buffer)
        buffer[0] = 0
        assert is_misuse(lambda: (producer.flush(), future.wait(timeout_ms=2000)))
        leave()
        """,
        *((server.group_file,) if driver == "mofka" else (tmp_path,)),
        backend="mofka:libmofka.so" if driver == "mofka" else "files",
    )
    assert "buffer" in log.read_text()


@pytest.mark.parametrize(
    ("drop", "word"),
    [
        ("del consumer; gc.collect()", "dropped"),
        ("consumer.pull()", "takes an event"),
        ("sys.exit(0)", "normal exit"),
    ],
)
def test_consumer_or_pull_that_is_dropped_aborts_the_process(run, server, log, drop, word):
    run(
        f"""
        topic = make()
        consumer = topic.consumer("reader", batch_size=64)
        {drop}
        leave()
        """,
        server.group_file,
        expect=-signal.SIGABRT,
    )
    assert word in log.read_text()


@pytest.mark.parametrize(
    "abuse",
    [
        "topic.consumer('reader', batch_size=65)",
        "[producer.push({'x': 'y' * 1000}) for _ in range(66)], producer.flush(), time.sleep(0.5)",
    ],
)
def test_too_large_batches_abort_the_server(run, tmp_path, log, abuse, monkeypatch):
    monkeypatch.setenv(MISUSE, str(log))
    server = StreamServer(tmp_path)
    run(
        f"""
        topic = make()
        producer = topic.producer()
        try:
            {abuse}
        except StreamError:
            pass
        leave()
        """,
        server.group_file,
    )
    assert server.process.wait(10) == -signal.SIGABRT
    assert "no bucket" in log.read_text()


def test_death_of_the_server_shows_in_push_futures_only(run, tmp_path):
    server = StreamServer(tmp_path)
    run(
        f"""
        topic = make()
        producer = topic.producer(batch_size=64)
        consumer = topic.consumer("reader", batch_size=64)
        pull = consumer.pull()
        os.kill({server.process.pid}, 9)
        time.sleep(0.2)
        future = producer.push({{}})
        flushed = producer.flush()
        try:
            while future.wait(timeout_ms=100) is None: pass
        except StreamError as error:
            assert str(error) == ""
        else:
            raise AssertionError
        assert flushed.wait(timeout_ms=100) is True
        assert pull.wait(timeout_ms=100) is None
        assert not topic.driver.topic_exists("anything")
        leave()
        """,
        server.group_file,
    )
    server.kill()


def test_call_to_a_frozen_server_stops_the_whole_interpreter(run, tmp_path):
    server = StreamServer(tmp_path)
    run(
        f"""
        topic = make()
        os.kill({server.process.pid}, 19)
        beats = []
        def beat():
            while True:
                beats.append(time.monotonic())
                time.sleep(0.02)
        threading.Thread(target=beat, daemon=True).start()
        if not os.fork():
            time.sleep(1.0)
            os.kill({server.process.pid}, 18)
            os._exit(0)
        driver.open_topic(topic.name)
        assert max(b - a for a, b in zip(beats, beats[1:] + [time.monotonic()])) > 0.7
        leave()
        """,
        server.group_file,
    )
    server.kill()


def test_unknown_backends_topics_and_metadata_are_told_by_their_texts(run, server):
    run(
        """
        def text(call):
            try:
                call()
            except StreamError as error:
                return str(error)
        topic = make()
        assert "not found" in text(lambda: driver.open_topic("missing"))
        assert "already exists" in text(lambda: driver.create_topic(topic.name))
        assert text(lambda: topic.producer().push("{")) == "Could not parse JSON"
        assert "backend" in text(lambda: Driver(backend="kafka"))
        leave()
        """,
        server.group_file,
    )
