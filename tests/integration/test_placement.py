"""What one program has learned of places the next one knows; what managers tell is used at once."""

from __future__ import annotations

import json

import pytest

from parsl_diaspora.cli.main import main
from parsl_diaspora.events import DecisionMade, TryFailed
from parsl_diaspora.testing.emulated import EmulatedNode, install_package
from tests.integration import apps
from tests.integration.looking import until


@pytest.mark.slow
def test_a_later_program_goes_at_once_where_an_earlier_one_has_succeeded(program, capsys):
    modules = program.directory / "modules"
    modules.mkdir()
    (modules / "only_at_one_site.py").write_text("NAME = 'found'\n")  # no package that managers would list
    failed = []
    for run in ("first", "second"):
        program.url = f"file:{program.directory / run}"
        program.load(program.pool("alder", path=(modules,)), program.pool("birch"))
        assert [apps.needs_module().result(timeout=60) for _ in range(12)] == ["found"] * 12
        events = program.events()
        failed.append(sum(isinstance(event, TryFailed) for event in events))
    assert failed == [1, 0]
    assert {each.rule for each in events if isinstance(each, DecisionMade)} == {"known-lack"}
    main(["places", "--run-dir", str(program.directory / "runinfo"), "--json"])
    beliefs = {row["place"]: row for row in json.loads(capsys.readouterr().out)}
    assert beliefs["executor:birch"]["lack"] == "module 'only_at_one_site'"
    assert beliefs["executor:alder"]["tries"] == 24


@pytest.mark.slow
def test_what_managers_list_and_allow_spares_the_first_failure(program):
    site = install_package(program.directory / "site", "only_at_one_site", source="NAME = 'found'\n")
    small = program.pool("birch")
    small.provider.launcher = EmulatedNode("birch-1", memory=3_000_000_000)
    large = program.pool("alder")
    large.provider.launcher = EmulatedNode("alder-1", packages=(site,))
    kernel = program.load(large, small)
    offers = kernel.memoizer.session.routing.offers
    apps.spin(1, 0.0).result(timeout=60)
    until(lambda: all(offers.of(label).packages for label in ("alder", "birch")))
    assert offers.of("birch").memory <= 3_000_000_000 < offers.of("alder").memory
    assert [apps.needs_module().result(timeout=60) for _ in range(8)] == ["found"] * 8
    unmeasured = [apps.allocate(3_500_000_000) for _ in range(2)]
    assert [each.result(timeout=60) for each in unmeasured] == [3_500_000_000] * 2
    assert [event for event in program.events() if isinstance(event, TryFailed)] == []
