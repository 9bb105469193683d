"""What becomes of a task that is being taken back is told once."""

from __future__ import annotations

import pytest

from parsl_diaspora.executors.agent.control import Sightings
from parsl_diaspora.executors.mixin import TryFuture
from parsl_diaspora.executors.withdrawing import Withdrawals


class Scene:
    def __init__(self):
        self.future = TryFuture(7)
        self.tasks = {7: self.future}
        self.answers = []
        self.withdrawals = Withdrawals(self.tasks)
        self.withdrawals.ask(self.future, self.answers.append)

    def see(self, **seen):
        self.withdrawals.look(Sightings(**{name: frozenset(numbers) for name, numbers in seen.items()}))


def test_it_is_asked_for_until_there_is_an_answer():
    scene = Scene()
    assert scene.withdrawals.numbers == {7}
    scene.see()
    assert scene.answers == []
    scene.see(withdrawn={7})
    assert scene.withdrawals.numbers == frozenset()


def test_what_was_taken_back_is_no_task_of_the_executor_any_more():
    scene = Scene()
    scene.see(withdrawn={7, 8})
    assert (scene.answers, scene.tasks) == ([True], {})
    scene.future.set_result("late")
    scene.see(withdrawn={7})
    assert scene.answers == [True]


@pytest.mark.parametrize("how", ["a manager has it", "it has ended"])
def test_what_was_not_stays(how):
    scene = Scene()
    if how == "it has ended":
        scene.future.set_result(1)
    scene.see(begun={7})
    assert scene.answers == [False]
    assert 7 in scene.tasks
