"""An exception becomes plain data: everything that explains it, nothing that could break or leak."""

from __future__ import annotations

import errno
import importlib.util
import os
import sys

import msgspec
import pytest
from parsl.app.errors import BashExitFailure, RemoteExceptionWrapper
from parsl.serialize import deserialize, serialize

from parsl_diaspora import NonRetryable
from parsl_diaspora.events import Failure
from parsl_diaspora.failures import describe
from parsl_diaspora.failures.evidence import MESSAGE_LIMIT, load_function, named_redactor


def caught(function, *args):
    try:
        function(*args)
    except BaseException as error:
        return error
    raise AssertionError("it did not raise")


def fail(error):
    raise error


def divide():
    return 1 / 0


def shout(text):
    return text.replace("hunter2", "***")


def broken_redactor(text):
    raise LookupError(text)


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")


class Prickly(OSError):
    @property
    def errno(self):
        raise RuntimeError("do not touch")

    @property
    def exitcode(self):
        raise RuntimeError("do not touch")


def test_the_class_and_all_its_bases_are_named_so_that_nobody_needs_to_import_them():
    class Special(ZeroDivisionError):
        pass

    chain = describe(Special()).chain
    assert chain[0].endswith("Special")
    assert chain[1:] == (
        "builtins.ZeroDivisionError",
        "builtins.ArithmeticError",
        "builtins.Exception",
        "builtins.BaseException",
    )


def test_the_frame_is_the_innermost_one_of_the_program():
    assert describe(caught(divide)).frame.startswith("test_evidence.py:divide:")


def test_a_failure_inside_a_library_is_put_down_to_the_line_that_called_it():
    import json

    assert describe(caught(json.loads, "{")).frame.startswith("test_evidence.py:caught:")


def test_an_app_that_is_a_library_function_itself_has_that_librarys_frame():
    import json

    error = caught(json.loads, "{")
    assert describe(error.with_traceback(error.__traceback__.tb_next)).frame.startswith("decoder.py:")


@pytest.mark.parametrize("folder", ["parsl", "parsl_diaspora", "importlib"])
def test_a_project_in_a_directory_named_like_a_library_still_has_frames(tmp_path, folder):
    file = tmp_path / folder / "study.py"
    file.parent.mkdir()
    file.write_text("def analyse():\n    return {}['missing']\n")
    spec = importlib.util.spec_from_file_location("study", file)
    study = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(study)
    assert describe(caught(study.analyse)).frame == "study.py:analyse:2"


def test_frames_of_what_carries_the_task_are_not_the_programs():
    from parsl.app.python import timeout

    assert describe(caught(timeout(divide, 5))).frame.startswith("test_evidence.py:divide:")


def test_an_exception_that_has_travelled_keeps_its_frame():
    error = caught(divide)
    wrapper = deserialize(serialize(RemoteExceptionWrapper(type(error), error, error.__traceback__)))
    assert describe(wrapper.get_exception()).frame == describe(error).frame


def test_the_same_line_gives_the_same_fingerprint_whatever_the_text():
    first, second = (describe(caught(fail, ValueError(text))) for text in ("seed 1", "seed 2"))
    assert first.fingerprint == second.fingerprint
    assert first.fingerprint != describe(caught(divide)).fingerprint


def test_the_traceback_tells_of_the_causes_of_a_chained_exception():
    def chained():
        try:
            divide()
        except ZeroDivisionError as error:
            raise ValueError("the mean of nothing") from error

    text = describe(caught(chained)).traceback
    assert "ZeroDivisionError" in text
    assert "the direct cause" in text


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups came with Python 3.11")
def test_a_group_tells_of_all_its_members():
    group = ExceptionGroup("two of the inputs", [KeyError("left"), OSError(errno.ENOSPC, "disk full")])  # noqa: F821
    failure = describe(caught(fail, group))
    assert failure.type == "builtins.ExceptionGroup"
    assert "KeyError" in failure.traceback
    assert "disk full" in failure.traceback


def test_an_oserror_keeps_its_number():
    failure = describe(OSError(errno.ENOSPC, "No space left on device", "/scratch/out"))
    assert failure.errno == errno.ENOSPC
    assert "/scratch/out" in failure.message


