"""The reconstruction finds the sample, and goes on from any step as if nothing had been."""

from __future__ import annotations

import copy
import pickle
import random
import struct
import zlib
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
STEPS = 40


@pytest.fixture(scope="module")
def model():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLES)
        import ptychography_model

        yield ptychography_model


@pytest.fixture(scope="module")
def small(model):
    return model.Experiment(spots=6, pitch=5, window=32, beam=8.0)


@pytest.fixture(scope="module")
def straight(model, small):
    """All regions, each in one go."""
    return [model.reconstruct(small, region, STEPS, model.Alone()) for region in range(small.regions)]


class Killed(BaseException):
    pass


class Notebook:
    """A task's context with a plain dictionary behind it: it saves each `every` steps and dies at some."""

    def __init__(self, every, deaths):
        self.saved, self.every, self.deaths, self.step, self.tries = {}, every, set(deaths), 0, 0

    def restore(self, default=None):
        self.tries += 1
        return pickle.loads(self.saved["state"]) if self.saved else default

    def should_checkpoint(self):
        return self.step % self.every == 0

    def save(self, state):
        self.saved["state"] = pickle.dumps(state)
        return True

    def progress(self, done, total):
        assert 0 < done <= total
        self.step = done
        if done in self.deaths:
            self.deaths.remove(done)
            raise Killed


def through(model, small, region, notebook):
    told = []
    while True:
        try:
            return model.reconstruct(small, region, STEPS, notebook, told.append), told
        except Killed:
            continue


def same(one, other):
    assert one.keys() == other.keys()
    return all(
        np.array_equal(value, other[name]) and np.asarray(value).dtype == np.asarray(other[name]).dtype
        for name, value in one.items()
    )


# ------------------------------------------------------------------ physics


def test_the_error_falls_and_the_sample_is_found(model, small, straight):
    truth = model.sample(small)
    for region, state in enumerate(straight):
        piece = truth[small.place(region)]
        before = model.distance(
            model.begin(small, model.measure(small, region))["object"], piece, model.light(state)
        )
        after = model.distance(state["object"], piece, model.light(state))
        print(f"region {region}: misfit {state['errors'][0]:.3f} -> {state['errors'][-1]:.3f}")
        print(f"    from the true sample {before:.3f} -> {after:.3f}")
        assert state["errors"][-1] < 0.25 * state["errors"][0]
        assert after < 0.3 * before


def test_wrong_positions_are_put_right(model, small, straight):
    measured = [model.measure(small, region) for region in range(small.regions)]
    before = sum(model.misread(model.begin(small, each), each) for each in measured)
    after = sum(model.misread(state, each) for state, each in zip(straight, measured, strict=True))
    assert before >= 15
    assert after <= before // 5


def test_regions_put_together_are_the_sample(model, small, straight):
    whole, seen = model.stitch(small, straight)
    assert whole.shape == (small.pixels, small.pixels)
    assert model.distance(whole, model.sample(small), seen) < 0.1


def test_what_patterns_cannot_tell_is_taken_away(model, small):
    truth = model.sample(small)
    down, right = np.indices(truth.shape)
    turned = truth * 0.5 * np.exp(1j * (2.0 + 0.02 * down - 0.03 * right))
    np.testing.assert_allclose(model.align(turned, truth, np.ones(truth.shape)), truth, atol=1e-6)
    assert model.distance(turned, truth, np.ones(truth.shape)) < 1e-6
    assert model.distance(np.ones_like(truth), truth, np.ones(truth.shape)) > 0.2


def test_a_measurement_has_photons_jitter_and_misread_positions(model, small):
    measured = model.measure(small, 0)
    photons = (measured.amplitudes**2).sum(axis=(1, 2))
    assert 0.2 * small.photons < photons.min() <= photons.max() < 1.1 * small.photons
    np.testing.assert_allclose(measured.amplitudes**2, np.round(measured.amplitudes**2), atol=1e-6)
    off = np.abs(measured.positions - measured.true_positions)
    assert off.max() == 1
    assert 0 < np.any(off, axis=1).mean() < 0.5
    assert len(np.unique(np.diff(measured.true_positions[:6, 1]))) > 1


# ------------------------------------------------------------------ the same, bit for bit


