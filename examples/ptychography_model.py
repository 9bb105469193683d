"""Ptychography in numpy: an experiment that is made from a seed, and the iterative phase retrieval of it.

A focused beam scans over a thin sample in steps smaller than its own width, and a detector far behind counts
the photons of each diffraction pattern. The counts say nothing of phases; as neighbouring spots overlap, the
complex transmission of the sample, the beam itself, and small errors of the positions can be found again.

The method is ePIE (Maiden and Rodenburg, Ultramicroscopy 109, 2009) with trials of neighbouring positions. A
step visits every spot once in an order by chance. Whatever is left to chance in a step is drawn from the
seed, the region and the number of the step, so a reconstruction that goes on from a saved state continues
with the very same numbers. Nothing here calls a linear algebra library, whose sums depend on its threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Complex = NDArray[np.complex128]
Real = NDArray[np.float64]
Positions = NDArray[np.int64]
State = dict[str, Any]

#: Which of the things that are left to chance is drawn.
_SAMPLE, _SCAN, _STEP = range(3)
_MARGIN = 4  # pixels around the scan, for positions that are corrected
_DEFOCUS_GUESS = 0.85  # the beam that is begun with is not as far out of focus as the true one
_APERTURE, _STOP = 0.2, 0.05  # of the lens and of its central stop, in cycles a pixel
_PROBE_AFTER, _POSITIONS_AFTER = 3, 8  # steps from which on the beam, and the positions, are corrected too
_SHIFTS = np.array([(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1) if row or column])


class Experiment(NamedTuple):
    """One scan of a sample, as it is set up at the beam line; lengths are in pixels.

    Attributes:
        seed: of the sample, of jitter and noise, and of all that the reconstruction draws.
        side: regions in each direction; each is reconstructed by itself.
        spots: of a region in each direction.
        pitch: between two spots, before jitter.
        window: of the detector in each direction.
        beam: radius of the beam on the sample.
        jitter: that each spot is off the grid, at most.
        misread: part of the positions of which the encoder is one pixel wrong.
        photons: of a pattern, before the sample takes some away.
    """

    seed: int = 7
    side: int = 2
    spots: int = 9
    pitch: int = 8
    window: int = 48
    beam: float = 11.0
    jitter: int = 2
    misread: float = 0.2
    photons: float = 2e6

    @property
    def regions(self) -> int:
        """How many there are."""
        return self.side**2

    @property
    def extent(self) -> int:
        """Of a region in each direction."""
        return self.pitch * (self.spots - 1) + self.window + 2 * (self.jitter + _MARGIN)

    @property
    def pixels(self) -> int:
        """Of the sample in each direction."""
        return self.pitch * self.spots * (self.side - 1) + self.extent

    def place(self, region: int) -> tuple[slice, slice]:
        """Where a region lies in the sample; neighbours overlap."""
        row, column = (self.pitch * self.spots * number for number in divmod(region, self.side))
        return slice(row, row + self.extent), slice(column, column + self.extent)


class Measurement(NamedTuple):
    """What the detector and the encoder say of one region.

    Attributes:
        amplitudes: square roots of the counted photons, with the zero frequency first; spot, row, column.
        positions: of the spots' upper left corners in the region, as the encoder reads them.
        true_positions: where they were. The reconstruction does not look at them.
    """

    amplitudes: Real
    positions: Positions
    true_positions: Positions


def dice(*seeds: int) -> np.random.Generator:
    """The same numbers for the same seeds, whatever was drawn before."""
    return np.random.default_rng(seeds)


# ------------------------------------------------------------------ the experiment


def sample(experiment: Experiment) -> Complex:
    """The complex transmission of the sample: a Siemens star on a smooth background."""
    chance, size = dice(experiment.seed, _SAMPLE), experiment.pixels
    thickness, absorption = _smooth(chance, size, 14.0), _smooth(chance, size, 9.0)
    down, right = np.meshgrid(*[np.linspace(-1, 1, size)] * 2, indexing="ij")
    spokes = np.sin(18 * np.arctan2(down, right)) > 0
    star = spokes & (np.hypot(down, right) > 0.12) & (np.hypot(down, right) < 0.8)
    return (1 - 0.3 * absorption - 0.2 * star) * np.exp(1j * (0.9 * thickness + 0.8 * star))


def _smooth(chance: np.random.Generator, size: int, width: float) -> Real:
    """A random field from 0 to 1 that changes over so many pixels."""
    frequency = np.fft.fftfreq(size)
    spread = np.exp(-2 * (np.pi * width) ** 2 * (frequency[:, None] ** 2 + frequency**2))
    field = np.fft.ifft2(np.fft.fft2(chance.standard_normal((size, size))) * spread).real
    return (field - field.min()) / (field.max() - field.min())


def beam(experiment: Experiment, focus: float = 1.0) -> Complex:
    """The wave that meets the sample: a round lens with a central stop, a little out of focus."""
    frequency = np.fft.fftfreq(experiment.window)
    radius = np.hypot(frequency[:, None], frequency)
    open_part = (radius < _APERTURE) & (radius > _STOP)
    bend = np.pi * experiment.beam * focus / _APERTURE
    wave = np.fft.fftshift(np.fft.ifft2(open_part * np.exp(1j * bend * radius**2)))
    return wave * np.sqrt(experiment.photons / np.sum(np.abs(wave) ** 2))


def measure(experiment: Experiment, region: int) -> Measurement:
    """Scan one region: jitter, counting noise, and an encoder that is sometimes wrong."""
    chance = dice(experiment.seed, _SCAN, region)
    grid = np.arange(experiment.spots) * experiment.pitch + experiment.jitter + _MARGIN
    nominal = np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1).reshape(-1, 2)
    true = nominal + chance.integers(-experiment.jitter, experiment.jitter, nominal.shape, endpoint=True)
    wrong = chance.random(len(true)) < experiment.misread
    read = true + wrong[:, None] * chance.choice(_SHIFTS, len(true))
    wave, piece = beam(experiment), sample(experiment)[experiment.place(region)]
    waves = np.stack([wave * piece[_window(wave, position)] for position in true])
    counts = chance.poisson(np.abs(np.fft.fft2(waves, norm="ortho")) ** 2)
    return Measurement(np.sqrt(counts), read, true)


def _window(probe: Complex, position: Positions) -> tuple[slice, slice]:
    row, column = int(position[0]), int(position[1])
    return slice(row, row + probe.shape[0]), slice(column, column + probe.shape[1])


# ------------------------------------------------------------------ the reconstruction


def begin(experiment: Experiment, measurement: Measurement) -> State:
    """What a reconstruction begins with. It is all that must be saved to go on from any step.

    Returns:
        ``step``, ``object`` (the region's transmission), ``probe`` (the beam), ``positions``, and ``errors``
        (one for each step).
    """
    return {
        "step": 0,
        "object": np.ones((experiment.extent, experiment.extent), dtype=complex),
        "probe": beam(experiment, _DEFOCUS_GUESS),
        "positions": measurement.positions.copy(),
        "errors": np.empty(0),
    }


def advance(experiment: Experiment, region: int, measurement: Measurement, state: State) -> None:
    """One step: every spot once. The state is changed in place."""
    step = state["step"]
    chance = dice(experiment.seed, _STEP, region, step)
    order = chance.permutation(len(measurement.amplitudes))
    trials = chance.choice(_SHIFTS, len(order))
    tried = chance.random(len(order)) < (0.5 if step >= _POSITIONS_AFTER else 0.0)
    off = 0.0
    for spot in order:
        amplitude = measurement.amplitudes[spot]
        if tried[spot]:
            _correct_position(state, spot, trials[spot], amplitude)
        off += _visit(state, state["positions"][spot], amplitude, moves_probe=step >= _PROBE_AFTER)
    state["errors"] = np.append(state["errors"], np.sqrt(off / np.sum(measurement.amplitudes**2)))
    state["step"] = step + 1


def _visit(state: State, position: Positions, amplitude: Real, *, moves_probe: bool) -> float:
    """Let one pattern correct the object, and the beam; the squared misfit that was found."""
    probe, piece = state["probe"], state["object"][_window(state["probe"], position)]
    wave = probe * piece
    far = np.fft.fft2(wave, norm="ortho")
    size = np.abs(far)
    change = np.fft.ifft2(far * (amplitude / np.maximum(size, 1e-12)), norm="ortho") - wave
    better = piece + np.conj(probe) * change / np.max(np.abs(probe)) ** 2
    if moves_probe:
        probe += np.conj(piece) * change / np.max(np.abs(piece)) ** 2
    piece[...] = better
    return float(np.sum((size - amplitude) ** 2))


def _correct_position(state: State, spot: int, shift: Positions, amplitude: Real) -> None:
    """Take a neighbouring position if the pattern fits better there."""
    here = state["positions"][spot]
    there = here + shift
    room = state["object"].shape[0] - state["probe"].shape[0]
    if (
        there.min() >= 0
        and there.max() <= room
        and _misfit(state, there, amplitude) < _misfit(state, here, amplitude)
    ):
        state["positions"][spot] = there


def _misfit(state: State, position: Positions, amplitude: Real) -> float:
    wave = state["probe"] * state["object"][_window(state["probe"], position)]
    return float(np.sum((np.abs(np.fft.fft2(wave, norm="ortho")) - amplitude) ** 2))


# ------------------------------------------------------------------ from step to step, with saves


class Task(Protocol):
    """What a reconstruction needs of ``parsl_diaspora.current_task()``."""

    def restore(self, default: Any = None) -> Any:
        """The newest state that was saved, else the default."""

    def should_checkpoint(self) -> bool:
        """Whether it is time for a save."""

    def save(self, state: State) -> bool:
        """Keep this state, as it is now."""

    def progress(self, done: float, total: float) -> None:
        """Tell how far it is."""


class Alone:
    """A task that keeps nothing, as on stock Parsl: what is lost begins anew."""

    def restore(self, default: Any = None) -> Any:
        """There is nothing to go on from."""
        return default

    def should_checkpoint(self) -> bool:
        """Never."""
        return False

    def save(self, state: State) -> bool:
        """It is not taken."""
        del state
        return False

    def progress(self, done: float, total: float) -> None:
        """Nobody listens."""


def reconstruct(
    experiment: Experiment,
    region: int,
    steps: int,
    task: Task,
    told: Callable[[int], None] = lambda step: None,
) -> State:
    """Reconstruct a region, from the start or from where an earlier try was.

    Args:
        experiment: which one.
        region: of it.
        steps: in all.
        task: where states are saved and restored.
        told: called after each step with how many are done.
    """
    measurement = measure(experiment, region)
    state = task.restore() or begin(experiment, measurement)
    while state["step"] < steps:
        advance(experiment, region, measurement, state)
        told(state["step"])
        task.progress(state["step"], steps)
        if task.should_checkpoint():
            task.save(state)
    return dict(state)


# ------------------------------------------------------------------ what came of it


def light(state: State) -> Real:
    """How much of the beam each pixel of a region has seen."""
    seen = np.zeros(state["object"].shape)
    for position in state["positions"]:
        seen[_window(state["probe"], position)] += np.abs(state["probe"]) ** 2
    return seen


def align(found: Complex, reference: Complex, weight: Real) -> Complex:
    """Take away what patterns cannot tell: a common factor, and a slope of the phase."""
    down, right = np.indices(found.shape)
    for _ in range(3):
        product = reference * np.conj(found) * weight
        slopes = [np.angle(np.sum(np.conj(product[:-1]) * product[1:]))]
        slopes.append(np.angle(np.sum(np.conj(product[:, :-1]) * product[:, 1:])))
        found = found * np.exp(1j * (slopes[0] * down + slopes[1] * right))
    factor = np.sum(weight * reference * np.conj(found)) / np.sum(weight * np.abs(found) ** 2)
    return np.asarray(factor * found)


def stitch(experiment: Experiment, states: list[State]) -> tuple[Complex, Real]:
    """All regions put together; and how much light each pixel has seen."""
    whole = np.zeros((experiment.pixels, experiment.pixels), dtype=complex)
    seen = np.zeros(whole.shape)
    for region, state in enumerate(states):
        place, weight = experiment.place(region), light(state)
        piece = state["object"]
        if region:
            shared = np.minimum(weight, seen[place])
            piece = align(piece, whole[place] / np.maximum(seen[place], 1e-12), shared)
        whole[place] += weight * piece
        seen[place] += weight
    return whole / np.maximum(seen, 1e-12), seen


def distance(found: Complex, truth: Complex, seen: Real) -> float:
    """How far a reconstruction is from the true sample where there was light; 0 is the same, 1 nothing."""
    weight = (seen > 0.1 * seen.max()).astype(float)
    left = np.abs(truth - align(found, truth, weight)) ** 2
    return float(np.sqrt(np.sum(weight * left) / np.sum(weight * np.abs(truth) ** 2)))


def misread(state: State, measurement: Measurement) -> int:
    """How many positions are still wrong."""
    off = state["positions"] - measurement.true_positions
    return int(np.any(off != np.round(np.median(off, axis=0)), axis=1).sum())
