"""Apps as authors write them."""

from __future__ import annotations

from parsl import bash_app, join_app, python_app

from parsl_diaspora import resilience


@python_app
def anywhere():
    return 1


@python_app(executors=["birch"])
def only_birch():
    return 1


@python_app(executors=["birch", "oak"])
def one_of_a_list():
    return 1


@bash_app(executors=["birch"])
def shell():
    return "true"


@resilience(retries=3)
@python_app(executors=["birch"])
def marked_outside():
    return 1


@python_app(executors=["birch"])
@resilience(retries=3)
def marked_inside():
    return 1


@join_app
def joined():
    return []


class Study:
    @python_app(executors=["birch"])
    def inside_a_class():
        return 1


def make(executors):
    @python_app(executors=executors)
    def local():
        return 1

    return local


@python_app(executors=["oak"])
def shadowed():
    return 1


hidden = shadowed


@python_app(executors=["birch"])
def shadowed():
    return 2
