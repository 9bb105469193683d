"""The engine: at least once, in order per trigger, and nothing vanishes silently."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import Future
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from parsl_diaspora.errors import FabricUnavailable, NonRetryable, PatternError, SettingsError
from parsl_diaspora.events import RunEnded, TaskEnded, TriggerFailed, TriggerFired, TriggerHeldBack
from parsl_diaspora.events.cloudevents import from_cloudevent
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.triggers import Pattern, TriggerEngine
from parsl_diaspora.settings import Settings
from parsl_diaspora.testing.faulty_fabric import FaultyFabric
from parsl_diaspora.trigger_settings import Action, Trigger
from tests.waiting import becomes

ENDED = {"kind": ["task.ended"]}
ROOT = Path(__file__).parents[2]


def trigger(call=None, *, action=None, pattern=ENDED, **options):
    chosen = {"name": "t", "retry_delay": 0.01, **options}
    return Trigger(pattern=pattern, action=action or Action(call=call), **chosen)


@pytest.fixture
def fabric():
    return open_fabric("memory:")


@pytest.fixture
def say(fabric):
    publisher = fabric.publisher("submit:h:1")

    def publish(*tasks, **fields):
        for task in tasks:
            publisher.publish(TaskEnded(task=task, run="r", **fields))

    return publish


@pytest.fixture
def finish(fabric):
    def run(*triggers, timeout=20.0, **options):
        engine = TriggerEngine(fabric, triggers, **options)
        engine.start()
        assert engine.finish(timeout)
        return engine

    return run


def told(fabric, kind, reader="reader"):
    """What the engine has said since the last time."""
    consumer = fabric.consumer(reader)
    events = [event for event in consumer.poll() if isinstance(event, kind)]
    consumer.commit()
    return events


# --- actions --------------------------------------------------------------------------------------------


def test_each_event_that_fits_gets_its_action_once_and_in_order(fabric, say, finish):
    seen = []
    say(*range(50))
    fabric.publisher("x").publish(RunEnded())
    engine = finish(trigger(lambda event: seen.append(event["task"])))
    assert seen == list(range(50))
    assert engine.counts()["t"].fired == 50
    fired = told(fabric, TriggerFired)
    assert [event.trigger for event in fired] == ["t"] * 50
    assert len({event.cause for event in fired}) == 50
    assert {event.run for event in fired} == {"r"}


def test_engine_of_the_same_name_goes_on_where_the_last_one_stopped(say, finish):
    seen = []
    say(1, 2)
    finish(trigger(lambda event: seen.append(event["task"])))
    say(3)
    finish(trigger(lambda event: seen.append(event["task"])))
    assert seen == [1, 2, 3]


def test_engine_that_starts_at_the_latest_event_misses_none_that_comes_while_it_is_away(fabric, say, finish):
    seen = []
    say(1)
    finish(trigger(lambda event: seen.append(event["task"])), start="latest")
    say(2)
    finish(trigger(lambda event: seen.append(event["task"])), start="latest")
    assert seen == [2]


def test_action_that_fails_is_tried_again_and_then_becomes_a_dead_letter_with_the_event_and_why(
    fabric, say, finish
):
    tries = []

    def fail(event):
        tries.append((event["task"], time.monotonic()))
        raise RuntimeError("no such host")

    say(1, 2)
    engine = finish(trigger(fail, retries=2, retry_delay=0.1))
    letters = told(fabric, TriggerFailed)
    assert sorted(letter.event["task"] for letter in letters) == [1, 2]
    assert {(letter.why, letter.tries, letter.event_kind) for letter in letters} == {
        ("RuntimeError: no such host", 3, "task.ended")
    }
    first, second, third = (when for task, when in tries if task == 1)
    assert second - first >= 0.1
    assert third - second >= 0.2
    counts = engine.counts()["t"]
    assert (counts.failed, counts.retried, counts.fired) == (2, 4, 0)


def test_action_that_fails_at_first_is_done_in_the_end(fabric, say, finish):
    tries = Counter()

    def fail_twice(event):
        tries[event["task"]] += 1
        if tries[event["task"]] < 3:
            raise OSError("not yet")

    say(1)
    finish(trigger(fail_twice))
    assert [event.tries for event in told(fabric, TriggerFired)] == [3]
    assert told(fabric, TriggerFailed, "other") == []


def test_action_that_says_so_is_not_tried_again(fabric, say, finish):
    def fail(event):
        raise NonRetryable("it is gone")

    say(1)
    finish(trigger(fail))
    (letter,) = told(fabric, TriggerFailed)
    assert (letter.tries, letter.why) == (1, "it is gone")


@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt(), RecursionError(), UnicodeError("\udc80")]
)
def test_whatever_an_action_raises_the_engine_goes_on(fabric, say, finish, error):
    seen = []

    def act(event):
        if event["task"] == 1:
            raise error
        seen.append(event["task"])

    say(1, 2)
    finish(trigger(act, retries=0))
    assert seen == [2]
    assert len(told(fabric, TriggerFailed)) == 1


def test_action_ends_as_its_future_does_and_does_not_hold_up_others(fabric, say, finish):
    futures = {}

    def begin(event):
        futures[event["task"]] = future = Future()
        if len(futures) == 3:
            futures[2].set_exception(ValueError("bad"))
            futures[1].cancel()
            futures[1].set_running_or_notify_cancel()
            future.set_result(None)
        return future

    say(1, 2, 3)
    finish(trigger(begin, retries=0))
    assert {letter.event["task"]: letter.why for letter in told(fabric, TriggerFailed)} == {
        1: "CancelledError",
        2: "ValueError: bad",
    }
    assert len(told(fabric, TriggerFired, "other")) == 1


def test_action_that_takes_too_long_is_given_up_and_the_next_one_goes_on(fabric, say, finish):
    release, seen = threading.Event(), []

    def act(event):
        if event["task"] < 3:
            release.wait(20)
        seen.append(event["task"])

    say(1, 2, 3)
    finish(trigger(act, timeout=0.2))
    assert seen == [3]
    release.set()
    letters = told(fabric, TriggerFailed)
    assert [letter.event["task"] for letter in letters] == [1, 2]
    assert all("longer than 0.2 s" in letter.why and letter.tries == 1 for letter in letters)


def test_slow_action_of_one_trigger_does_not_hold_up_another(fabric, say):
    release, seen = threading.Event(), []
    slow = trigger(lambda event: release.wait(20), name="slow")
    engine = TriggerEngine(fabric, [slow, trigger(lambda event: seen.append(event["task"]), name="quick")])
    engine.start()
    say(*range(20))
    becomes(lambda: len(seen) == 20, 60)
    release.set()
    assert engine.finish()


def test_engine_that_commits_nothing_is_not_held_up_by_one_slow_action(fabric, say):
    release, seen = threading.Event(), []
    slow = trigger(lambda event: release.wait(20), name="slow", at_most=1)
    quick = trigger(lambda event: seen.append(event["task"]), name="quick")
    engine = TriggerEngine(fabric, [slow, quick], durable=False, most_uncommitted=5)
    engine.start()
    say(*range(40))
    becomes(lambda: len(seen) == 40, 60)
    assert not release.is_set()
    assert seen == list(range(40))
    release.set()
    assert engine.finish()
    assert sum(event.count for event in told(fabric, TriggerHeldBack)) == 39


# --- held back ------------------------------------------------------------------------------------------


def test_no_more_actions_than_allowed_are_done_in_a_span_and_the_others_are_counted(fabric, say, finish):
    seen = []
    say(*range(30))
    engine = finish(trigger(lambda event: seen.append(event["task"]), at_most=4, per=600))
    assert seen == [0, 1, 2, 3]
    held = told(fabric, TriggerHeldBack)
    assert (sum(event.count for event in held), {event.why for event in held}) == (26, {"throttled"})
    assert engine.counts()["t"].throttled == 26


def test_throttled_trigger_acts_again_when_the_span_is_over(fabric, say):
    seen = []
    engine = TriggerEngine(fabric, [trigger(lambda event: seen.append(event["task"]), at_most=1, per=0.3)])
    engine.start()
    say(1, 2)
    becomes(lambda: engine.counts()["t"].throttled == 1, 60)
    time.sleep(0.35)
    say(3)
    assert engine.finish()
    assert seen == [1, 3]


def test_event_that_comes_twice_gets_one_action(fabric, finish):
    seen = []
    publisher = fabric.publisher("x")
    event = TaskEnded(task=1, run="r")
    publisher.publish(event)
    for _ in range(3):
        publisher.forward(event)
    engine = finish(trigger(lambda event: seen.append(event["task"])))
    assert seen == [1]
    assert engine.counts()["t"].duplicates == 3


def test_of_events_alike_in_the_named_fields_only_the_first_counts(fabric, say, finish):
    seen = []
    say(1, error="a")
    say(2, error="a")
    say(3, error="b")
    say(4, 5, error="a", executor="gpu")
    finish(trigger(lambda event: seen.append(event["task"]), unique_by=["error", "executor"]))
    assert seen == [1, 3, 4]
    (held,) = told(fabric, TriggerHeldBack)
    assert (held.count, held.why) == (2, "repeated")


# --- no circles -----------------------------------------------------------------------------------------


def test_triggers_on_each_others_failures_do_not_go_round_in_circles(fabric, say, finish):
    def fail(event):
        raise NonRetryable("never")

    both = {"kind": ["task.ended", "trigger.failed", "trigger.fired", "trigger.held_back"]}
    say(1)
    engine = finish(trigger(fail, name="a", pattern=both), trigger(fail, name="b", pattern=both))
    counts = engine.counts()
    assert [counts[name].failed for name in "ab"] == [2, 2]  # the event, and the other's letter about it


def test_event_published_to_the_fabric_that_it_came_from_is_known_again(say, finish):
    fabric = open_fabric("memory:round")
    fabric.publisher("x").publish(TaskEnded(task=1, run="r"))
    engine = TriggerEngine(fabric, [trigger(action=Action(publish="memory:round"))])
    engine.start()
    assert engine.finish()
    counts = engine.counts()["t"]
    assert (counts.fired, counts.duplicates) == (1, 1)


# --- places ---------------------------------------------------------------------------------------------


def test_publish_passes_the_event_on_as_it_is(fabric, say, finish, tmp_path):
    say(7)
    finish(trigger(action=Action(publish=f"file:{tmp_path}/other")))
    (there,) = open_fabric(f"file:{tmp_path}/other").consumer("r").poll()
    (here,) = told(fabric, TaskEnded)
    assert there == here


def test_dead_letters_go_to_the_place_that_is_named(fabric, say, finish, tmp_path):
    say(7)
    finish(trigger(lambda event: 1 / 0, retries=0, dead_letter=f"file:{tmp_path}/dead"))
    (letter,) = open_fabric(f"file:{tmp_path}/dead").consumer("r").poll()
    assert (letter.trigger, letter.event["task"]) == ("t", 7)
    assert told(fabric, TriggerFailed) == []


def test_position_is_not_committed_before_the_dead_letter_is_safe(fabric, say):
    faulty = FaultyFabric(fabric)
    say(1)
    engine = TriggerEngine(faulty, [trigger(lambda event: 1 / 0, retries=0)])
    faulty.fault = "deaf"
    engine.start()
    becomes(lambda: engine.counts()["t"].failed == 1, 60)
    engine.stop()
    again = []
    faulty.fault = "up"
    engine = TriggerEngine(faulty, [trigger(lambda event: again.append(event["task"]))])
    engine.start()
    assert engine.finish()
    assert again == [1]


class BrokenPolls:
    """A fabric whose consumer cannot read at first."""

    def __init__(self, inner, times):
        self.inner, self.times, self.url = inner, times, inner.url
        self.publisher = inner.publisher

    def consumer(self, name, *, start):
        consumer, poll = self.inner.consumer(name, start=start), None
        poll = consumer.poll

        def broken(timeout=0.0, limit=10_000):
            if self.times > 0:
                self.times -= 1
                raise FabricUnavailable("The broker is away.")
            return poll(timeout, limit)

        consumer.poll = broken
        return consumer


def test_fabric_that_cannot_be_read_for_a_while_does_not_stop_the_engine(fabric, say):
    seen, faults = [], []
    say(1)
    engine = TriggerEngine(
        BrokenPolls(fabric, 2),
        [trigger(lambda event: seen.append(event["task"]))],
        absorb=lambda part, error: faults.append((part, str(error))),
    )
    engine.start()
    becomes(lambda: seen == [1], 60)
    assert engine.finish()
    assert faults == [("triggers", "The broker is away.")] * 2


def test_what_is_under_way_when_nobody_will_come_back_becomes_a_dead_letter(fabric, say):
    release = threading.Event()
    say(1)
    engine = TriggerEngine(fabric, [trigger(lambda event: release.wait(20))])
    engine.start()
    becomes(lambda: engine.counts()["t"].matched == 1, 60)
    assert not engine.finish(0.1, gives_up=True)
    release.set()
    (letter,) = told(fabric, TriggerFailed)
    assert "ended before" in letter.why


def test_engine_leaves_no_thread(fabric, say, finish):
    say(1)
    finish(trigger(lambda event: None))
    becomes(lambda: not [t for t in threading.enumerate() if "diaspora-trigger" in t.name], 60)


# --- webhooks -------------------------------------------------------------------------------------------


@pytest.fixture
def server():
    """A web server on loopback that answers as told and keeps what it got."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.got.append((self.path, dict(self.headers), body))
            answer = self.server.answers.pop(0) if self.server.answers else 204
            if answer == "hang":
                self.server.release.wait(20)
                return
            self.send_response(answer)
            if answer == 302:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST  # noqa: N815 - the server's own names

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.got, server.answers, server.release = [], [], threading.Event()
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_port}/hook/s3cret-path"
    yield server
    server.release.set()
    server.shutdown()
    server.server_close()