def test_a_bash_app_keeps_its_exit_code():
    assert describe(BashExitFailure("render", 137)).exit_code == 137
    assert describe(BashExitFailure("render", -9)).exit_code == -9


def test_a_missing_module_is_named():
    def needs():
        import a_module_that_nobody_has  # noqa: F401

    assert describe(caught(needs)).name == "a_module_that_nobody_has"
    assert describe(KeyError("name")).name == ""


def test_the_raisers_own_verdict_and_its_name_are_kept():
    class StillFinal(NonRetryable):
        pass

    failure = describe(StillFinal("empty calibration file", type="BadInput"))
    assert (failure.retryable, failure.declared) == (False, "BadInput")
    assert describe(ValueError("x")).retryable


def test_an_exception_whose_text_cannot_be_had_is_still_evidence():
    failure = describe(caught(fail, Mute()))
    assert failure.type.endswith("Mute")
    assert "RuntimeError" in failure.message
    assert failure.frame.startswith("test_evidence.py:fail:")


def test_an_exception_whose_attributes_raise_is_still_evidence():
    failure = describe(Prickly("sharp"))
    assert failure.errno is None
    assert failure.exit_code is None


def test_evidence_can_always_travel_whatever_is_in_it():
    huge = OSError(10**30, "no such number")
    missing = ImportError("x", name="\udce9")
    for error in (ValueError("\udce9 \x00"), huge, missing, NonRetryable("x", type="\udce9")):
        failure = describe(error)
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(failure), type=Failure) == failure
    assert describe(ValueError(os.fsdecode(b"caf\xe9"))).message == "caf\\udce9"


@pytest.mark.parametrize("answer", [None, 7, b"bytes"])
def test_a_redactor_that_answers_with_no_text_lets_nothing_out(answer):
    failure = describe(caught(fail, ValueError("hunter2")), redact=lambda text: answer)
    assert "hunter2" not in failure.message + failure.traceback
    assert "not recorded" in failure.message


def test_a_flag_that_is_called_errno_is_no_number():
    error = ValueError()
    error.errno = True
    assert describe(error).errno is None


@pytest.mark.parametrize("limit", [1, 80, 500])
def test_a_long_traceback_is_cut_at_its_beginning_because_the_cause_stands_at_the_end(limit):
    failure = describe(caught(fail, ValueError("x" * 1000 + "the very end")), traceback_limit=limit)
    assert len(failure.traceback.encode()) <= limit
    assert "ValueError: xxx…the very end\n".endswith(failure.traceback[-8:])


def test_the_limit_of_a_traceback_counts_bytes():
    failure = describe(caught(fail, ValueError("ü" * 1000)), traceback_limit=101)
    assert 95 < len(failure.traceback.encode()) <= 101


def test_no_traceback_is_kept_when_none_is_asked_for():
    assert describe(caught(divide), traceback_limit=0).traceback == ""


def test_a_huge_message_is_cut():
    assert len(describe(ValueError("x" * 10_000_000)).message) == MESSAGE_LIMIT


def test_a_redactor_sees_message_and_traceback():
    failure = describe(caught(fail, ValueError("password hunter2")), redact=shout)
    assert failure.message == "password ***"
    assert "hunter2" not in failure.traceback
    assert "password ***" in failure.traceback


def test_a_redactor_that_fails_lets_no_text_out_and_loses_nothing_else():
    failure = describe(caught(fail, NonRetryable("hunter2", type="BadInput")), redact=broken_redactor)
    assert "hunter2" not in failure.message + failure.traceback
    assert "LookupError" in failure.message
    assert (failure.retryable, failure.declared) == (False, "BadInput")
    assert failure.frame


def test_a_redactor_is_found_by_its_path():
    assert named_redactor(f"{__name__}:shout")("hunter2") == "***"
    with pytest.raises(AttributeError):
        load_function(f"{__name__}:no_such_function")


@pytest.mark.parametrize("path", ["no_such_module:shout", f"{__name__}:no_such_function", "nonsense"])
def test_a_redactor_that_cannot_be_had_lets_no_text_out(path):
    assert "hunter2" not in named_redactor(path)("hunter2")
