"""What became of a try's states, as rows of text."""

from __future__ import annotations

from collections.abc import Iterator

from parsl_diaspora.cli.find import SHORT
from parsl_diaspora.cli.state_story import Move, Restored, Saves, StateStory
from parsl_diaspora.cli.words import count, duration, joined, offset
from parsl_diaspora.sizes import size_words

Rows = Iterator[tuple[str, object]]


def state_rows(story: StateStory) -> Rows:
    """Rows for the story of a try."""
    if story.restored is not None:
        yield "restored", _restored_words(story.restored)
    if story.saves is not None:
        yield "saved", _saves_words(story.saves)
    for lost in story.lost:
        yield "lost save", joined((offset(lost.at), lost.reason, lost.error))
    for move in story.moves:
        yield "moves", joined((f"{offset(move.at)} to {move.to}", f"by {move.owner}", move.reason))
        yield from _move_rows(move)


def _restored_words(restored: Restored) -> str:
    run = f" of run {restored.run[:SHORT]}" if restored.run else ""
    from_ = f"from the state of try {restored.try_id}{run}, {duration(restored.age)} old"
    return joined((from_, f"{size_words(restored.size)} in {duration(restored.seconds)}"))


def _saves_words(saves: Saves) -> str:
    times = count(saves.count, "time")
    newest = f"the last {offset(saves.newest)} with {size_words(saves.size)}"
    wrote = f"{size_words(saves.written)} written, stopped for {duration(saves.stopped)}"
    return joined((times, newest, wrote, "it left its place with that" if saves.final else ""))


def _move_rows(move: Move) -> Rows:
    if move.rounds:
        yield "copied", f"{size_words(move.read)} in {count(move.rounds, 'round')}"
    if move.arrived is not None:
        how = "from its newest state, as it was lost on the way" if move.lost else "from its last state"
        yield "arrived", joined((f"{offset(move.arrived)} {how}", f"downtime {duration(move.downtime)}"))
    elif move.failed:
        yield "stayed", f"{_STEPS.get(move.step, move.step)}: {move.failed}"


_STEPS = {
    "begin": "its successor did not begin",
    "copy": "its state did not get there",
    "switch": "it did not come to the switch",
}
