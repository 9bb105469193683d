"""What one save and one restore cost, beside memcpy and the disk itself. Used by checkpoint.py."""

from __future__ import annotations

import gc
import multiprocessing
import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from _checkpoint_rows import Measured, Row, Sizes, megabytes, seconds

from parsl_diaspora.checkpoint import DirectoryLevel, Heard, Identity, Saved, Saver, Store, restore

ARRAYS = 4  # that a state consists of
_PIECE = 8 * 1024 * 1024  # bytes that the disk is asked for at once
_DIRTY = 0.05
_CHUNK = 256 * 1024
_PATIENCE = 600.0


class Ear(Heard):
    """Keeps what is told of saves."""

    def __init__(self) -> None:
        self.all: list[Saved] = []

    def saved(self, saved: Saved) -> None:
        """See `Heard`."""
        self.all.append(saved)

    def failed(self, reason: str, error: BaseException) -> None:
        """A benchmark does not go on from a failure."""
        raise RuntimeError(reason) from error


class Bench:
    """A state and a saver of it, at a place of its own."""

    def __init__(self, place: Path, size: int, *, copy: bool = True) -> None:
        self.state = make_state(size)
        self.place = place
        self.ear = Ear()
        self.store = Store([DirectoryLevel(place)], "bench")
        identity = Identity(run="bench", task=0, attempt=0, launch=1)
        self.saver = Saver(self.store, identity, self.ear, copy=copy)

    def save(self) -> tuple[float, Saved]:
        """Seconds for which the caller was stopped, and what was told of the save."""
        began = time.perf_counter()
        taken = self.saver.save(self.state)
        stopped = time.perf_counter() - began
        assert taken
        assert self.saver.wait(_PATIENCE)
        return stopped, self.ear.all[-1]

    def close(self) -> None:
        """The place is empty again."""
        self.saver.close()
        self.store.forget()


