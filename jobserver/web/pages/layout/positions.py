"""How far down each point of a picture stands: near its neighbours, in order, and apart from the next. Pure."""

from collections.abc import Sequence
from itertools import pairwise

from jobserver.web.pages.layout.crossings import Neighbours
from jobserver.web.pages.layout.layers import Columns, Point

_ROUNDS = 6
_STRAIGHT = 6.0  # how much more a line is kept straight where it passes a column than an action near its neighbours
_PASSING = 9  # between two lines that pass a column, and between one and an action


def positions(
    columns: Columns, order: Sequence[Sequence[Point]], ways: tuple[Neighbours, Neighbours], height: int, gap: int
) -> dict[Point, int]:
    """The middle of each point, from the top of the picture. ``ways``: the neighbours before and after."""
    offsets = [_offsets(columns, column, height, gap) for column in order]
    middles = {
        point: offset - some[-1] / 2
        for column, some in zip(order, offsets, strict=True)
        for point, offset in zip(column, some, strict=True)
    }
    for turn in range(_ROUNDS):
        backwards = bool(turn % 2)
        uses = (ways[backwards],) if turn < _ROUNDS - 2 else ways
        for column, some in list(zip(order, offsets, strict=True))[:: -1 if backwards else 1]:
            wanted = [_wanted(columns, point, uses, middles) for point in column]
            middles.update(zip(column, _apart(wanted, some), strict=True))
    top = min((middle - height / 2 for middle in middles.values()), default=0)
    return {point: round(middle - top) for point, middle in middles.items()}


def _offsets(columns: Columns, column: Sequence[Point], height: int, gap: int) -> list[float]:
    """The least distance of each point from the first."""
    offsets = [0.0]
    for upper, lower in pairwise(column):
        actions = columns.is_action(upper) + columns.is_action(lower)
        offsets.append(offsets[-1] + (0, height / 2, height)[actions] + (gap if actions == 2 else _PASSING))
    return offsets[: len(column)]


def _wanted(
    columns: Columns, point: Point, uses: Sequence[Neighbours], middles: dict[Point, float]
) -> tuple[float, float]:
    """(where a point should be, how much that counts)."""
    total = weight = 0.0
    is_passing = not columns.is_action(point)
    for way in uses:
        for other in way[point]:
            own = _STRAIGHT if is_passing and other[0] == point[0] else 1.0
            total += own * middles[other]
            weight += own
    return (total / weight, weight) if weight else (middles[point], 0.1)


def _apart(wanted: Sequence[tuple[float, float]], offsets: Sequence[float]) -> list[float]:
    """The nearest places to those wanted that keep the order and the distances: isotonic regression by merging."""
    blocks: list[tuple[float, float, int]] = []  # (mean, weight, points)
    for (middle, weight), offset in zip(wanted, offsets, strict=True):
        mean, count = middle - offset, 1
        while blocks and blocks[-1][0] > mean:
            other, heavy, several = blocks.pop()
            mean = (mean * weight + other * heavy) / (weight + heavy)
            weight, count = weight + heavy, count + several
        blocks.append((mean, weight, count))
    means = [mean for mean, _, count in blocks for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]
