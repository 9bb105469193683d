"""What a block is asked for with: names, walltimes, sizes, hosts; and what a pool is not made of."""

from __future__ import annotations

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parsl.jobs.states import JobState
from parsl.providers import LocalProvider, SlurmProvider

from parsl_diaspora.errors import NoMemberAvailable, PoolError
from parsl_diaspora.providers import ResilientPoolProvider
from parsl_diaspora.providers.exit_record import ExitRecord
from parsl_diaspora.providers.node_names import node_names
from parsl_diaspora.providers.schedulers import exclusion
from parsl_diaspora.providers.walltimes import WalltimeMix, seconds_of
from tests.providers.scripted import Scripted, World


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A PATH with Slurm's commands that do nothing."""
    for name in ("sbatch", "squeue", "scancel", "sacct"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


def asked_for(world, name="oak"):
    return world.schedulers[name].asked_for[-1]


def test_a_job_is_named_after_block_run_and_member():
    world = World(names=("oak",))
    job = world.submit()
    assert asked_for(world)[0] == "parsl.cpu.block-0.run.oak"
    assert job == "oak/1"


def test_two_jobs_of_one_block_have_two_names():
    world = World(names=("oak",))
    world.pool.submit("work", 1, "block")
    world.pool.submit("work", 1, "block")
    assert [each[0] for each in world.schedulers["oak"].asked_for] == ["block.run.oak", "block.run.oak.r2"]


def test_a_submission_can_be_directed():
    world = World()
    with world.pool.directed("elm", walltime="00:20:00", nodes=3):
        assert world.submit() == "elm/1"
    assert asked_for(world, "elm")[1:3] == ("00:20:00", 3)
    assert (world.schedulers["elm"].walltime, world.schedulers["elm"].nodes_per_block) == ("01:00:00", 1)
    assert world.pool.walltime_of("elm/1") == 1200.0
    assert world.submit() == "oak/1"  # it is over
    assert world.pool.walltime_of("oak/1") == 3600.0


def test_a_directed_submission_goes_nowhere_else():
    world = World()
    world.schedulers["elm"].rejects = "no"
    with world.pool.directed("elm"), pytest.raises(NoMemberAvailable) as raised:
        world.submit()
    assert raised.value.reasons == {"elm": "no"}
    assert not world.schedulers["oak"].submissions


def test_walltimes_are_dealt_in_turn_and_ends_are_staggered():
    world = World(names=("oak",), walltimes=("01:00:00", "04:00:00"), stagger=600.0)
    for _ in range(4):
        world.submit()
    times = [each[1] for each in world.schedulers["oak"].asked_for]
    assert times == ["01:00:00", "03:50:00", "00:40:00", "03:30:00"]


def test_a_walltime_that_was_not_taken_is_dealt_again():
    world = World(names=("oak",), walltimes=("01:00:00", "04:00:00"))
    world.schedulers["oak"].rejects = "no"
    with pytest.raises(NoMemberAvailable):
        world.submit()
    world.schedulers["oak"].rejects = ""
    world.submit()
    assert asked_for(world)[1] == "01:00:00"


@given(st.integers(60, 10**6), st.floats(0, 5000, allow_nan=False), st.integers(0, 10**4))
def test_no_stagger_takes_more_than_half_of_a_walltime_nor_adds_to_it(seconds, stagger, number):
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    if seconds >= 4000 * 3600:
        return
    dealt = seconds_of(WalltimeMix((), stagger).deal(text, number))
    assert seconds / 2 - 60 <= dealt <= max(seconds, 60)


def test_hosts_in_quarantine_are_excluded_in_slurms_own_terms(slurm):
    provider = SlurmProvider(partition="main", cores_per_node=2, scheduler_options="#SBATCH --mail-type=NONE")
    lines = exclusion(provider, {"n3", "n1", "rm -rf /; n2"})["scheduler_options"].splitlines()
    assert "#SBATCH --exclude=n1,n3" in lines
    assert "#SBATCH --partition=main" in lines
    assert "n2" not in "".join(lines)


def test_a_provider_that_cannot_exclude_ignores_it_and_says_so_once(caplog):
    world = World(names=("oak",))
    world.pool.exclude({"n1"})
    world.submit()
    world.submit()
    assert caplog.text.count("has no way to exclude hosts") == 1


def test_an_exclusion_that_may_be_what_the_scheduler_rejects_is_left_out_the_next_time(slurm, monkeypatch):
    provider = SlurmProvider()
    pool = ResilientPoolProvider({"main": provider})
    pool.exclude({"n1"})
    options = []

    def submit(*_):
        options.append(provider.scheduler_options)
        return None if "--exclude" in provider.scheduler_options else "7"

    monkeypatch.setattr(provider, "submit", submit)
    with pytest.raises(NoMemberAvailable):
        pool.submit("work", 1)
    assert pool.submit("work", 1) == "main/7"
    assert ["--exclude=n1" in each for each in options] == [True, False]
    pool.exclude({"n1", "n2"})  # another one is tried again
    with pytest.raises(NoMemberAvailable):
        pool.submit("work", 1)


def test_hosts_go_by_the_names_that_the_scheduler_has_for_them():
    records = [ExitRecord(0, host="login", node="n1"), ExitRecord(0, host="login", node="n2")]
    records += [ExitRecord(0, host="n7.site", node="n7"), None, ExitRecord(0, host="x", node="")]
    assert node_names({"login"}, records) == frozenset()  # it goes by two names: nobody knows which was meant
    assert node_names({"n7.site", "n1", "n9"}, records) == {"n7", "n1", "n9"}


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({}, "no members"),
        (None, "no members"),
        ([LocalProvider()], "no members"),
        ({"a/b": LocalProvider()}, "'a/b' is no name"),
        ({"": LocalProvider()}, "'' is no name"),
        ({"a b": LocalProvider()}, "'a b' is no name"),
        ({7: LocalProvider()}, "7 is no name"),
        ({"a": LocalProvider}, "the class LocalProvider"),
        ({"a": "slurm"}, "no provider of Parsl, but a str"),
    ],
)
def test_what_is_no_set_of_members_is_refused(members, words):
    with pytest.raises(PoolError, match=words) as raised:
        ResilientPoolProvider(members)
    assert raised.value.hint


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"min_blocks": 3, "max_blocks": 2}, "min_blocks=3 is more than max_blocks=2"),
        ({"init_blocks": 11}, "init_blocks=11 is more than max_blocks=10"),
        ({"max_blocks": -1}, "whole number from 0, not -1"),
        ({"init_blocks": 1.5}, "whole number from 0, not 1.5"),
        ({"parallelism": -1}, "parallelism"),
        ({"walltimes": ("2 hours",)}, "'2 hours' is not a time"),
        ({"walltimes": ("01:00:00", "01:75:00")}, "'01:75:00' is not a time"),
        ({"walltimes": ("00:00:30",)}, "at least a minute"),
        ({"submissions_per_minute": 0}, "submissions_per_minute .* above 0, not 0"),
        ({"stagger": -5}, "stagger .* above 0, not -5"),
        ({"breaker_failures": 0}, "breaker_failures"),
        ({"breaker_rest": -1}, "breaker_rest"),
        ({"unknown_grace": "long"}, "unknown_grace"),
        ({"order": "helth"}, "Did you mean 'health'"),
        ({"member_max_blocks": {"ok": 3}}, "Did you mean 'oak'"),
        ({"nodes_per_block": 0}, "nodes_per_block"),
    ],
)
def test_what_contradicts_itself_is_refused(options, words):
    with pytest.raises(PoolError, match=words):
        ResilientPoolProvider({"oak": LocalProvider()}, **options)


