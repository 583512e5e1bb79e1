"""Charts of columns, as SVG without text: the labels are beside it, so that it fits every window. Pure.

The outcome of a column is in its shape, too: a success is filled, a failure is crossed out, anything else is hollow.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

HEIGHT = 120
_WIDTH = 10  # of one column, with its gap
_ROOM = 24 * _WIDTH  # of a whole chart, at least: a few columns stand apart, and do not grow wide
_LEAST = 2  # so that a short run can be seen


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a column, from the bottom up."""

    value: float
    style: str


@dataclass(frozen=True, slots=True)
class Column:
    """``label``: what a pointer on it shows, and what its row in the table says."""

    label: str
    parts: Sequence[Part]

    @property
    def value(self) -> float:
        return sum(part.value for part in self.parts)


@dataclass(frozen=True, slots=True)
class Rectangle:
    x: int
    y: float
    width: int
    height: float
    style: str
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """``scale``: labels of the highest line, the middle and zero. ``band``: (y, height) of a range to mark."""

    width: int
    boxes: Sequence[Rectangle]
    scale: Sequence[str]
    band: tuple[float, float] | None = None


def chart(
    columns: Sequence[Column],
    steps: Sequence[float],
    in_words: Callable[[float], str],
    band: tuple[float, float] | None = None,
) -> Chart:
    """``steps``: heights that the chart may have, ascending; above the last, its multiples."""
    most = max([column.value for column in columns] + ([band[1]] if band else []), default=0)
    top = next((step for step in steps if step >= most), 0) or -(-most // steps[-1]) * steps[-1]
    boxes: list[Rectangle] = []
    width = max(len(columns) * _WIDTH, _ROOM)
    for number, column in enumerate(columns):
        bottom = float(HEIGHT)
        for part in column.parts:
            height = max(part.value / top * HEIGHT, _LEAST) if part.value > 0 else 0.0
            bottom -= height
            if height:
                middle = (2 * number + 1) * width // (2 * len(columns))
                left = middle - _WIDTH // 2 + 1
                boxes.append(Rectangle(left, max(bottom, 0), _WIDTH - 2, height, part.style, column.label))
    marked = (HEIGHT - band[1] / top * HEIGHT, max((band[1] - band[0]) / top * HEIGHT, 1)) if band else None
    return Chart(width, boxes, [in_words(top), in_words(top / 2), "0"], marked)


COUNTS = [scale * 10**power for power in range(6) for scale in (2, 4, 10)]
_MINUTES = (2, 4, 10, 20, 30, 60, 120, 240, 480, 720, 1440, 2880, 5760, 14400)
SECONDS = [2, 4, 10, 20, 60, *(60 * minutes for minutes in _MINUTES)]