def make_state(size: int) -> dict[str, Any]:
    """Arrays whose bytes cannot be compressed, and a number."""
    chance = np.random.default_rng(1)
    return {
        "step": 0,
        **{f"array{n}": chance.integers(0, 2**63, size // ARRAYS // 8) for n in range(ARRAYS)},
    }


def change(state: dict[str, Any], part: float, number: int) -> None:
    """Change so large a part of the chunks of each array: one element in each."""
    state["step"] = number
    for name, array in state.items():
        if name != "step":
            each = _CHUNK // array.itemsize
            chunks = np.arange(0, len(array), each)
            count = max(1, round(len(chunks) * part))
            first = number * count % len(chunks)
            array[np.take(chunks, range(first, first + count), mode="wrap")] += 1


# ------------------------------------------------------------------ the stop, and dirty chunks


def stop(place: Path, sizes: Sizes, _: Measured) -> list[Row]:
    """How long the task is stopped for a save, beside one memcpy of the same bytes."""
    bench = Bench(place, sizes.state)
    arrays = [value for value in bench.state.values() if isinstance(value, np.ndarray)]
    targets = [np.zeros_like(array) for array in arrays]
    first, _ = bench.save()
    stops, copies = [], []
    for number in range(sizes.rounds):
        change(bench.state, _DIRTY, number)
        began = time.perf_counter()
        for array, target in zip(arrays, targets, strict=True):
            np.copyto(target, array)
        copies.append(time.perf_counter() - began)
        stops.append(bench.save()[0])
    bench.close()
    stopped, copied = statistics.median(stops), statistics.median(copies)
    size = megabytes(sizes.state)
    return [
        Row(
            f"stop for a save of {size}", f"memcpy {seconds(copied)}", seconds(stopped), stopped / copied, 1.2
        ),
        Row("  the first one of a task", f"memcpy {seconds(copied)}", seconds(first), first / copied),
    ]


def dirty(place: Path, sizes: Sizes, _: Measured) -> list[Row]:
    """What a save writes when one chunk in twenty has changed."""
    bench = Bench(place, sizes.state)
    _, whole = bench.save()
    written = []
    for number in range(sizes.rounds):
        change(bench.state, _DIRTY, number)
        written.append(bench.save()[1].written)
    bench.close()
    typical = statistics.median(written)
    part = typical / whole.size
    return [
        Row("written with 5 % dirty chunks", f"state {megabytes(whole.size)}", megabytes(typical), part, 0.08)
    ]


# ------------------------------------------------------------------ the disk


def disk(place: Path, sizes: Sizes, _: Measured) -> list[Row]:
    """Bytes a second of saves and restores, beside those of plain files in the same directory.

    The best of all rounds on either side: a virtual machine that gets memory for its page cache from its host
    just then writes a tenth as fast, whoever writes.
    """
    bench = Bench(place, sizes.state)
    raw = place / "raw"
    found: dict[str, list[float]] = {"write": [], "save": [], "read": [], "restore": []}
    for number in range(sizes.rounds):
        _renew(bench.state, number)
        found["write"].append(_write_raw(raw, bench.state))
        found["save"].append(bench.save()[1].seconds)
        found["read"].append(_read_raw(raw))
        found["restore"].append(restored_in(bench))
        raw.unlink()
    bench.close()
    rates = {name: sizes.state / min(taken) for name, taken in found.items()}
    return [
        _speed("stored, bytes a second", "plain write", rates["write"], rates["save"]),
        _speed("restored, bytes a second", "plain read", rates["read"], rates["restore"]),
    ]


def _speed(figure: str, beside: str, theirs: float, ours: float) -> Row:
    words = f"{beside} {megabytes(theirs)}/s"
    return Row(figure, words, f"{megabytes(ours)}/s", ours / theirs, 0.8, at_least=True)


def _renew(state: dict[str, Any], number: int) -> None:
    """Other bytes in every chunk, and in the same memory."""
    state["step"] = number
    for name in state.keys() - {"step"}:
        state[name] += 1


def _write_raw(path: Path, state: dict[str, Any]) -> float:
    began = time.perf_counter()
    with path.open("wb", buffering=0) as file:
        for value in state.values():
            if isinstance(value, np.ndarray):
                view = memoryview(value).cast("B")
                for begin in range(0, view.nbytes, _PIECE):
                    file.write(view[begin : begin + _PIECE])
        os.fsync(file.fileno())
    return time.perf_counter() - began


def _read_raw(path: Path) -> float:
    forget(path)
    began = time.perf_counter()
    target = memoryview(np.empty(path.stat().st_size, dtype=np.uint8))
    with path.open("rb", buffering=0) as file:
        for begin in range(0, target.nbytes, _PIECE):
            file.readinto(target[begin : begin + _PIECE])
    return time.perf_counter() - began


def restored_in(bench: Bench) -> float:
    """Seconds that it takes to read the newest save from the disk; it is what was saved."""
    for path in (bench.place / "bench").iterdir():
        forget(path)
    began = time.perf_counter()
    restored = restore(bench.store)
    taken = time.perf_counter() - began
    assert restored is not None
    assert restored.state["step"] == bench.state["step"]
    assert np.array_equal(restored.state["array0"], bench.state["array0"])
    return taken


def forget(path: Path) -> None:
    """Let the kernel drop what it remembers of a file, so that the disk is read."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


# ------------------------------------------------------------------ memory


def memory(place: Path, sizes: Sizes, _: Measured) -> list[Row]:
    """Memory above the state itself, with a copy and without one: each in a process of its own."""
    rows = []
    for copy, goal in ((True, 1.02), (False, 0.05)):
        above = _apart(place, sizes, copy=copy)
        name = "memory above the state, " + ("with a copy" if copy else "without (copy=False)")
        words = f"state {megabytes(sizes.state)}"
        room = 12e6 / sizes.state  # the interpreter's own, which matters for small states only
        rows.append(Row(name, words, megabytes(above), above / sizes.state, goal + room))
    return rows


def _apart(place: Path, sizes: Sizes, *, copy: bool) -> float:
    context = multiprocessing.get_context("spawn")
    told, telling = context.Pipe(duplex=False)
    process = context.Process(target=_peak, args=(telling, str(place), sizes, copy))
    process.start()
    telling.close()
    above: float = told.recv()
    process.join()
    return above


def _peak(telling: Any, place: str, sizes: Sizes, copy: bool) -> None:
    bench = Bench(Path(place), sizes.state, copy=copy)
    gc.collect()
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    for number in range(sizes.rounds):
        change(bench.state, _DIRTY if number else 1.0, number)
        bench.save()
    telling.send(_status("VmHWM") - before)
    bench.close()


def _status(name: str) -> float:
    """A line of /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{name}:"))
    return float(line.split()[1]) * 1024
