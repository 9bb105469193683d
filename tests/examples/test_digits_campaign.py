"""The campaign is large enough, and its scores depend on the trial alone."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from parsl_diaspora.testing.campaign import digits, sites
from parsl_diaspora.testing.campaign.digits import evaluate, grid
from parsl_diaspora.testing.campaign.run import CampaignResult
from parsl_diaspora.testing.campaign.sites import site_config
from parsl_diaspora.testing.shutdown import Shutdown

EXAMPLE = Path(__file__).parents[2] / "examples" / "digits_campaign.py"


@pytest.fixture(autouse=True)
def one_thread():
    with threadpool_limits(1):  # as in the workers; several would fight for the cores of a busy host
        yield


@pytest.fixture
def strokes(monkeypatch):
    monkeypatch.syspath_prepend(sites.SITE_MODULES)
    import strokes

    yield strokes
    sys.modules.pop("strokes")


def first(family):
    return next(trial for trial in grid() if trial.family == family)


def result(scores):
    shutdown = Shutdown(finished=True, seconds=0.1, left=0)
    return CampaignResult(scores=scores, failures={}, unfinished=(), seconds=1.0, shutdown=shutdown)


# ------------------------------------------------------------------ the grid and the scores


def test_the_grid_has_enough_trials_each_with_a_name_of_its_own():
    trials = grid()
    assert 120 <= len(trials) <= 150
    assert len({trial.name for trial in trials}) == len(trials)
    assert Counter(trial.family for trial in trials) == {"forest": 48, "svm": 48, "strokes": 48}
    assert Counter(trial.fold for trial in trials) == {fold: len(trials) // 3 for fold in range(3)}


@pytest.mark.parametrize("family", ["forest", "svm", "strokes"])
def test_a_score_is_the_same_each_time_and_good(family, strokes):
    random.seed(1)
    np.random.seed(1)
    score = evaluate(first(family))
    random.seed(2)
    np.random.seed(2)
    assert evaluate(first(family)) == score
    assert type(score) is float
    assert 0.95 < score < 1


def test_the_strokes_trials_fail_where_the_module_is_missing():
    with pytest.raises(ModuleNotFoundError, match="strokes"):
        evaluate(first("strokes"))


def test_each_digit_is_tested_in_exactly_one_fold():
    parts = [digits.split(fold) for fold in range(3)]
    assert sum(len(test) for _, _, test, _ in parts) == 1797
    assert [len(train) + len(test) for train, _, test, _ in parts] == [1797] * 3


def test_shifted_digits_keep_their_labels_and_lose_only_what_leaves_the_frame():
    image = np.zeros((1, 64))
    image[0, [8, 10]] = 5.0, 7.0  # at the left edge of the second row, and two further right
    shifted, labels = digits.with_shifts(image, np.array([3]))
    assert [np.flatnonzero(one).tolist() for one in shifted] == [[8, 10], [9, 11], [9]]
    assert labels.tolist() == [3, 3, 3]


# ------------------------------------------------------------------ stroke features


def test_features_are_finite_bounded_and_blind_to_the_strength_of_the_ink(strokes):
    images = np.random.default_rng(1).integers(0, 17, (20, 64)).astype(float)
    features = strokes.features(images, bins=6)
    assert features.shape == (20, 9 * 6 + 48)
    assert features.min() >= 0
    assert features.max() <= 1
    np.testing.assert_allclose(strokes.features(images * 3, bins=6), features)
    assert np.isfinite(strokes.features(np.zeros((1, 8, 8)))).all()


def test_an_upright_stroke_votes_for_another_direction_than_a_level_one(strokes):
    upright = np.zeros((1, 8, 8))
    upright[0, :, 3:5] = 1.0
    votes = strokes.directions(upright, bins=4).reshape(9, 4)
    level = strokes.directions(upright.swapaxes(1, 2), bins=4).reshape(9, 4)
    assert set(votes.argmax(axis=1)) == {0}
    assert set(level.argmax(axis=1)) == {2}


def test_profiles_say_how_far_the_first_ink_is_from_each_side(strokes):
    dot = np.zeros((1, 8, 8))
    dot[0, 2, 5] = 1.0
    left, right, top, bottom = strokes.profiles(dot).reshape(4, 8)
    assert (left[2], right[2], top[5], bottom[5]) == (5 / 8, 2 / 8, 2 / 8, 5 / 8)
    assert sorted(left)[1:] == [1.0] * 7


def test_features_refuse_what_they_cannot_describe(strokes):
    with pytest.raises(ValueError, match="8 x 8"):
        strokes.features(np.zeros((3, 63)))
    with pytest.raises(ValueError, match="directions"):
        strokes.features(np.zeros((3, 64)), bins=1)


# ------------------------------------------------------------------ result and configuration


def test_only_classifiers_with_all_folds_are_ranked_best_first():
    names = ["a", "b", "c"]
    trials = {name: [digits.Trial("svm", ((name, 1),), fold) for fold in range(3)] for name in names}
    scores = dict(zip(trials["a"], [0.9, 0.9, 0.9], strict=True))
    scores |= dict(zip(trials["b"], [0.7, 1.0, 1.0 + 0.3], strict=True))
    scores |= dict(zip(trials["c"][:2], [1.0, 1.0], strict=True))
    ranked = result(scores)
    assert [name for name, _ in ranked.ranking] == ["svm b=1", "svm a=1"]
    assert ranked.best == ("svm b=1", pytest.approx(1.0))
    assert result({}).best is None


def test_two_runs_use_ports_and_executors_of_their_own():
    one, two = (site_config(mark=mark, retries=2).executors for mark in ("one", "two"))
    assert [executor.label for executor in one] == ["alder", "birch"]
    ranges = [e.worker_port_range for e in [*one, *two]] + [e.interchange_port_range for e in [*one, *two]]
    assert len(set(ranges)) == len(ranges)
    assert all(executor.encrypted and executor.address == "127.0.0.1" for executor in one)


def test_only_one_site_has_the_strokes_module_on_its_path():
    alder, birch = (executor.provider.worker_init for executor in site_config(mark="run").executors)
    assert "site_modules" in alder
    assert "site_modules" not in birch


def test_on_request_every_site_has_the_strokes_module():
    inits = [executor.provider.worker_init for executor in site_config(mark="run", healthy=True).executors]
    assert all("site_modules" in init for init in inits)


def test_the_example_explains_itself():
    told = subprocess.run(
        [sys.executable, str(EXAMPLE), "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(EXAMPLE.parents[1])},
    )
    assert "--stock" in told.stdout
    assert "Which classifier reads handwritten digits best?" in told.stdout
