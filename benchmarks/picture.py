"""Draws a chart of lines as an SVG file, with one logarithmic axis: what a benchmark measured at several sizes."""

import math
from collections.abc import Mapping, Sequence
from html import escape

_WIDTH, _HEIGHT = 720, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 112, 40, 32
_LINE = 15
_COLOURS = ("#1d70b8", "#d4351c", "#00703c", "#4c2c92")


def lines(title: str, sizes: Sequence[int], values: Mapping[str, Sequence[float]]) -> str:
    """The SVG: ``sizes`` on a logarithmic axis, and a line with a name for each of ``values``, from zero up."""
    step = _step(max(max(line) for line in values.values()))
    steps = math.ceil(max(max(line) for line in values.values()) / step)

    def x(size: float) -> float:
        share = math.log(size / sizes[0]) / (math.log(sizes[-1] / sizes[0]) or 1)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - value / (steps * step) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        f'font-size="13" role="img" aria-label="{escape(title)}">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
        f'<text x="{_LEFT}" y="22" font-weight="bold">{escape(title)}</text>',
    ]
    for number in range(steps + 1):
        at = y(number * step)
        parts.append(f'<path d="M{_LEFT} {at:.1f}H{_WIDTH - _RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{number * step:g}</text>')
    for size in sizes:
        parts.append(f'<text x="{x(size):.1f}" y="{_HEIGHT - 10}" text-anchor="middle">{size:,}</text>')
    for colour, line in zip(_COLOURS, values.values(), strict=False):
        points = [(x(size), y(value)) for size, value in zip(sizes, line, strict=True)]
        path = "L".join(f"{across:.1f} {down:.1f}" for across, down in points)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{across:.1f}" cy="{down:.1f}" r="3" fill="{colour}"/>' for across, down in points]
    ends = {name: y(line[-1]) for name, line in values.items()}
    for colour, (name, down) in zip(_COLOURS, _apart(ends).items(), strict=False):
        at = _WIDTH - _RIGHT + 10
        parts.append(f'<text x="{at}" y="{down + 4:.1f}" fill="{colour}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _step(greatest: float) -> float:
    """Between the lines of a scale that has at most five: 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(greatest / 5))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power * 5 >= greatest)


def _apart(ends: Mapping[str, float]) -> dict[str, float]:
    """The same heights, moved up where two names would be in one place."""
    moved: dict[str, float] = {}
    highest = math.inf
    for name, down in sorted(ends.items(), key=lambda item: -item[1]):
        moved[name] = highest = min(down, highest - _LINE)
    return {name: moved[name] for name in ends}
