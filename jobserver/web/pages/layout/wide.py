"""From left to right: columns of actions, with lines that pass between them. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobserver.web.pages.layout.crossings import neighbours, ordered
from jobserver.web.pages.layout.layers import Columns, Needs, Point, columns
from jobserver.web.pages.layout.positions import positions

PAD = 6
_GAP, _MOST_GAP, _STEEP = 44, 120, 8  # between columns: wider where lines would be steep


@dataclass(frozen=True, slots=True)
class Box:
    """``x`` and ``y`` are the upper left corner."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Drawing:
    """``lines``: paths in the words of SVG, each of the lines of one bundle."""

    width: int
    height: int
    boxes: Mapping[str, Box]
    lines: Sequence[str]


def wide(needs: Needs, layers: Mapping[str, int], widths: Mapping[str, int], height: int, gap: int) -> Drawing:
    """``needs``: from `direct`; ``widths``: of each action; ``height`` and ``gap``: of all."""
    drawn = columns(needs, layers)
    order = ordered(drawn)
    middles = positions(drawn, order, neighbours(drawn), height, gap)
    middles = {point: middle + PAD for point, middle in middles.items()}
    sides = _sides(drawn, order, widths, middles)
    boxes = {
        action: Box(sides[layer][0], middles[action, layer] - height // 2, sides[layer][1] - sides[layer][0], height)
        for action, layer in drawn.layers.items()
    }
    bottom = max((box.y + box.height for box in boxes.values()), default=0)
    lowest = max([bottom, *middles.values()])
    return Drawing(sides[-1][1] + PAD, lowest + PAD, boxes, _lines(drawn, sides, middles))


def _sides(
    drawn: Columns, order: Sequence[Sequence[Point]], widths: Mapping[str, int], middles: Mapping[Point, int]
) -> list[tuple[int, int]]:
    """The left and the right side of each column."""
    steepest = [0] * len(order)
    for start, end in drawn.links:
        steepest[start[1]] = max(steepest[start[1]], abs(middles[start] - middles[end]))
    sides = []
    x = PAD
    for layer, column in enumerate(order):
        width = max(widths[point[0]] for point in column if drawn.is_action(point))
        sides.append((x, x + width))
        x += width + min(max(_GAP, steepest[layer] // _STEEP), _MOST_GAP)
    return sides


def _lines(drawn: Columns, sides: Sequence[tuple[int, int]], middles: Mapping[Point, int]) -> list[str]:
    lines: dict[str, list[str]] = {}
    for start, end in drawn.links:
        x1, y1, x2, y2 = sides[start[1]][1], middles[start], sides[end[1]][0], middles[end]
        middle = (x1 + x2) // 2
        across = f"H{sides[end[1]][1]}" if not drawn.is_action(end) else ""
        bend = f"H{x2}" if y1 == y2 else f"C{middle} {y1} {middle} {y2} {x2} {y2}"
        lines.setdefault(start[0], []).append(f"M{x1} {y1}{bend}{across}")
    return ["".join(parts) for parts in lines.values()]
