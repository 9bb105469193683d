"""What travels with a try: plain data that either side can read, and an announcement for one thread only."""

from __future__ import annotations

import threading

import msgspec

from parsl_diaspora.events import Failure
from parsl_diaspora.executors.launch import Launch, Report, launching, pack, read_launch, read_report


def test_what_a_worker_is_told_arrives_as_it_was():
    told = Launch(run="r", task=7, try_id=2, executor="alder", url="file:/log", avoid=("m1",), declined=3)
    assert read_launch(pack(told)) == told


def test_what_a_worker_tells_arrives_as_it_was():
    failure = Failure(chain=("x.Odd",), message="\x00\udcff ü", errno=28)
    told = Report(
        block="0", manager="m1", worker=3, node="n1", pid=9, seconds=0.5, failure=failure, unsaid="full"
    )
    arrived = read_report(pack(msgspec.structs.replace(told, failure=None)))
    assert arrived == msgspec.structs.replace(told, failure=None)
    assert read_report(pack(Report("0", "m1", 3, "n1", 9, failure=Failure(errno=28)))).failure.errno == 28


def test_an_older_sender_that_knows_fewer_fields_is_understood():
    assert read_launch(msgspec.msgpack.encode(["r", 7, 2, "alder"])).avoid == ()
    assert not read_report(msgspec.msgpack.encode(["0", "m1", 3, "n1", 9])).declined


def test_a_newer_sender_that_knows_more_fields_is_understood():
    told = [*msgspec.to_builtins(Launch(run="r", task=7, try_id=2, executor="alder")), "something new"]
    assert read_launch(msgspec.msgpack.encode(told)).executor == "alder"


def test_an_announcement_is_not_seen_by_other_threads():
    launching.launch = Launch(run="r", task=7, try_id=2, executor="alder")
    seen = []
    thread = threading.Thread(target=lambda: seen.append(launching.launch))
    thread.start()
    thread.join()
    launching.launch = None
    assert seen == [None]
