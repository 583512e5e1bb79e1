"""The order in each column, so that few lines cross: the barycentre method, then swaps of neighbours. Pure."""

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from itertools import pairwise

from jobserver.web.pages.layout.layers import Columns, Point

_SWEEPS, _PATIENCE, _ROUNDS = 16, 4, 4
Neighbours = Mapping[Point, Sequence[Point]]


def ordered(columns: Columns) -> list[list[Point]]:
    """The columns with their points in the best order that was found, from top to bottom."""
    before, after = neighbours(columns)
    current = _first(columns, after)
    best, fewest = [list(column) for column in current], crossings(current, after)
    improved = 0
    for sweep in range(_SWEEPS):
        if not fewest or sweep - improved > _PATIENCE:
            break
        backwards = bool(sweep % 2)
        _sweep(current, after if backwards else before, backwards)
        if (count := crossings(current, after)) < fewest:
            best, fewest, improved = [list(column) for column in current], count, sweep
    if fewest:
        _swap(best, before, after)
    return best


def neighbours(columns: Columns) -> tuple[Neighbours, Neighbours]:
    """Of each point: those that it is linked to in the column before, and in the one after."""
    before: dict[Point, list[Point]] = {point: [] for column in columns.points for point in column}
    after: dict[Point, list[Point]] = {point: [] for point in before}
    for start, end in columns.links:
        before[end].append(start)
        after[start].append(end)
    return before, after


def crossings(order: Sequence[Sequence[Point]], after: Neighbours) -> int:
    """How often lines cross."""
    total = 0
    for column, following in pairwise(order):
        places = {point: place for place, point in enumerate(following)}
        drawn: list[int] = []
        for point in column:
            ends = sorted(places[end] for end in after[point])
            total += sum(len(drawn) - bisect_right(drawn, end) for end in ends)
            for end in ends:
                insort(drawn, end)
    return total


def _first(columns: Columns, after: Neighbours) -> list[list[Point]]:
    """As a walk along the lines meets the points, so that what belongs together stands together."""
    order: list[list[Point]] = [[] for _ in columns.points]
    seen = set[Point]()
    for column in columns.points:
        for point in column:
            stack = [point]
            while stack:
                top = stack.pop()
                if top not in seen:
                    seen.add(top)
                    order[top[1]].append(top)
                    stack += reversed(after[top])
    return order


def _sweep(order: list[list[Point]], fixed: Neighbours, backwards: bool) -> None:
    """Sorts each column by the mean place of each point's neighbours in the column that was sorted before it."""
    numbers = range(len(order) - 2, -1, -1) if backwards else range(1, len(order))
    for number in numbers:
        beside = order[number + 1 if backwards else number - 1]
        places = {point: place for place, point in enumerate(beside)}
        scale = len(beside) / max(len(order[number]), 1)
        means = {
            point: (sum(places[other] for other in fixed[point]) / len(fixed[point]) if fixed[point] else place * scale)
            for place, point in enumerate(order[number])
        }
        order[number].sort(key=means.__getitem__)


def _swap(order: list[list[Point]], before: Neighbours, after: Neighbours) -> None:
    """Swaps two points that follow each other wherever that removes crossings."""
    places = {point: place for column in order for place, point in enumerate(column)}
    beside = {
        point: (sorted(places[other] for other in before[point]), sorted(places[other] for other in after[point]))
        for point in places
    }
    for _ in range(_ROUNDS):
        is_better = False
        for column in order:
            for place in range(len(column) - 1):
                upper, lower = column[place], column[place + 1]
                if _between(beside[upper], beside[lower]) > _between(beside[lower], beside[upper]):
                    column[place], column[place + 1] = lower, upper
                    places[upper], places[lower] = place + 1, place
                    for point in (*before[upper], *before[lower], *after[upper], *after[lower]):
                        beside[point] = (
                            sorted(places[other] for other in before[point]),
                            sorted(places[other] for other in after[point]),
                        )
                    is_better = True
        if not is_better:
            return


def _between(upper: tuple[list[int], list[int]], lower: tuple[list[int], list[int]]) -> int:
    """How often the lines of two points cross while one stands above the other."""
    return sum(
        len(above) - bisect_right(above, end) for above, below in zip(upper, lower, strict=True) for end in below
    )
