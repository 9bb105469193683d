"""What Parsl really raises is told apart; only what happened at two places condemns a task."""

from __future__ import annotations

import json
import pickle
import socket
import subprocess

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from parsl import HighThroughputExecutor
from parsl.app.errors import AppTimeout, BashAppNoReturn, BashExitFailure, MissingOutputs
from parsl.dataflow.errors import DependencyError, JoinError
from parsl.executors.errors import BadStateException, InvalidResourceSpecification
from parsl.executors.high_throughput.errors import ManagerLost, WorkerLost
from parsl.jobs.errors import TooManyJobFailuresError
from parsl.providers.errors import SubmitException
from parsl.serialize.errors import SerializationError

from parsl_diaspora.errors import (
    ExceptionUnreadable,
    NonRetryable,
    ResultUnreadable,
    RunAgain,
    TaskCancelled,
    TaskExited,
    TaskInterrupted,
    TaskLeft,
    TaskStopped,
)
from parsl_diaspora.events import Failure
from parsl_diaspora.executors.errors import (
    InterchangeLost,
    NeverStarted,
    NoBlocks,
    NoMember,
    RunnerUnusable,
    WorkerDied,
)
from parsl_diaspora.failures import CLASSES, Context, describe, diagnose
from parsl_diaspora.failures.determinism import proof
from parsl_diaspora.state import TaskState, TryState


def executor():
    return HighThroughputExecutor(label="alder", address="127.0.0.1")


def missing():
    try:
        import a_module_that_nobody_has  # noqa: F401
    except ImportError as error:
        return error


class OwnMemoryError(MemoryError):
    pass


class Odd(Exception):
    pass


