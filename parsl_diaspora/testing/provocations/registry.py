"""All provocations, by class."""

from __future__ import annotations

from parsl_diaspora.testing.provocations import application as app
from parsl_diaspora.testing.provocations import environment as env
from parsl_diaspora.testing.provocations import framework as frame
from parsl_diaspora.testing.provocations import programs as run
from parsl_diaspora.testing.provocations import resources as res
from parsl_diaspora.testing.provocations.provocation import Provocation, program, python

_RAISED = "What array libraries raise is raised, without a device."

_ALL = (
    # --- the program's own code ---
    python("application", "Unsolvable")(app.raise_own_exception),
    program("exit-with-3", "application", "echo 'step 4 diverges' >&2; exit 3"),
    python("bug", "ZeroDivisionError")(app.divide_by_zero),
    python("bug", "KeyError")(app.look_up_what_is_not_there),
    python("bad_input", "UnicodeDecodeError")(app.read_text_that_is_none),
    python("bad_input", "JSONDecodeError")(app.read_half_a_document),
    python("bad_input", "pickle|EOFError|ValueError")(app.read_half_a_pickle),
    python("transient", "AssertionError")(app.lose_a_race),
    python("transient", "locked|OperationalError")(app.wait_for_a_locked_database),
    python("walltime", walltime=1)(app.run_for_long),
    program("sleep-beyond-walltime", "walltime", "sleep 60", walltime=1),
    program("timeout-of-its-own", "walltime", "timeout 0.2 sleep 60", "124"),
    python("exited", "3")(app.leave),
    python("interrupted")(app.interrupt_itself),
    python("crash", "SIGSEGV", deadly=True)(app.read_address_zero),
    python("crash", "SIGABRT", deadly=True)(app.abort),
    program("killed-program", "signalled", "sh -c 'kill -9 $$'", "SIGKILL"),
    program("crashed-program", "signalled", "sh -c 'kill -SEGV $$'", "SIGSEGV"),
    # --- between program and worker ---
    python("serialization", name="argument-that-cannot-travel", argument=frame.make_generator)(frame.echo),
    python("serialization")(frame.return_generator),
    python("serialization")(frame.return_connection),
    python("submission", name="resources-that-nobody-knows", specification={"cores": 1})(app.divide_by_zero),
    # --- resources ---
    python("worker_lost", "SIGKILL", deadly=True)(res.kill_own_worker),
    python("memory", "MemoryError")(res.exceed_address_space),
    python("memory", "ENOMEM|memory")(res.map_too_much),
    python("memory", "memory had run out", deadly=True, in_group=True, possible=res.can_limit_memory)(
        res.fill_the_memory
    ),
    program(
        "allocate-under-a-limit",
        "memory",
        res.ALLOCATE_TOO_MUCH,
        "memory",
        by_stderr=True,
    ),
    python("limits", "EMFILE")(res.open_too_many_files),
    python("limits", "EFBIG")(res.write_too_large_a_file),
    program("program-over-its-file-size", "limits", res.WRITE_TOO_MUCH, "SIGXFSZ|limit"),
    python("disk_full", "ENOSPC")(res.write_to_a_full_device),
    program(
        "fill-a-small-disk",
        "disk_full",
        res.FILL_A_SMALL_DISK,
        "No space",
        possible=res.can_mount,
        by_stderr=True,
    ),
    program("mpi-abort", "mpi", run.ABORTED_RANK, "MPI_ABORT", emulated=run.NO_MPI, by_stderr=True),
    program("killed-rank", "mpi", run.KILLED_RANK, "srun", emulated=run.NO_SLURM, by_stderr=True),
    # --- the place ---
    python("missing_module", "a_solver_that_is_not_installed")(env.import_what_is_not_installed),
    python("missing_module", "libasolver")(env.load_a_missing_library),
    program(
        "program-without-its-module",
        "missing_module",
        "python3 -c 'import a_solver'",
        "a_solver",
        by_stderr=True,
    ),
    python("version_mismatch", "lacks")(env.import_a_newer_name),
    python(
        "version_mismatch", "rebuilt", name="argument-of-another-version", argument=frame.OfAnotherVersion
    )(frame.echo),
    python("missing_file", "input.dat")(env.read_a_missing_file),
    python("missing_file", "out.dat")(env.write_into_a_missing_directory),
    program("command-not-found", "missing_file", "a_program_that_is_not_there", "127"),
    program("no-such-input", "missing_file", "cat input.dat", "No such file", by_stderr=True),
    python("permission", "EACCES")(env.execute_what_may_not_be),
    program("program-not-executable", "permission", "touch solve; ./solve", "126"),
    python("gpu", "CUDA error", emulated=_RAISED)(env.lose_the_device),
    python("gpu", "CUDA out of memory", emulated=_RAISED)(env.fill_the_device),
    program("no-device", "gpu", run.WITHOUT_DEVICE, "CUDA|cuda", emulated=run.NO_DEVICE, by_stderr=True),
    python("network", "ECONNREFUSED")(env.call_a_closed_port),
    python("network", "RemoteDisconnected|ECONNRESET|URLError")(env.call_a_service_that_hangs_up),
)


#: Provocations by name.
PROVOCATIONS: dict[str, Provocation] = {each.name: each for each in _ALL}


def of_class(failure_class: str) -> list[Provocation]:
    """The provocations of one class.

    Example:
        >>> [each.name for each in of_class("exited")]
        ['leave']
    """
    return [each for each in PROVOCATIONS.values() if each.failure_class == failure_class]


def named(name: str) -> Provocation:
    """A provocation by its name.

    Raises:
        KeyError: there is none of that name.
    """
    return PROVOCATIONS[name]
