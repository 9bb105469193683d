"""Errors carry fields, read as sentences, and cross processes."""

from __future__ import annotations

import copy
import inspect
import pickle
import pkgutil
import re
from importlib import import_module

import pytest

import parsl_diaspora
from parsl_diaspora import errors
from parsl_diaspora.errors import DiasporaError, ExceptionUnreadable, FabricError, NonRetryable, TaskFailure
from parsl_diaspora.executors import errors as executor_errors
from parsl_diaspora.fabric import open_fabric

#: Its first argument is no message.
OF_SECONDS = errors.RetryAfter

CLASSES = [
    each
    for module in (errors, executor_errors)
    for _, each in inspect.getmembers(module, inspect.isclass)
    if issubclass(each, DiasporaError) and each.__module__ == module.__name__
]


class FromTheProgram(NonRetryable):
    """A subclass that a program might make, with arguments of its own."""

    def __init__(self, code, *, where):
        super().__init__(f"It failed with {code}.", type="Own")
        self.code, self.where = code, where


def filled(kind):
    """An error whose every keyword is given, each a value of its own."""
    if kind is OF_SECONDS:
        return kind(30, "It failed.")
    parameters = list(inspect.signature(kind.__init__).parameters.values())[2:]
    samples = {"chain": ("a.B", "builtins.Exception"), "exit_code": -9}
    return kind(
        "It failed.", **{each.name: samples.get(each.name, f"the {each.name}") for each in parameters}
    )


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_each_error_survives_pickling_with_all_its_fields(kind, protocol):
    error = filled(kind)
    again = pickle.loads(pickle.dumps(error, protocol))
    assert type(again) is kind
    assert (vars(again), again.args, str(again)) == (vars(error), error.args, str(error))
    assert len(vars(again)) >= 2


@pytest.mark.parametrize(
    "kind", [kind for kind in CLASSES if kind is not OF_SECONDS], ids=lambda kind: kind.__name__
)
def test_each_error_is_raised_with_a_sentence_alone(kind):
    error = kind("It failed.")
    assert (str(error), error.message, error.hint) == ("It failed.", "It failed.", "")


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_each_error_documents_its_own_fields(kind):
    own = set(vars(filled(kind))) - {name for base in kind.__mro__[1:-3] for name in _documented(base)}
    assert own - {"message", "hint"} <= _documented(kind)


def _documented(kind):
    return set(re.findall(r"^ {4}(\w+): ", inspect.cleandoc(kind.__doc__ or ""), re.MULTILINE))


def test_app_may_raise_non_retryable_without_any_words():
    with pytest.raises(NonRetryable, match="trying again cannot help"):
        raise NonRetryable


def test_programs_own_subclass_survives_pickling_whatever_its_arguments():
    again = pickle.loads(pickle.dumps(FromTheProgram(7, where="n1")))
    assert (again.code, again.where, again.type, str(again)) == (7, "n1", "Own", "It failed with 7.")


def test_notes_and_copies_keep_everything():
    error = filled(ExceptionUnreadable)
    error.__notes__ = ["seen on n1"]
    for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert vars(again) == vars(error)


def test_hint_follows_the_message():
    assert str(FabricError("It failed.", hint="Do that.")) == "It failed. Do that."


def test_every_error_of_the_package_stands_in_the_tree_of_the_errors_module():
    tree = _tree(errors.__doc__)
    assert tree == {kind.__name__: kind.__bases__[0].__name__ for kind in _all_errors()}


def test_executors_errors_and_task_failures_are_told_apart_from_errors_of_parsl():
    assert all(issubclass(kind, DiasporaError) for kind in CLASSES)
    assert issubclass(ExceptionUnreadable, TaskFailure)


def test_one_except_clause_catches_every_error_of_the_package():
    with pytest.raises(DiasporaError):
        open_fabric("nowhere")


def _tree(text):
    """Child to parent, from the drawing in the docstring; the root's parent is Exception."""
    parents, path = {}, {}
    for line in text.splitlines():
        match = re.match(r"^ {4}((?:[│ ] {3})*)(?:[├└]── )?([A-Z]\w+) ", line)
        if match is None:
            continue
        depth = len(match[1]) // 4 + ("── " in line)
        parents[match[2]] = path.get(depth - 1, "Exception")
        path[depth] = match[2]
    return parents


def _all_errors():
    for module in pkgutil.walk_packages(parsl_diaspora.__path__, "parsl_diaspora."):
        if module.name.endswith("errors"):
            import_module(module.name)
    found, queue = [], [DiasporaError]
    while queue:
        kind = queue.pop()
        queue += kind.__subclasses__()
        if kind.__module__.startswith("parsl_diaspora."):
            found.append(kind)
    return found