def cases():
    gone = TooManyJobFailuresError("Error 1:\n\tEXIT CODE: 7")
    return [
        (WorkerLost(3, "nid0012"), "lost", "worker_lost"),
        (WorkerDied("It died.", exit_code=-11), "lost", "crash"),
        (ManagerLost(b"f00", "nid0012"), "lost", "manager_lost"),
        (BadStateException(executor(), gone), "run", "block_failed"),
        (gone, "launch", "block_failed"),
        (BadStateException(executor(), RuntimeError("odd")), "launch", "executor_lost"),
        (NoBlocks("No block is there.", executor="alder"), "run", "block_failed"),
        (NoMember("No executor of pool 'pool' takes tasks.", pool="pool"), "run", "executor_lost"),
        (NoBlocks("sbatch: error: Batch job submission failed: Invalid account"), "run", "batch_refused"),
        (SubmitException("4", "sbatch failed"), "run", "batch_refused"),
        (InterchangeLost("It is gone.", executor="alder", exit_code=-9), "run", "interchange_lost"),
        (InterchangeLost("It is gone.", executor="alder", exit_code=-9), "launch", "interchange_lost"),
        (DependencyError([(ValueError("x"), "task 0")], 1), "launch", "dependency"),
        (JoinError([(ValueError("x"), "task 0")], 1), "run", "dependency"),
        (SerializationError("simulate"), "launch", "serialization"),
        (InvalidResourceSpecification({"cores"}, "no such key"), "launch", "submission"),
        (ValueError("Task 3 requested invalid executor oak"), "launch", "submission"),
        (AppTimeout(), "run", "walltime"),
        (AppTimeout("App x exceeded walltime: 1 seconds"), "run", "walltime"),
        (MemoryError(), "run", "memory"),
        (MemoryError(), "unpack", "memory"),
        (OwnMemoryError(), "run", "memory"),
        (missing(), "run", "missing_module"),
        (missing(), "unpack", "missing_module"),
        (RunnerUnusable("No module named 'parsl_diaspora'"), "run", "missing_module"),
        (TypeError("cannot pickle 'generator' object"), "pack", "serialization"),
        (ResultUnreadable("The result cannot be rebuilt."), "run", "serialization"),
        (ZeroDivisionError("division by zero"), "run", "bug"),
        (KeyError("x"), "run", "bug"),
        (Odd("mine"), "run", "application"),
        (UnicodeDecodeError("utf-8", b"x", 0, 1, "no"), "run", "bad_input"),
        (json.JSONDecodeError("x", "y", 0), "run", "bad_input"),
        (AssertionError("they differ"), "run", "transient"),
        (Odd("database is locked"), "run", "transient"),
        (ImportError("cannot import name 'x'", name="x"), "run", "version_mismatch"),
        (AttributeError("Can't get attribute 'Mesh'"), "unpack", "version_mismatch"),
        (ImportError("/lib/libm.so.6: version `GLIBC_2.38' not found"), "run", "version_mismatch"),
        (ImportError("libhdf5.so.200: cannot open shared object file"), "run", "missing_module"),
        (ExceptionUnreadable("study.Odd: 1 and 2"), "run", "application"),
        (NonRetryable("empty file"), "run", "application"),
        (TaskCancelled("Somebody asked for it."), "run", "cancelled"),
        (BashExitFailure("render", 3), "run", "application"),
        (BashAppNoReturn("None"), "run", "application"),
        (MissingOutputs("Missing outputs", []), "run", "application"),
        (subprocess.CalledProcessError(2, "ls"), "run", "application"),
        (OSError(28, "No space left on device", "/scratch/x"), "run", "disk_full"),
        (OSError(122, "Disk quota exceeded"), "run", "disk_full"),
        (OSError(24, "Too many open files"), "run", "limits"),
        (BlockingIOError(11, "Resource temporarily unavailable"), "run", "limits"),
        (RuntimeError("can't start new thread"), "run", "limits"),
        (OSError(12, "Cannot allocate memory"), "run", "memory"),
        (PermissionError(13, "Permission denied", "/x"), "run", "permission"),
        (FileNotFoundError(2, "No such file or directory", "/x"), "run", "missing_file"),
        (ConnectionRefusedError(111, "Connection refused"), "run", "network"),
        (socket.gaierror(-3, "Temporary failure in name resolution"), "run", "network"),
        (RuntimeError("CUDA error: device-side assert triggered"), "run", "gpu"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "run", "gpu"),
        (RuntimeError("MPI_ABORT was invoked on rank 3"), "run", "mpi"),
        (TypeError("a plain one"), "run", "bug"),
        (TaskCancelled("Task 3 was cancelled.", task=3), "run", "cancelled"),
        (SystemExit(1), "run", "exited"),
        (TaskExited("It ended itself.", exit_code=3), "run", "exited"),
        (KeyboardInterrupt(), "run", "interrupted"),
        (TaskInterrupted("It was interrupted.", kind="GeneratorExit"), "run", "interrupted"),
        (TaskStopped("It was stopped."), "run", "stopped"),
        (TaskLeft("It has saved its state and left.", reason="drained"), "run", "left"),
        (RunAgain("It has saved its files.", exit_code=85), "run", "checkpointed"),
        (BashExitFailure("render", -9), "run", "signalled"),
        (BashExitFailure("render", 137), "run", "signalled"),
        (subprocess.CalledProcessError(-11, "solve"), "run", "signalled"),
        (BashExitFailure("render", 255), "run", "application"),
        (BashExitFailure("render", 127), "run", "missing_file"),
        (BashExitFailure("render", 126), "run", "permission"),
        (BashExitFailure("render", 124), "run", "walltime"),
        (BashExitFailure("render", 153), "run", "limits"),
        (NonRetryable("empty", type="bad_input"), "run", "bad_input"),
        (GeneratorExit(), "run", "unknown"),
    ]


@pytest.mark.parametrize(("error", "phase", "expected"), cases(), ids=lambda value: str(value)[:40])
def test_what_parsl_raises_falls_into_its_class(error, phase, expected):
    found = diagnose(describe(error, phase=phase))
    assert found.failure_class == expected
    assert found.layer == CLASSES[expected].layer
    assert all(found.evidence)
    assert not found.destined


def test_each_class_is_what_some_evidence_falls_into():
    told_by_context = {expected for _, _, expected in CONTEXTS}
    assert {expected for _, _, expected in cases()} | told_by_context == set(CLASSES)


