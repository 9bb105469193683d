"""What every place that keeps saves must do."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from parsl_diaspora.checkpoint import Identity, Saver, Store, restore

LARGE = 20 * 1024 * 1024  # more than any level sends at once
PIECE = 1024 * 1024


class LevelContract:
    """Tests of one kind of level.

    A subclass has a fixture ``open_again``: a function that opens a place, the same one each time, which is
    empty when the test begins.
    """

    @pytest.fixture
    def level(self, open_again):
        return open_again()

    def test_an_empty_place_has_nothing_and_says_so(self, level):
        assert level.names("key") == []
        assert level.all_keys() == []
        assert level.touched("key") == 0
        with pytest.raises(OSError, match=r".") as raised:
            level.size("key", "a")
        assert not isinstance(raised.value, PermissionError)
        with pytest.raises(OSError, match=r"."):
            level.read_into("key", "a", 0, memoryview(bytearray(1)))
        level.remove("key", ["a"])
        level.remove_all("key")

    @pytest.mark.parametrize("parts", [[], [b""], [b"1"], [b"12", bytearray(b"34"), memoryview(b"567")]])
    def test_an_object_is_its_parts_one_after_the_other(self, level, open_again, parts):
        level.write("key", "a", parts)
        whole = b"".join(bytes(part) for part in parts)
        for each in (level, open_again()):
            assert each.names("key") == ["a"]
            assert each.size("key", "a") == len(whole)
            assert read(each, "a", 0, len(whole)) == whole

    def test_a_large_object_is_its_parts_too(self, level):
        level.write("key", "a", (bytes([number]) * PIECE for number in range(LARGE // PIECE)))
        assert level.size("key", "a") == LARGE
        for number in (0, 7, LARGE // PIECE - 1):
            assert read(level, "a", number * PIECE, PIECE) == bytes([number]) * PIECE

    def test_parts_of_elements_that_are_no_bytes_are_bytes(self, level):
        numbers = np.arange(4, dtype=np.float64)
        level.write("key", "a", [memoryview(numbers)])
        assert read(level, "a", 0, 32) == numbers.tobytes()

    def test_a_part_of_an_object_can_be_read_and_nothing_behind_its_end(self, level):
        level.write("key", "a", [b"0123456789"])
        assert read(level, "a", 3, 4) == b"3456"
        assert read(level, "a", 10, 0) == b""
        for offset, size in ((8, 4), (10, 1), (20, 1)):
            with pytest.raises(OSError, match=r"."):
                read(level, "a", offset, size)

    def test_names_come_in_order_and_tasks_do_not_mix(self, level):
        for key, name in (("one", "b"), ("one", "a"), ("two", "c"), ("one-1", "d")):
            level.write(key, name, [b"x"])
        assert level.names("one") == ["a", "b"]
        assert level.names("two") == ["c"]
        assert level.all_keys() == ["one", "one-1", "two"]

    def test_an_object_of_the_same_name_takes_the_place_of_the_one_before(self, level):
        level.write("key", "a", [b"before, and longer"])
        level.write("key", "a", [b"after"])
        assert level.size("key", "a") == 5
        assert read(level, "a", 0, 5) == b"after"

    @pytest.mark.parametrize("size", [0, 10, LARGE], ids=["at once", "early", "late"])
    def test_an_object_that_is_given_up_leaves_nothing_and_what_was_there_stays(self, level, size):
        def parts():
            for _ in range(0, size, PIECE):
                yield b"x" * min(PIECE, size)
            raise KeyError("given up")

        level.write("key", "there", [b"good"])
        for name in ("there", "new"):
            with pytest.raises(KeyError, match="given up"):
                level.write("key", name, parts())
        assert level.names("key") == ["there"]
        assert read(level, "there", 0, 4) == b"good"
        level.write("key", "new", [b"good"])
        assert level.names("key") == ["new", "there"]

    def test_an_object_is_not_seen_before_all_of_it_is_there(self, level, open_again):
        seen = []

        def parts():
            for number in range(LARGE // PIECE):
                if number in (0, 10, LARGE // PIECE - 1):
                    seen.append(open_again().names("key"))
                yield b"x" * PIECE

        level.write("key", "there", [b"good"])
        level.write("key", "new", parts())
        assert seen == [["there"]] * 3
        assert level.names("key") == ["new", "there"]

    def test_what_is_removed_is_gone_and_nothing_else(self, level):
        for key, name in (("one", "a"), ("one", "b"), ("one", "c"), ("two", "a")):
            level.write(key, name, [b"x"])
        level.remove("one", ["a", "absent", "c"])
        assert level.names("one") == ["b"]
        level.remove_all("one")
        assert level.names("one") == []
        assert level.all_keys() == ["two"]

    def test_when_something_was_written_last_is_known(self, level):
        before = time.time()
        level.write("key", "a", [b"x"])
        assert before - 5 < level.touched("key") < time.time() + 5

    def test_several_threads_may_write_and_read_at_once(self, level):
        faults = []

        def work(number):
            try:
                size = LARGE // 2 if number % 2 else 1000
                for turn in range(2):
                    level.write(
                        f"key{number}", str(turn), (bytes([number]) * 1000 for _ in range(size // 1000))
                    )
                    buffer = bytearray(1000)
                    level.read_into(f"key{number}", str(turn), 0, memoryview(buffer))
                    assert bytes(buffer) == bytes([number]) * 1000
            except BaseException as error:
                faults.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert faults == []
        assert {len(level.names(f"key{number}")) for number in range(4)} == {2}

    def test_a_state_is_saved_restored_and_followed_by_another_try(self, open_again):
        for launch in (1, 2):
            store = Store([open_again()], "key")
            store.begin(launch)
            found = restore(store, None, None, launch)
            state = found.state if found is not None else {"step": 0, "x": np.zeros(3 * PIECE)}
            assert state["step"] == (launch - 1) * 3
            saver = Saver(store, Identity(run="r", task=0, attempt=launch - 1, launch=launch))
            if found is not None:
                saver.go_on_from(found.save, found.manifest)
            for _ in range(3):
                state["step"] += 1
                state["x"][state["step"]] = state["step"]
                assert saver.save(state)
                assert saver.wait(60)
            saver.close()
        found = restore(Store([open_again()], "key"))
        assert found.state["step"] == 6
        assert found.state["x"][:8].tolist() == [0, 1, 2, 3, 4, 5, 6, 0]
        assert [save.number for save in Store([open_again()], "key").saves()][:2] == [3, 2]


def read(level, name, offset, size):
    buffer = bytearray(size)
    level.read_into("key", name, offset, memoryview(buffer))
    return bytes(buffer)
