"""What speaks against a member comes first, then where the data are, then free slots, then queues."""

from __future__ import annotations

import random
from collections import Counter

from parsl_diaspora.recovery.placement import Candidate
from parsl_diaspora.recovery.pool_placement import place


def choose(*candidates, seconds=0.0, seed=7):
    return place(candidates, seconds=seconds, chance=random.Random(seed))


def free(label, slots=1, **more):
    return Candidate(label=label, slots=slots, **more)


def full(label, load=1.0, **more):
    return Candidate(label=label, load=load, **more)


def test_no_member_takes_tasks():
    choice = choose(free("alder", usable=False), free("birch", usable=False))
    assert (choice.label, choice.rule) == ("", "none-usable")
    assert choice.why == "not alder: it takes no tasks; not birch: it takes no tasks"


def test_a_lack_counts_for_more_than_a_rest_and_a_rest_for_more_than_a_queue():
    lacks, rests, busy = free("alder", lack="memory"), free("birch", rests="it failed"), full("cedar", 9.0)
    assert choose(lacks, rests, busy).label == "cedar"
    assert choose(lacks, rests).label == "birch"
    choice = choose(lacks)
    assert (choice.label, choice.rule) == ("alder", "least-bad")


def test_no_task_goes_to_a_block_that_ends_before_it():
    choice = choose(free("alder", left=100.0), full("birch"), seconds=90.0)
    assert choice.label == "birch"
    assert "its last block ends in 100 s, and the task takes about 90 s" in choice.why
    assert choose(free("alder", left=110.0), full("birch"), seconds=90.0).label == "alder"


def test_data_are_worth_a_queue_but_not_a_long_one():
    assert choose(full("alder", 1.5, near=True), free("birch")).rule == "near-the-data"
    assert choose(full("alder", 2.5, near=True), free("birch")).label == "birch"


def test_free_slots_are_shared_in_proportion_and_those_who_fare_badly_get_less():
    chance = random.Random(3)
    wide = Counter(place([free("alder", 9), free("birch", 3)], chance=chance).label for _ in range(2000))
    assert 2.4 < wide["alder"] / wide["birch"] < 3.7
    poor = Counter(
        place([free("alder", chance=0.9), free("birch", chance=0.45)], chance=chance).label
        for _ in range(2000)
    )
    assert 10 < poor["alder"] / poor["birch"] < 26


def test_a_member_without_workers_is_used_when_the_queues_of_others_are_long():
    none = Candidate(label="alder", has_managers=False, slots=0)
    assert choose(none, full("birch", 2.0)).label == "birch"
    assert choose(none, full("birch", 4.0)).label == "alder"