def test_webhook_gets_the_event_as_a_cloudevent_with_secrets_from_environment_and_file(  # noqa: PLR0917
    fabric, say, finish, server, tmp_path, monkeypatch, caplog
):
    (tmp_path / "token").write_text("Bearer s3cret-file\n")
    monkeypatch.setenv("HOOK_KEY", "s3cret-env")
    headers = {"Authorization": f"file:{tmp_path}/token", "X-Key": "env:HOOK_KEY", "X-Plain": "s3cret-plain"}
    hook = trigger(action=Action(webhook=server.url, headers=headers))
    server.answers = [503, 204]
    say(7)
    finish(hook)
    (path, sent, body), _ = server.got
    assert path == "/hook/s3cret-path"
    assert (sent["Authorization"], sent["X-Key"]) == ("Bearer s3cret-file", "s3cret-env")
    assert sent["Content-Type"] == "application/cloudevents+json"
    assert from_cloudevent(json.loads(body)).task == 7
    (fired,) = told(fabric, TriggerFired)
    assert fired.tries == 2
    settings = Settings(triggers=[hook])
    shown = f"{fired} {settings} {settings.shown()} {hook.action} {hook.action!r} {caplog.text}"
    assert "s3cret" not in shown


@pytest.mark.parametrize(("answer", "tries"), [(400, 1), (404, 1), (302, 1), (429, 2), (500, 2)])
def test_webhook_is_tried_again_only_where_that_can_help(  # noqa: PLR0917
    fabric, say, finish, server, answer, tries, caplog
):
    server.answers = [answer] * 5
    say(1)
    finish(trigger(action=Action(webhook=server.url), retries=1))
    assert len(server.got) == tries
    (letter,) = told(fabric, TriggerFailed)
    assert str(answer) in letter.why
    assert letter.tries == tries
    assert "s3cret" not in f"{letter} {caplog.text}"


