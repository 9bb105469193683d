"""Fabrics are found by the scheme of their URL, in this package and in others."""

from __future__ import annotations

import sys
import textwrap

import pytest

from parsl_diaspora.errors import FabricUnavailable, UnknownFabric
from parsl_diaspora.events import TaskSubmitted
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.file import FileFabric


@pytest.fixture
def distribution(tmp_path, monkeypatch):
    """Another package, as if installed, that names fabrics by entry points."""
    place = tmp_path / "site"
    information = place / "acme_fabrics-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-fabrics\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        textwrap.dedent(
            """
            [parsl_diaspora.fabrics]
            acme = acme_fabrics:open_acme
            broken = acme_fabrics:nothing_of_that_name
            missing = acme_not_installed:open_it
            file = acme_fabrics:open_acme
            """
        )
    )
    (place / "acme_fabrics.py").write_text(
        textwrap.dedent(
            """
            from parsl_diaspora.fabric.memory import MemoryFabric

            def open_acme(url):
                return MemoryFabric(url=url)
            """
        )
    )
    monkeypatch.syspath_prepend(place)
    yield
    sys.modules.pop("acme_fabrics", None)


@pytest.mark.usefixtures("distribution")
def test_fabric_of_another_package_is_found_by_its_entry_point():
    fabric = open_fabric("acme://host/topic")
    fabric.publisher("s").publish(TaskSubmitted(task=1))
    assert fabric.url == "acme://host/topic"
    assert [event.task for event in fabric.consumer("reader").poll()] == [1]


@pytest.mark.usefixtures("distribution")
def test_fabrics_of_this_package_cannot_be_replaced_by_another_package(tmp_path):
    assert isinstance(open_fabric(f"file:{tmp_path}"), FileFabric)


@pytest.mark.usefixtures("distribution")
@pytest.mark.parametrize("scheme", ["broken", "missing"])
def test_backend_that_cannot_be_loaded_is_unavailable_and_says_which_and_why(scheme):
    with pytest.raises(
        FabricUnavailable, match=rf"'{scheme}', acme_\w+:\w+, cannot be loaded: .*acme_"
    ) as caught:
        open_fabric(f"{scheme}://me:pw@host")
    assert caught.value.url == f"{scheme}://me:***@host"
    assert caught.value.__cause__ is not None


SCHEMES = [
    "acme",
    "broken",
    "file",
    "files+diaspora",
    "kafka",
    "memory",
    "missing",
    "mofka",
    "relay",
    "spool",
]


@pytest.mark.usefixtures("distribution")
@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("flie:./events", "Did you mean 'file:'?"),
        ("mem:", "Did you mean 'memory:'?"),
        ("acne://host", "Did you mean 'acme:'?"),
        ("carrier-pigeon:", f"The schemes are: {', '.join(SCHEMES)}."),
    ],
)
def test_unknown_scheme_names_the_nearest_or_all(url, hint):
    with pytest.raises(UnknownFabric) as caught:
        open_fabric(url)
    assert caught.value.message == f"No fabric backend is installed for {url.partition(':')[0]!r}."
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("url", "hint"), [("./events", "Try 'file:./events'."), ("", "Try 'file:./events'.")]
)
def test_path_without_a_scheme_gets_a_hint(url, hint):
    with pytest.raises(UnknownFabric) as caught:
        open_fabric(url)
    assert caught.value.hint == hint


def test_scheme_may_be_written_in_capitals(tmp_path):
    assert isinstance(open_fabric(f"FILE:{tmp_path}"), FileFabric)


def test_password_in_a_url_is_not_repeated_in_the_error():
    with pytest.raises(UnknownFabric) as caught:
        open_fabric("kafak://me:hunter2@host:9092")
    assert "hunter2" not in repr(caught.value) + str(caught.value) + caught.value.url
