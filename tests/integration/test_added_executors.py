"""Executors that a program adds while it runs: they stay what they are, and their tasks are looked after."""

from __future__ import annotations

import pytest
from parsl import python_app

from tests.integration import apps


@pytest.mark.slow
def test_a_task_whose_worker_was_killed_is_tried_again_on_a_pool_that_was_added_later(
    program, tmp_path, check_story
):
    kernel = program.load(program.pool("alder"))
    kernel.add_executors([program.pool("birch")])
    die_until = python_app(apps.die_until.func, executors=["birch"])
    assert die_until(str(tmp_path / "deaths"), 1).result(timeout=90) == 2
    check_story(program.events())
