"""A successor follows the saves of a try that still runs."""

from __future__ import annotations

import threading

import numpy as np

from parsl_diaspora.checkpoint import Following
from parsl_diaspora.checkpoint.store.manifest import CHUNK
from tests.checkpoint.states import same, save, saver_of, store_at


def follower_of(place, attempt=1):
    return Following(store_at(place), "run", attempt)


def state_of(step, chunks=16):
    array = np.random.default_rng(1).integers(0, 256, chunks * CHUNK, dtype=np.uint8)
    array[:step] = step
    return {"x": array, "step": step}


def objects(place):
    return sorted((place / "key").glob("*.save"))


def test_the_first_round_reads_all_and_later_ones_what_has_changed(tmp_path):
    saver, following = saver_of(store_at(tmp_path)), follower_of(tmp_path)
    assert following.look() is None
    save(saver, state_of(1))
    first = following.look()
    assert following.look() is None, "nothing is new"
    save(saver, state_of(2))
    second = following.look()
    assert (first.number, second.number, second.save.number) == (1, 2, 2)
    assert first.read >= 16 * CHUNK
    assert second.read < 2 * CHUNK
    assert not second.final
    save(saver, state_of(3), final=True)
    assert following.look().final
    assert following.is_final
    assert same(following.state(), state_of(3))


def test_the_last_state_of_another_try_is_not_what_it_waits_for(tmp_path):
    following = follower_of(tmp_path, attempt=2)
    save(saver_of(store_at(tmp_path)), state_of(1), final=True)
    assert following.look() is not None
    assert not following.is_final


def test_a_state_that_changes_its_shape_is_followed(tmp_path):
    saver, following = saver_of(store_at(tmp_path)), follower_of(tmp_path)
    for state in (state_of(1, 4), state_of(2, 6), {"other": "parts"}, state_of(3, 4)):
        save(saver, state)
        following.look()
    assert same(following.state(), state_of(3, 4))


def test_a_round_that_fails_half_way_never_gives_a_mixture(tmp_path):
    saver, following = saver_of(store_at(tmp_path), keep=3), follower_of(tmp_path)
    save(saver, state_of(1))
    following.look()
    changed = state_of(2)
    changed["x"][:: 2 * CHUNK] += 1  # every other chunk
    save(saver, changed)
    newest = objects(tmp_path)[-1]
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)
    assert following.look() is None
    assert following.held[0].number == 1
    assert same(following.state(), state_of(1)), "a wrong state"


def test_a_last_state_that_cannot_be_read_is_no_reason_to_wait_for_ever(tmp_path):
    saver, following = saver_of(store_at(tmp_path)), follower_of(tmp_path)
    save(saver, state_of(1))
    following.look()
    save(saver, state_of(2), final=True)
    newest = objects(tmp_path)[-1]
    data = bytearray(newest.read_bytes())
    data[20] ^= 1
    newest.write_bytes(data)
    assert following.look() is None
    assert following.has_left
    assert not following.is_final
    assert same(following.state(), state_of(1))


def test_saves_that_are_replaced_while_they_are_read_are_followed_to_the_end(tmp_path):
    saver = saver_of(store_at(tmp_path), keep=1)
    following = follower_of(tmp_path)

    def run():
        for step in range(1, 60):
            save(saver, state_of(step), final=step == 59)

    running = threading.Thread(target=run)
    running.start()
    seen = []
    while not following.is_final:
        found = following.look()
        if found is not None:
            seen.append(found.save.number)
    running.join()
    print(f"rounds: {len(seen)}")
    assert seen == sorted(set(seen))
    assert same(following.state(), state_of(59))
