"""Every example in a docstring runs."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module

import pytest

import parsl_diaspora

NEED_A_TERMINAL = ("parsl_diaspora.cli.top",)
MODULES = [
    "parsl_diaspora",
    *(
        module.name
        for module in pkgutil.walk_packages(parsl_diaspora.__path__, "parsl_diaspora.")
        if not module.name.endswith(".__main__") and not module.name.startswith(NEED_A_TERMINAL)
    ),
]


@pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning")  # parsl.addresses leaves them
@pytest.mark.parametrize("name", MODULES)
def test_examples_of_the_docstrings_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = import_module(name)
    results = doctest.testmod(module, optionflags=doctest.ELLIPSIS, report=True)
    assert results.failed == 0


def test_there_are_examples():
    assert len(MODULES) > 40