LOST = ManagerLost(b"f00", "nid0012")
DIED = WorkerDied("It died.", exit_code=-9)
CONTEXTS = [
    (LOST, Context(), "manager_lost"),
    (LOST, Context(node_gone=True), "node_lost"),
    (LOST, Context(node_silent=120.0, block_state="RUNNING"), "partition"),
    (LOST, Context(node_silent=120.0, block_state="RUNNING", node_gone=True), "node_lost"),
    (LOST, Context(block_state="TIMEOUT"), "block_walltime"),
    (LOST, Context(walltime_left=3.0), "block_walltime"),
    (LOST, Context(walltime_left=3_000.0), "manager_lost"),
    (LOST, Context(block_state="PREEMPTED"), "preempted"),
    (LOST, Context(node_ending="SIGTERM from the batch system", walltime_left=3_000.0), "preempted"),
    (LOST, Context(node_ending="SIGTERM from the batch system", walltime_left=4.0), "block_walltime"),
    (DIED, Context(), "worker_lost"),
    (DIED, Context(out_of_memory=True), "memory"),
    (DIED, Context(memory_peak=95, memory_limit=100), "memory"),
    (DIED, Context(memory_peak=50, memory_limit=100), "worker_lost"),
    (DIED, Context(node_ending="SIGTERM"), "preempted"),
    (WorkerLost(3, "nid0012"), Context(out_of_memory=True), "memory"),
    (WorkerLost(3, "nid0012"), Context(), "worker_lost"),
    (MemoryError(), Context(address_space=10**9), "memory"),
    (NoBlocks("No block is there."), Context(batch_words="sbatch: error: invalid qos"), "batch_refused"),
    (BashExitFailure("render", 137), Context(out_of_memory=True), "memory"),
]


@pytest.mark.parametrize(("error", "context", "expected"), CONTEXTS, ids=lambda value: str(value)[:40])
def test_what_is_known_of_place_and_time_tells_causes_apart(error, context, expected):
    found = diagnose(describe(error, phase="lost", traceback_limit=0), context=context)
    assert found.failure_class == expected
    assert found.rule
    assert "{" not in found.evidence[0]


