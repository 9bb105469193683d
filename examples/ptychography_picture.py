"""The pictures of the ptychography example, in one SVG file: nothing but numpy and the standard library."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

COLOURS = ("#1b6ca8", "#c4502e", "#4b8b3b", "#8a5aa8", "#b8892b", "#3f8f8c")
_WIDTH, _HEIGHT = 400, 260  # of a panel, in pixels
_LEFT, _BELOW, _ABOVE = 52, 40, 28  # that its axes and its title take
_GAP = 16
_TICKS = 5

Scale = Callable[[float], float]


class Line(NamedTuple):
    """Points joined in their order; a gap where one is not a number."""

    name: str
    across: Sequence[float]
    up: Sequence[float]


class Chart(NamedTuple):
    """Lines over common axes.

    Attributes:
        title: above.
        across: what the horizontal axis shows.
        lines: in the order of their colours.
        logarithmic: whether the vertical axis is.
        marks: where something happened on the horizontal axis, with what it was.
    """

    title: str
    across: str
    lines: Sequence[Line]
    logarithmic: bool = False
    marks: Sequence[tuple[float, str]] = ()


def png(grey: NDArray[np.float64]) -> bytes:
    """A picture with one byte a pixel, from the least value in black to the greatest in white."""
    low, high = float(np.min(grey)), float(np.max(grey))
    levels = np.round((grey - low) / (high - low or 1.0) * 255).astype(np.uint8)
    rows = b"".join(b"\0" + row.tobytes() for row in levels)  # each begins with its filter: none
    head = struct.pack(">IIBBBBB", levels.shape[1], levels.shape[0], 8, 0, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def page(charts: Sequence[Chart], images: Sequence[tuple[str, NDArray[np.float64]]]) -> str:
    """Charts in one row and images below, as the text of an SVG file."""
    columns = max(len(charts), len(images))
    side = _WIDTH - _LEFT
    size = (columns * (_WIDTH + _GAP), _HEIGHT + _GAP + side + _ABOVE)
    text = 'font-family="sans-serif" font-size="11"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size[0]}" height="{size[1]}" {text}>',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for column, chart in enumerate(charts):
        parts.append(_moved(column * (_WIDTH + _GAP), 0, _chart(chart)))
    for column, (title, grey) in enumerate(images):
        place = column * (_WIDTH + _GAP) + _LEFT
        parts.append(_moved(place, _HEIGHT + _GAP, _image(title, grey, side)))
    return "\n".join([*parts, "</svg>\n"])


def _moved(across: float, down: float, body: list[str]) -> str:
    return "\n".join([f'<g transform="translate({across},{down})">', *body, "</g>"])


def _image(title: str, grey: NDArray[np.float64], side: int) -> list[str]:
    data = base64.b64encode(png(grey)).decode()
    return [
        f'<text y="{_ABOVE - 10}" font-weight="bold">{title}</text>',
        f'<image y="{_ABOVE}" width="{side}" height="{side}" href="data:image/png;base64,{data}"/>',
    ]


def _chart(chart: Chart) -> list[str]:
    across = [value for line in chart.lines for value in line.across]
    up = [value for line in chart.lines for value in line.up if np.isfinite(value)]
    low, high = min(up, default=1.0), max(up, default=1.0)
    to_x = _scale(min(across, default=0.0), max(across, default=1.0), _LEFT, _WIDTH - 8)
    bottom, top = (np.log10(low), np.log10(high)) if chart.logarithmic else (min(low, 0.0), high)
    to_y = _scale(bottom, top, _HEIGHT - _BELOW, _ABOVE)
    height: Scale = (lambda value: to_y(float(np.log10(value)))) if chart.logarithmic else to_y
    body = [f'<text x="{_LEFT}" y="{_ABOVE - 10}" font-weight="bold">{chart.title}</text>']
    body += _axes(chart, to_x, to_y, (min(across, default=0.0), max(across, default=1.0)), (bottom, top))
    for moment, what in chart.marks:
        body.append(
            f'<line x1="{to_x(moment):.1f}" x2="{to_x(moment):.1f}" y1="{_ABOVE}" y2="{_HEIGHT - _BELOW}" '
            f'stroke="#999" stroke-dasharray="3 3"><title>{what}</title></line>'
        )
    for number, line in enumerate(chart.lines):
        body += _line(line, COLOURS[number % len(COLOURS)], to_x, height)
        body.append(
            f'<text x="{_WIDTH - 8}" y="{_ABOVE + 12 + 13 * number}" text-anchor="end" '
            f'fill="{COLOURS[number % len(COLOURS)]}">{line.name}</text>'
        )
    return body


def _scale(low: float, high: float, start: float, end: float) -> Scale:
    span = (high - low) or 1.0
    return lambda value: start + (value - low) / span * (end - start)


def _axes(
    chart: Chart, to_x: Scale, to_y: Scale, across: tuple[float, float], up: tuple[float, float]
) -> list[str]:
    floor = _HEIGHT - _BELOW
    body = [
        f'<path d="M{_LEFT} {_ABOVE} V{floor} H{_WIDTH - 8}" fill="none" stroke="black"/>',
        f'<text x="{(_LEFT + _WIDTH) / 2}" y="{_HEIGHT - 6}" text-anchor="middle">{chart.across}</text>',
    ]
    body += [
        f'<text x="{to_x(value):.1f}" y="{floor + 15}" text-anchor="middle">{value:.3g}</text>'
        for value in np.linspace(*across, _TICKS)
    ]
    for value in np.linspace(*up, _TICKS):
        shown = 10**value if chart.logarithmic else value
        body.append(f'<text x="{_LEFT - 5}" y="{to_y(value) + 4:.1f}" text-anchor="end">{shown:.2g}</text>')
    return body


def _line(line: Line, colour: str, to_x: Scale, height: Scale) -> list[str]:
    drawn, pieces = False, []
    for across, up in zip(line.across, line.up, strict=True):
        there = bool(np.isfinite(up))
        if there:
            pieces.append(f"{'L' if drawn else 'M'}{to_x(across):.1f} {height(up):.1f}")
        drawn = there
    return [f'<path d="{" ".join(pieces)}" fill="none" stroke="{colour}" stroke-width="1.5"/>']