def test_one_provider_cannot_be_two_members():
    provider = LocalProvider()
    with pytest.raises(PoolError, match="'a' and 'b' of the pool are one and the same provider"):
        ResilientPoolProvider({"a": provider, "b": provider})


def test_a_command_that_is_not_on_path_is_named(slurm, tmp_path, monkeypatch):
    provider = SlurmProvider()
    (tmp_path / "sbatch").unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PoolError, match="Member 'main', a SlurmProvider, needs sbatch, which PATH"):
        ResilientPoolProvider({"main": provider})


def test_a_members_own_walltime_is_looked_at(slurm):
    with pytest.raises(PoolError, match="The walltime '1h' of member 'main' is not a time"):
        ResilientPoolProvider({"main": SlurmProvider(walltime="1h")})


def test_members_of_different_sizes_need_a_word_on_it():
    members = {"small": LocalProvider(nodes_per_block=1), "large": LocalProvider(nodes_per_block=4)}
    with pytest.raises(PoolError, match="small 1, large 4"):
        ResilientPoolProvider(members)
    assert ResilientPoolProvider(members, nodes_per_block=2).nodes_per_block == 2


def test_a_directed_submission_to_nobody_is_refused():
    world = World()
    with pytest.raises(PoolError, match="Did you mean 'elm'"), world.pool.directed("elmm"):
        pass
    with pytest.raises(PoolError, match="is not a time"), world.pool.directed(walltime="soon"):
        pass
    with pytest.raises(PoolError, match="no member 'ash'"):
        world.pool.can_submit("ash")


def test_it_keeps_parsls_conventions(tmp_path):
    world = World(tmp_path)
    names = inspect.signature(ResilientPoolProvider.__init__).parameters
    text = repr(world.pool)
    assert text.startswith("DirectPool(")
    assert all(f"{name}=" in text for name in names if name not in {"self", "members"})
    assert all(each.script_dir == str(tmp_path) for each in world.schedulers.values())
    assert (world.pool.label, world.pool.nodes_per_block, world.pool.cores_per_node) == ("pool", 1, None)


def test_what_all_nodes_have_at_least_is_what_parsl_counts_on():
    one, two = Scripted(None), Scripted(None)
    one.cores_per_node, two.cores_per_node, one.mem_per_node = 4, 8, 16
    pool = ResilientPoolProvider({"one": one, "two": two})
    assert (pool.cores_per_node, pool.mem_per_node) == (4, None)


def test_health_tells_how_each_member_is_doing(tmp_path):
    world = World(tmp_path)
    with world.pool.directed("oak"):
        jobs = [world.submit() for _ in range(3)]
    world.schedulers["oak"].run("1", "2")
    world.look(*jobs)
    oak = world.pool.health()["oak"]
    assert (oak.running, oak.pending, oak.unknown, oak.submissions, oak.breaker) == (2, 1, 0, 0, "closed")
    assert (oak.why, oak.words, oak.silent, oak.wait) == ("", "", 0.0, 0.0)
    assert world.status(jobs[2]).state == JobState.PENDING
