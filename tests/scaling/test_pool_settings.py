"""What a pool can ask for, and what is refused when it is read."""

from __future__ import annotations

import pytest

from parsl_diaspora import PoolSpec, Settings, SiteSpec
from parsl_diaspora.errors import SettingsError


def pool(**values):
    return Settings.from_dict({"pool": {"sites": {"cpu": {"max_nodes": 4}}, **values}}).pool


def test_a_pool_is_the_same_from_python_and_from_plain_data():
    assert pool(min_nodes=2) == PoolSpec(sites={"cpu": SiteSpec(max_nodes=4)}, min_nodes=2)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"sites": {}}, "needs at least one site"),
        ({"min_nodes": 5}, "needs 5 nodes in all, and its sites may hold 4"),
        ({"min_nodes": 3, "max_nodes": 2}, "'min_nodes' is 3, above its 'max_nodes', 2"),
        ({"min_nodes": -1}, "'min_nodes' must be at least 0"),
        ({"min_locations": 2}, "2 locations with 1 node each, and only 1 may hold as many: cpu"),
        ({"capabilities": {"gpu": 1}}, "1 node with 'gpu'"),
        ({"capabilities": {"gpu": 0}}, "'gpu' must be at least 1"),
        ({"availability": 1.0}, "'availability' must be from 0 to 0.9999"),
        ({"orphans": "kill"}, "'orphans' must be one of cancel, report, leave, not 'kill'"),
        ({"idle": "soon"}, "'idle' does not fit"),
        ({"sites": {"cpu": {"min_nodes": 3, "max_nodes": 2}}}, "'min_nodes' of site 'cpu' is 3"),
        ({"sites": {"cpu": {"walltimes": ["0s"]}}}, "must be more than nothing"),
        ({"sites": {"cpu": {"walltimes": ["long"]}}}, "'long' is no span of time"),
        ({"sites": {"cpu": {"min_nodes": 3}, "gpu": {"min_nodes": 2}}, "max_nodes": 4}, "5 nodes together"),
        ({"sites": {"cpu": {"maximum": 3}}}, "maximum"),
        ({"minimum": 3}, "minimum"),
    ],
)
def test_what_cannot_be_held_is_refused_as_it_is_read(values, words):
    with pytest.raises(SettingsError, match=words) as refused:
        pool(**values)
    assert refused.value.hint


def test_sites_of_one_location_are_counted_together():
    sites = {name: {"max_nodes": 2, "location": "west"} for name in ("a", "b")}
    with pytest.raises(SettingsError, match="only 1 may hold as many: west"):
        pool(sites=sites, min_locations=2)
    assert pool(sites=sites, min_nodes_per_location=4).locations == {"west": ["a", "b"]}


def test_an_unknown_site_is_refused_with_the_nearest_one():
    with pytest.raises(SettingsError, match="Did you mean 'cpu'"):
        PoolSpec(sites={"cpux": SiteSpec()}).check_sites(["cpu", "gpu", "cpu/debug"])
