"""Features of handwritten strokes, for images of 8 x 8 pixels: directions, zones, profiles.

A classifier that sees the direction of a stroke and where it lies needs far fewer examples than one that
sees bare pixels. Three views of each digit are joined here:

- *directions*: histograms of the gradient's orientation over overlapping cells, each scaled to unit length,
  so that a faint digit and a bold one look alike;
- *zones*: the share of ink in each square of two by two pixels;
- *profiles*: how far in from each side the first ink lies, which tells a 3 from an 8.

All of it is plain numpy on whole stacks of images. The module is meant to be installed at a site and imported
there by name: ``import strokes``.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

SIDE = 8  # pixels along each edge of an image
CELL = 4  # pixels along each edge of a cell of the direction histograms
STRIDE = 2  # pixels from one cell to the next: cells overlap by half
ZONE = 2  # pixels along each edge of a zone
FEWEST = 2  # directions that can be told apart

Stack: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]


def features(pixels: Stack, bins: int = 8) -> Stack:
    """All stroke features of a stack of digits.

    Args:
        pixels: ink per pixel, any scale, shape (n, 64) or (n, 8, 8).
        bins: number of directions that are told apart over the half circle.

    Returns:
        Features of shape (n, 9 * bins + 48), each between 0 and 1.

    Raises:
        ValueError: the images are not 8 x 8, or ``bins`` is below 2.

    Example:
        >>> features(np.zeros((5, 64)), bins=8).shape
        (5, 120)
    """
    images = _unit_ink(pixels)
    views = (directions(images, bins), zones(images), profiles(images))
    return np.concatenate(views, axis=1)


def directions(images: Stack, bins: int = 8) -> Stack:
    """Histograms of gradient direction over overlapping cells.

    Args:
        images: shape (n, 8, 8).
        bins: number of directions over the half circle; a gradient and its opposite are one direction.

    Returns:
        Shape (n, 9 * bins): nine cells, each histogram of unit length (or zero where there is no ink).

    Raises:
        ValueError: ``bins`` is below 2.
    """
    if bins < FEWEST:
        message = f"At least {FEWEST} directions are needed, not {bins}."
        raise ValueError(message)
    votes = _direction_votes(images, bins)
    starts = range(0, SIDE - CELL + 1, STRIDE)
    cells = [votes[:, y : y + CELL, x : x + CELL].sum(axis=(1, 2)) for y in starts for x in starts]
    return np.concatenate([_unit_length(cell) for cell in cells], axis=1)


def zones(images: Stack) -> Stack:
    """Mean ink of each square zone, shape (n, 16)."""
    across = SIDE // ZONE
    return images.reshape(-1, across, ZONE, across, ZONE).mean(axis=(2, 4)).reshape(len(images), -1)


def profiles(images: Stack, ink: float = 0.25) -> Stack:
    """Distance from each of the four sides to the first ink, as a share of the edge.

    Args:
        images: ink between 0 and 1, shape (n, 8, 8).
        ink: from which value on a pixel counts as written.

    Returns:
        Shape (n, 32): eight rows from the left and from the right, eight columns from the top and the bottom;
        1 where a row or column is empty.
    """
    written = images >= ink
    views = (written, written[:, :, ::-1], written.swapaxes(1, 2), written[:, ::-1, :].swapaxes(1, 2))
    return np.concatenate([_first_ink(view) for view in views], axis=1)


def _unit_ink(pixels: Stack) -> Stack:
    images = np.asarray(pixels, dtype=np.float64)
    if images.shape[1:] not in {(SIDE * SIDE,), (SIDE, SIDE)}:
        message = f"Images of 8 x 8 pixels are needed, not an array of shape {images.shape}."
        raise ValueError(message)
    images = images.reshape(-1, SIDE, SIDE)
    boldest = images.max(axis=(1, 2), keepdims=True)
    return images / np.where(boldest > 0, boldest, 1.0)


def _direction_votes(images: Stack, bins: int) -> Stack:
    """Gradient strength per pixel, shared between the two nearest directions; shape (n, 8, 8, bins)."""
    down, right = np.gradient(images, axis=(1, 2))
    strength = np.hypot(down, right)
    position = (np.arctan2(down, right) % np.pi) / np.pi * bins
    lower = np.floor(position).astype(int) % bins
    share = position - np.floor(position)
    votes = np.zeros((*images.shape, bins))
    np.put_along_axis(votes, lower[..., None], (strength * (1 - share))[..., None], axis=3)
    upper = ((lower + 1) % bins)[..., None]
    np.put_along_axis(votes, upper, (strength * share)[..., None], axis=3)
    return votes


def _unit_length(histograms: Stack) -> Stack:
    length = np.linalg.norm(histograms, axis=1, keepdims=True)
    return histograms / np.where(length > 0, length, 1.0)


def _first_ink(written: Mask) -> Stack:
    first = np.where(written.any(axis=2), written.argmax(axis=2), SIDE)
    return first / SIDE
