"""Tests of Parsl that end differently with this package, and why that is meant."""

from __future__ import annotations

_MORE_BLOCKS = "blocks that do not start are tried again up to block_start_failures times"

#: Stock passes them.
PROMISED = {
    "test_htex/test_disconnected_blocks.py::test_disconnected_blocks": _MORE_BLOCKS,
    "test_htex/test_disconnected_blocks_failing_provider.py::test_disconnected_blocks": _MORE_BLOCKS,
    "test_htex/test_multiple_disconnected_blocks.py::test_multiple_disconnected_blocks": _MORE_BLOCKS,
    "test_htex/test_worker_failure.py::test_htex_worker_failures": "a task that exits leaves its worker be",
    "test_serialization/test_3495_deserialize_managerlost.py::test_manager_lost_system_failure": (
        "a lost manager costs none of the program's retries: the task stops up to seven of them"
    ),
    "sites/test_dynamic_executor.py::test_dynamic_executor": "Parsl's log names the class that runs",
}