def test_webhook_that_hangs_or_is_not_there_is_a_failure_in_time(fabric, say, finish, server):
    server.answers = ["hang"]
    say(1)
    hangs = trigger(action=Action(webhook=server.url), retries=0, timeout=0.6, name="hangs")
    gone = trigger(action=Action(webhook="http://127.0.0.1:1/x"), retries=0, name="gone")
    begun = time.monotonic()
    finish(hangs, gone)
    assert time.monotonic() - begun < 10
    why = {letter.trigger: letter.why for letter in told(fabric, TriggerFailed)}
    assert "took too long" in why["hangs"]
    assert "Connection refused" in why["gone"]


BAD_HOOKS = [
    ({"webhook": "ftp://host/x"}, "no URL of a web server"),
    ({"webhook": "https://"}, "no URL of a web server"),
    ({"webhook": "https://host:port/x"}, "no URL of a web server"),
    ({"webhook": "https://me:s3cret@host/x"}, "password"),
    ({"webhook": "env:NO_SUCH_VARIABLE"}, "not set"),
    ({"webhook": "file:/no/such/file"}, "cannot be read"),
    ({"webhook": "http://example.org/x", "headers": {"Authorization": "s3cret"}}, "unencrypted"),
    ({"webhook": "http://example.org/x", "headers": {"X": "env:HOME"}}, "unencrypted"),
    ({"webhook": "https://host/x", "headers": {"X": "s3cret\r\nY: 1"}}, "cannot be sent"),
    ({"webhook": "https://host/x", "headers": {"X Y": "s3cret"}}, "cannot be sent"),
]


