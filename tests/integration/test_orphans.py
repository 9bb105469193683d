"""Promise R12: half a minute after the death of a program nothing of it is left in the queue."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

import pytest

from parsl_diaspora.cli.pools import orphans
from tests.integration.conftest import ROOT
from tests.integration.orphaned import BLOCKS
from tests.waiting import LONG, becomes, until


def call(*arguments):
    parser = argparse.ArgumentParser()
    orphans.add_arguments(parser)
    return orphans.run(parser.parse_args(list(arguments)))


@pytest.mark.timeout(3 * LONG)
def test_what_a_killed_program_leaves_in_the_queue_is_found_and_ended(slurm, tmp_path, capsys):
    other = slurm.sbatch("sleep 600", "--job-name=parsl.of-somebody-else")
    command = [sys.executable, "-m", "tests.integration.orphaned", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as program:
        run = program.stdout.readline().strip()
        until(lambda: sum(run in job.name for job in slurm.jobs()) == BLOCKS)
        until(lambda: sum(job.state == "RUNNING" for job in slurm.jobs()) > 1)
        assert call() == 0
        assert "No block belongs to a program that is gone." in capsys.readouterr().out
        program.kill()
    killed = time.monotonic()
    assert call("--cancel") == 0
    assert f"Ended {BLOCKS} blocks" in capsys.readouterr().out
    assert becomes(lambda: [job.id for job in slurm.jobs()] == [other], 30 - (time.monotonic() - killed))
