"""Where an app may run is what its author wrote, as far as that can be found."""

from __future__ import annotations

import gc

import pytest
from parsl.app.python import timeout
from parsl.data_provider.files import File

from parsl_diaspora.monitoring.placing.apps import Apps, declared_executors, has_staged_files
from parsl_diaspora.recovery.options import original
from tests.monitoring import sample_apps

KNOWN = {"alder": None, "birch": None, "_parsl_internal": None}


def submitted(app):
    """The function that Parsl puts into the task record of an app."""
    return getattr(app, "wrapped_remote_function", None) or app.func


def declared(app):
    return declared_executors(original(submitted(app)), KNOWN)


@pytest.mark.parametrize(
    ("app", "allowed"),
    [
        (sample_apps.anywhere, {"alder", "birch"}),
        (sample_apps.joined, {"_parsl_internal"}),
        (sample_apps.only_birch, {"birch"}),
        (sample_apps.one_of_a_list, {"birch"}),
        (sample_apps.shell, {"birch"}),
        (sample_apps.marked_outside, {"birch"}),
        (sample_apps.marked_inside, {"birch"}),
        (sample_apps.Study.inside_a_class, {"birch"}),
        (sample_apps.shadowed, {"birch"}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_an_app_may_go_where_its_author_allows_and_the_program_has_executors(app, allowed):
    assert declared(app) == allowed


def test_a_walltime_does_not_hide_the_app():
    function = timeout(submitted(sample_apps.only_birch), 10)
    assert declared_executors(original(function), KNOWN) == {"birch"}


def test_an_app_that_was_made_inside_a_function_is_not_found():
    assert declared(sample_apps.make(["birch"])) is None


def test_an_app_whose_name_another_one_has_taken_is_not_mistaken_for_it():
    assert declared(sample_apps.hidden) is None


@pytest.mark.parametrize("odd", [len, "".join, print, object(), None])
def test_what_is_no_function_of_a_module_is_not_found(odd):
    assert declared_executors(odd, KNOWN) is None


# --- notes ---


def test_apps_of_the_same_name_are_told_apart():
    apps = Apps()
    one, other = sample_apps.make(["alder"]), sample_apps.make(["birch"])
    apps.of(submitted(one)).placed.add("alder")
    assert apps.of(submitted(one)).placed == {"alder"}
    assert apps.of(submitted(other)).placed == set()


def test_notes_are_found_again_through_each_calls_own_walltime_wrapper():
    apps = Apps()
    for label in ("alder", "birch"):
        apps.of(timeout(submitted(sample_apps.only_birch), 10)).placed.add(label)
    assert apps.of(submitted(sample_apps.only_birch)).placed == {"alder", "birch"}


def test_notes_on_a_function_that_is_gone_are_gone():
    apps = Apps()
    app = sample_apps.make(["alder"])
    apps.of(submitted(app)).placed.add("alder")
    del app
    gc.collect()
    assert len(apps._notes) == 0


def test_a_callable_that_cannot_be_a_key_is_simply_not_remembered():
    class Odd:
        __slots__ = ()
        __hash__ = None

        def __eq__(self, other):
            return True

        def __call__(self):
            return None

    apps = Apps()
    apps.of(Odd()).placed.add("alder")
    assert apps.of(Odd()).placed == set()
    assert apps.declared(Odd(), KNOWN) is None


# --- staging ---


@pytest.mark.parametrize(
    ("arguments", "staged"),
    [
        ({}, False),
        ({"args": (File("/data/in.csv"), 3)}, False),
        ({"args": (File("https://host/in.csv"),)}, True),
        ({"kwargs": {"mesh": File("ftp://host/mesh")}}, True),
        ({"kwargs": {"inputs": [File("file:///data/in.csv")]}}, False),
        ({"kwargs": {"inputs": [1, File("https://host/in.csv")]}}, True),
        ({"kwargs": {"outputs": [File("globus://uuid/out.csv")]}}, True),
        ({"kwargs": {"inputs": None, "outputs": ()}}, False),
    ],
)
def test_a_task_whose_files_parsl_has_staged_is_known(arguments, staged):
    assert has_staged_files({"args": (), "kwargs": {}, **arguments}) is staged