@pytest.mark.parametrize(("action", "words"), BAD_HOOKS, ids=[each[1] for each in BAD_HOOKS])
def test_webhook_that_cannot_work_or_would_show_a_secret_is_refused(fabric, action, words):
    with pytest.raises(SettingsError, match=words) as refused:
        TriggerEngine(fabric, [trigger(action=Action(**action))])
    assert "s3cret" not in str(refused.value)


# --- what is declared wrongly ---------------------------------------------------------------------------

BAD_TRIGGERS = [
    ({"action": {}}, "neither"),
    ({"action": {"call": "a:b", "publish": "memory:"}}, "both"),
    ({"action": {"call": "a.b"}}, "cannot be called"),
    ({"action": {"call": 3}}, "cannot be called"),
    ({"action": {"call": "a:b", "headers": {"X": "y"}}}, "no webhook"),
    ({"action": {"cal": "a:b"}}, "cal"),
    ({"name": "two words"}, "no name"),
    ({"at_most": 0}, "at least 1"),
    ({"per": -1}, "at least"),
    ({"timeout": float("inf")}, "at least"),
    ({"retries": "many"}, "does not fit"),
    ({"patern": {}}, "patern"),
]


@pytest.mark.parametrize(("change", "words"), BAD_TRIGGERS, ids=[str(each[0]) for each in BAD_TRIGGERS])
def test_trigger_that_is_declared_wrongly_is_refused(change, words):
    good = {"name": "t", "pattern": ENDED, "action": {"call": "a:b"}}
    assert Settings(triggers=[good])
    with pytest.raises(SettingsError, match=words):
        Settings(triggers=[{**good, **change}])


