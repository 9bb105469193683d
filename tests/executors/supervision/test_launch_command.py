"""How pools are started: under supervision where that works, and as stock does everywhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from parsl.executors.high_throughput.executor import DEFAULT_LAUNCH_CMD

from parsl_diaspora.executors.supervision.launch_command import marked, supervise, supervised
from parsl_diaspora.executors.supervision.nodefile import read_node_file


@pytest.fixture
def executor(tmp_path):
    return SimpleNamespace(
        label="cpu",
        launch_cmd=DEFAULT_LAUNCH_CMD,
        logdir=str(tmp_path),
        worker_logdir=str(tmp_path),
        cert_dir=None,
        cpu_affinity="none",
        available_accelerators=[],
        all_addresses={"127.0.0.1"},
    )


def test_the_stock_command_is_put_under_supervision(executor, tmp_path):
    box = supervise(executor, "run-1", "file:/events", restarts=2)
    told = read_node_file((tmp_path / "node.json").read_bytes())
    assert (told.run, told.executor, told.url, told.restarts) == ("run-1", "cpu", "file:/events", 2)
    assert told.orders == str(box.directory)
    assert (told.submit_pid, told.submit_host) == (os.getpid(), os.uname().nodename)
    assert told.submit_start > 0
    assert executor.launch_cmd == supervised("run-1", tmp_path / "node.json")
    assert executor.launch_cmd.count(DEFAULT_LAUNCH_CMD) == 2
    assert "$" not in executor.launch_cmd
    assert '"' not in executor.launch_cmd


def test_a_command_of_the_programs_own_stays_as_it_is(executor, tmp_path):
    executor.launch_cmd = "my_pool {block_id}"
    assert supervise(executor, "r", "") is None
    assert executor.launch_cmd == "my_pool {block_id}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("field", ["logdir", "worker_logdir", "cert_dir", "cpu_affinity"])
def test_what_cannot_stand_in_the_command_leaves_it_as_stock_has_it(executor, tmp_path, field):
    setattr(executor, field, f"{tmp_path}/it's")
    with pytest.raises(ValueError, match="holds a quote"):
        supervise(executor, "r", "")
    assert executor.launch_cmd == marked("r")


def run(tmp_path, path):
    """What the command's shell runs, with these programs to be found."""
    (tmp_path / "process_worker_pool.py").write_text("#!/bin/sh\necho stock $*\n")
    (tmp_path / "process_worker_pool.py").chmod(0o755)
    text = supervised("r", tmp_path / "node.json", "process_worker_pool.py -b {{block_id}}")
    environ = {"PATH": os.pathsep.join([str(tmp_path), *path, "/usr/bin", "/bin"])}
    command = text.format().format(block_id=7)
    done = subprocess.run(
        ["bash", "-c", command], env=environ, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.strip()


def program(directory, text):
    path = directory / "parsl-diaspora-node"
    directory.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return str(directory)


def test_without_our_package_the_stock_pool_starts(tmp_path):
    assert run(tmp_path, []) == "stock -b 7"


def test_with_a_supervisor_it_gets_the_stock_command(tmp_path):
    there = program(tmp_path / "bin", '#!/bin/sh\n[ "$1" = --check ] || echo supervised $*\n')
    assert run(tmp_path, [there]) == f"supervised {tmp_path}/node.json -- process_worker_pool.py -b 7"


@pytest.mark.parametrize(
    "text",
    ["#!/no/such/interpreter\n", f"#!{sys.executable}\nimport no_such_module\n", "#!/bin/sh\nexit 1\n"],
)
def test_with_a_supervisor_that_cannot_run_the_stock_pool_starts(tmp_path, text):
    assert run(tmp_path, [program(tmp_path / "bin", text)]) == "stock -b 7"
