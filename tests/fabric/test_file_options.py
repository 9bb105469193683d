"""What a ``file:`` URL says beside the directory."""

from __future__ import annotations

import pytest

from parsl_diaspora.errors import FabricError
from parsl_diaspora.events import TaskSubmitted
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.file.options import DEFAULTS, TOPICS, read_options

URL = "file:/events?options"


def test_without_options_each_topic_is_synced_in_batches_and_everything_is_kept():
    options = read_options("", URL)
    assert options == DEFAULTS
    assert set(options.durability.values()) == {"batch"}
    assert not options.retains


def test_durability_of_one_topic_leaves_the_others():
    options = read_options("durability=none&durability.failures=fsync", URL)
    assert options.durability == {**dict.fromkeys(TOPICS, "none"), "failures": "fsync"}
    assert options.synced_at_once == {"failures"}
    assert not options.synced_soon
    assert read_options("durability.tasks=none", URL).synced_soon


def test_nothing_is_synced_if_every_topic_says_so():
    assert not read_options("durability=none", URL).synced_soon


def test_sizes_and_spans_are_read_as_people_write_them():
    options = read_options("roll=1MiB&roll_after=90m&keep=2GB&keep_for=7d&unread=delete", URL)
    assert (options.roll_bytes, options.roll_seconds) == (1024**2, 5400)
    assert (options.keep_bytes, options.keep_seconds, options.unread) == (2 * 10**9, 604800, "delete")


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("durabilty=none", "Did you mean 'durability'"),
        ("durability.failure=none", "Did you mean 'durability.failures'"),
        ("colour=red", "The options are: durability"),
        ("durability=perhaps", "none, batch, fsync"),
        ("roll=12 parsecs", "no size"),
        ("roll=-5MB", "no size"),
        ("roll=10", "too small"),
        ("keep=", "no size"),
        ("keep_for=soon", "no span of time"),
        ("keep_for=0s", "more than no time"),
        ("unread=maybe", "keep, delete"),
    ],
)
def test_option_that_makes_no_sense_is_an_error_that_says_what_would(query, says):
    with pytest.raises(FabricError) as caught:
        open_fabric(f"file:/events?{query}")
    assert says in str(caught.value)
    assert query in str(caught.value.url)


def test_url_keeps_the_options_for_those_who_open_it_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fabric = open_fabric("file:events?durability=fsync&keep=1GB")
    assert fabric.url == fabric.node_url == f"file:{tmp_path}/events?durability=fsync&keep=1GB"
    assert open_fabric(fabric.url).url == fabric.url


def test_directory_with_a_question_mark_in_its_name_is_spelled(tmp_path):
    fabric = open_fabric(f"file:{tmp_path}/what%3F?durability=none")
    speaker = fabric.publisher("s", immediate=True)
    speaker.publish(TaskSubmitted(task=1))
    speaker.close()
    assert list((tmp_path / "what?").glob("*.events"))
    assert open_fabric(fabric.url).consumer("r").poll()[0].task == 1