def test_two_triggers_of_one_name_are_refused():
    with pytest.raises(SettingsError, match="name 't'"):
        Settings(triggers=[trigger(print), trigger(print)])


def test_settings_with_triggers_that_call_objects_can_be_replaced():
    settings = Settings(triggers=[trigger(print, unique_by=["task"])])
    assert settings.replace(max_tries=3).triggers == settings.triggers


@pytest.mark.parametrize("target", ["no_such_module:f", "json:no_such_name", "json:__name__"])
def test_action_that_names_nothing_that_can_be_called_is_refused(fabric, target):
    with pytest.raises(SettingsError, match="'t'"):
        TriggerEngine(fabric, [trigger(target)])


def test_parsl_app_is_refused_where_no_parsl_is(fabric):
    with pytest.raises(SettingsError, match="Parsl app"):
        TriggerEngine(fabric, [trigger(action=Action(app=print))])


def test_engine_refuses_a_bad_pattern(fabric):
    with pytest.raises(PatternError):
        TriggerEngine(fabric, [trigger(print, pattern={"a": [{"prefx": "b"}]})])


# --- killed between action and commit -------------------------------------------------------------------

FOLLOW = """
import sys
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.triggers import TriggerEngine
from parsl_diaspora.trigger_settings import Action, Trigger

url, target, most = sys.argv[1:]
act = Trigger(name="t", pattern={"kind": ["task.ended"]}, action=Action(call=target))
engine = TriggerEngine(open_fabric(url), [act], most_uncommitted=int(most))
engine.start()
sys.exit(0 if engine.finish(60) else 1)
"""


@pytest.fixture
def follow(url, tmp_path):
    """Run an engine in a process of its own."""
    notes = tmp_path / "notes"
    notes.touch()

    def begin(target, most, die_at=""):
        command = [sys.executable, "-c", FOLLOW, url, f"tests.fabric.trigger_actions:{target}", str(most)]
        paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "NOTES": str(notes), "DIE_AT": die_at, "PYTHONPATH": paths}
        return subprocess.Popen(command, env=environment)

    begin.notes = lambda: [int(line) for line in notes.read_text().split()]
    return begin


def publish(url, count):
    publisher = open_fabric(url).publisher("submit:h:1", immediate=True)  # a poll ends with a batch
    for task in range(count):
        publisher.publish(TaskEnded(task=task, run="r"))
    assert publisher.close().lost == 0


def test_engine_killed_between_action_and_commit_acts_again_on_what_was_not_committed_only(url, follow):
    publish(url, 60)
    most = 8
    assert follow("note_and_die", most, die_at="29").wait(60) == -signal.SIGKILL
    assert follow.notes() == list(range(30))
    assert follow("note", most).wait(60) == 0
    again = follow.notes()[30:]
    assert 29 >= again[0] > 29 - 2 * most, "more was done again than was not committed"
    assert again == list(range(again[0], 60))


def test_engine_killed_at_any_moment_misses_no_event(url, follow):
    seed = random.randrange(10**6)
    print("seed", seed)
    chance = random.Random(seed)
    publish(url, 400)
    kills, most = 0, 10
    for _ in range(5):
        process = follow("note", most)
        becomes(more_than(follow.notes, len(follow.notes()), process), 30)
        time.sleep(chance.uniform(0, 0.05))
        process.kill()
        kills += process.wait(30) == -signal.SIGKILL
    assert follow("note", most).wait(60) == 0
    notes = follow.notes()
    assert set(notes) == set(range(400))
    assert kills
    assert len(notes) - 400 <= kills * 2 * most


def more_than(notes, count, process):
    return lambda: len(notes()) > count or process.poll() is not None


def test_pattern_is_public_and_says_why_not():
    assert str(Pattern(ENDED).why_not(RunEnded())) == 'kind is "run.ended", which does not fit ["task.ended"]'