def test_the_same_seed_gives_the_same_bits_and_another_one_does_not(model, small, straight):
    assert same(model.reconstruct(small, 1, STEPS, model.Alone()), straight[1])
    other = model.reconstruct(small._replace(seed=8), 1, 3, model.Alone())
    assert not np.array_equal(other["errors"], straight[1]["errors"][:3])


def test_a_reconstruction_that_goes_on_from_any_step_ends_with_the_same_bits(model, small, straight):
    measured = model.measure(small, 0)
    state = model.begin(small, measured)
    for step in range(0, STEPS, 8):
        resumed = copy.deepcopy(state)
        assert same(model.reconstruct(small, 0, STEPS, Once(resumed)), straight[0]), step
        for _ in range(min(8, STEPS - step)):
            model.advance(small, 0, measured, state)


class Once:
    def __init__(self, state):
        self.state = state

    def restore(self, default=None):
        return self.state

    def should_checkpoint(self):
        return False

    def progress(self, done, total):
        pass


@pytest.mark.parametrize("seed", range(3))
def test_kills_at_random_steps_leave_no_trace_but_steps_that_are_done_again(model, small, straight, seed):
    chance = random.Random(seed)
    deaths = chance.sample(range(1, STEPS), 5)
    notebook = Notebook(every=chance.choice([1, 4, 7]), deaths=deaths)
    print(f"seed {seed}: saved each {notebook.every} steps, killed at {sorted(deaths)}")
    state, told = through(model, small, 2, notebook)
    assert same(state, straight[2])
    assert notebook.tries == 6
    again = len(told) - STEPS
    assert again == sum((death - 1) % notebook.every + 1 for death in deaths)


def test_where_its_arrays_lie_in_memory_makes_no_difference(model, small, straight):
    measured = model.measure(small, 0)
    state = model.begin(small, measured)
    for _ in range(STEPS):
        state = {name: oddly_placed(value) for name, value in state.items()}
        model.advance(small, 0, measured, state)
    assert same(state, straight[0])


def oddly_placed(value):
    """The same array at an address that is a multiple of 8 and of nothing larger."""
    if not isinstance(value, np.ndarray):
        return value
    raw = np.empty(value.nbytes + 64, np.uint8)
    begin = (8 - raw.ctypes.data) % 64
    moved = raw[begin : begin + value.nbytes].view(value.dtype).reshape(value.shape)
    moved[...] = value
    return moved


# ------------------------------------------------------------------ pictures


@pytest.fixture
def picture(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    import ptychography_picture

    return ptychography_picture


def test_the_page_is_an_svg_with_a_curve_for_each_region_and_the_images(picture, straight):
    lines = [picture.Line(f"region {n}", range(1, STEPS + 1), s["errors"]) for n, s in enumerate(straight)]
    chart = picture.Chart("misfit", "step", lines, logarithmic=True, marks=[(10, "a kill")])
    text = picture.page([chart], [("phase", np.angle(straight[0]["object"]))])
    root = ET.fromstring(text)
    space = {"svg": "http://www.w3.org/2000/svg"}
    curves = [path for path in root.iterfind(".//svg:path", space) if path.get("stroke-width") == "1.5"]
    assert [path.get("d").count("L") for path in curves] == [STEPS - 1] * 4
    assert [title.text for title in root.iterfind(".//svg:title", space)] == ["a kill"]
    assert root.find(".//svg:image", space).get("href").startswith("data:image/png;base64,iVBORw0KGgo")


def test_a_line_has_a_gap_where_there_is_no_number(picture):
    chart = picture.Chart("steps", "seconds", [picture.Line("one", [0, 1, 2, 3], [1, 2, np.nan, 3])])
    assert 'd="M52.0 ' in picture.page([chart], [])
    assert picture.page([chart], []).count(" M392.0 ") == 1


def test_a_png_holds_the_values_from_black_to_white(picture):
    data = picture.png(np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.1]]))
    width, height = struct.unpack(">II", data[16:24])
    assert (width, height) == (3, 2)
    begin = data.index(b"IDAT") + 4
    pixels = zlib.decompress(data[begin : begin + struct.unpack(">I", data[begin - 8 : begin - 4])[0]])
    assert pixels == bytes([0, 0, 50, 100, 0, 150, 200, 255])