STDERR = [
    ("srun: error: nid004: task 3: Killed", "mpi"),
    (
        "./solve: error while loading shared libraries: libpetsc.so.3: cannot open shared object file",
        "missing_module",
    ),
    ("ModuleNotFoundError: No module named 'torch'", "missing_module"),
    ("cp: error writing '/scratch/a': No space left on device", "disk_full"),
    ("bash: fork: retry: Resource temporarily unavailable", "limits"),
    ("terminate called after throwing an instance of 'std::bad_alloc'", "memory"),
    ("rm: cannot remove 'a': Permission denied", "permission"),
    ("cat: input.dat: No such file or directory", "missing_file"),
    ("curl: (6) Could not resolve host: data.example.org", "network"),
    ("CUDA driver version is insufficient: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "gpu"),
    ("Segmentation violation in main loop", "application"),
]


@pytest.mark.parametrize(("text", "expected"), STDERR)
def test_the_last_lines_of_a_bash_apps_stderr_tell_the_cause(text, expected):
    seen = describe(BashExitFailure("render", 1))
    found = diagnose(msgspec.structs.replace(seen, stderr=text))
    assert found.failure_class == expected


def test_losses_are_told_apart_after_they_have_travelled_from_the_interchange():
    lost = pickle.loads(pickle.dumps(WorkerLost(3, "nid0012")))
    assert diagnose(describe(lost, phase="lost")).failure_class == "worker_lost"


def test_a_missing_module_is_named_so_that_a_place_that_has_it_can_be_found():
    assert diagnose(describe(missing())).missing == "a_module_that_nobody_has"


def test_a_runner_that_cannot_be_used_is_our_own_lack_not_the_apps():
    assert diagnose(describe(RunnerUnusable("too old"))).missing == "parsl_diaspora"


def test_a_try_that_was_lost_is_never_put_down_to_the_app():
    assert diagnose(describe(RuntimeError("?"), phase="lost")).failure_class == "unknown"


# --- destined to fail ---

BUG = Failure(chain=("builtins.ValueError", "builtins.Exception"), frame="study.py:simulate:7")


def tried(*places, failure=BUG, executor="alder"):
    tries = [
        TryState(executor=executor, manager=place, status="failed", fingerprint=failure.fingerprint)
        for place in places
    ]
    return TaskState(func="simulate", tries=tries)


@pytest.mark.parametrize(
    ("places", "destined"),
    [
        (("one",), False),
        (("one", "one", "one"), False),
        (("one", "two"), True),
        (("one", "two", "two"), True),
    ],
)
def test_only_two_different_places_prove_that_a_task_is_hopeless(places, destined):
    assert diagnose(BUG, tried(*places)).destined is destined


def test_the_places_are_named_in_the_evidence():
    assert "one, two" in diagnose(BUG, tried("two", "one")).evidence[-1]


def test_two_executors_are_two_places_when_managers_are_not_known():
    task = tried(None)
    task.tries += tried(None, executor="birch").tries
    assert diagnose(BUG, task).destined


def test_another_failure_elsewhere_proves_nothing():
    other = Failure(chain=BUG.chain, frame="study.py:simulate:8")
    task = tried("one", failure=other)
    task.tries += tried("two").tries
    assert not diagnose(BUG, task).destined


def test_without_a_frame_of_the_program_two_failures_are_not_taken_for_the_same():
    nameless = Failure(chain=BUG.chain)
    assert not diagnose(nameless, tried("one", "two", failure=nameless)).destined


def test_a_failure_that_was_once_overcome_proves_nothing():
    assert not diagnose(BUG, tried("one", "two"), refuted=True).destined


@pytest.mark.parametrize("name", [name for name, each in CLASSES.items() if each.infrastructure])
def test_infrastructure_never_condemns_a_task(name):
    failure = Failure(chain=("builtins.KeyError",), frame="study.py:simulate:7")
    task = tried("one", "two", "three", failure=failure)
    assert proof(failure, "bug", task)
    assert not proof(failure, name, task)


names = st.sampled_from([name for error, _, _ in cases() for name in describe(error).chain])
phases = st.sampled_from(["launch", "unpack", "run", "pack", "lost"])


@given(st.lists(names, max_size=4).map(tuple), phases, st.text(max_size=5), st.booleans())
def test_every_failure_gets_a_class_that_exists_and_type_alone_never_condemns(chain, phase, frame, alone):
    failure = Failure(chain=chain, phase=phase, frame=frame)
    found = diagnose(failure, None if alone else tried("one", "one", failure=failure))
    assert found.failure_class in CLASSES
    assert 0.0 <= found.confidence <= 1.0
    assert not found.destined


@pytest.mark.parametrize(
    ("exit_code", "out_of_memory", "expected", "word"),
    [
        (-9, True, "memory", "SIGKILL"),
        (-9, False, "worker_lost", "SIGKILL"),
        (-15, True, "worker_lost", "SIGTERM"),
        (-11, False, "crash", "SIGSEGV"),
        (-11, True, "crash", "SIGSEGV"),
        (-6, False, "crash", "SIGABRT"),
        (-64, False, "worker_lost", "SIGRTMAX"),
        (-99, False, "worker_lost", "signal 99"),
        (3, False, "worker_lost", "exit code 3"),
        (None, True, "worker_lost", "found its worker dead"),
    ],
)
def test_how_a_worker_ended_tells_memory_crash_and_loss_apart(exit_code, out_of_memory, expected, word):
    error = WorkerDied("It died.", worker_id=1, exit_code=exit_code, out_of_memory=out_of_memory)
    diagnosis = diagnose(describe(error, phase="lost", traceback_limit=0))
    assert diagnosis.failure_class == expected
    assert word in diagnosis.evidence[0]


def test_an_error_of_the_program_cannot_claim_that_memory_ran_out():
    error = RuntimeError("mine")
    error.out_of_memory, error.exit_code = True, -9
    failure = describe(error)
    assert not failure.out_of_memory


def test_programs_that_catch_parsls_own_class_catch_ours():
    with pytest.raises(WorkerLost, match="It died"):
        raise WorkerDied("It died.")


def test_a_task_that_was_passed_over_is_lost_and_not_its_programs_fault():
    diagnosis = diagnose(describe(NeverStarted("It waits."), phase="lost"))
    assert diagnosis.failure_class == "worker_lost"
