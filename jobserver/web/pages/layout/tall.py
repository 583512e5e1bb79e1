"""From top to bottom, for narrow windows: one action a row, and all lines in lanes beside them. Pure."""

from collections.abc import Mapping, Sequence

from jobserver.web.pages.layout.layers import Needs, bundles, needed_by
from jobserver.web.pages.layout.wide import PAD, Box, Drawing

WIDTH = 330
_LANE, _LEAST_LANE, _MOST_GUTTER, _BEND = 12, 3, 96, 6


def sequence(needs: Needs) -> list[str]:
    """Each action after those that it needs, and soon after them, so that lines are short. ``needs``: from `direct`."""
    users = needed_by(needs)
    open_needs = {action: len(some) for action, some in needs.items()}
    order = []
    stack = [action for action in reversed(list(needs)) if not needs[action]]
    while stack:
        action = stack.pop()
        order.append(action)
        for other in reversed(users[action]):
            open_needs[other] -= 1
            if not open_needs[other]:
                stack.append(other)
    return order


def lanes(needs: Needs, order: Sequence[str]) -> list[tuple[int, list[tuple[str, str]]]]:
    """The bundles of lines, each with its lane; 0 is nearest to the actions. Bundles whose rows overlap stand apart."""
    rows = {action: row for row, action in enumerate(order)}
    spans = [
        (min(rows[start] for start, _ in pairs), max(rows[end] for _, end in pairs), pairs)
        for pairs in bundles(needs).values()
    ]
    free_from: list[int] = []
    result = []
    for first, last, pairs in sorted(spans, key=lambda span: span[:2]):
        lane = next((number for number, free in enumerate(free_from) if free <= first), len(free_from))
        free_from[lane : lane + 1] = [last]
        result.append((lane, pairs))
    return result


def name_width(needs: Needs, order: Sequence[str]) -> int:
    """The width of an action beside the lanes."""
    return WIDTH - PAD - _left(lanes(needs, order))


def tall(needs: Needs, order: Sequence[str], heights: Mapping[str, int], gap: int) -> Drawing:
    """``order``: from `sequence`. Lanes that do not fit share the outermost place."""
    drawn = lanes(needs, order)
    count = max((lane for lane, _ in drawn), default=-1) + 1
    pitch = max(min(_LANE, _MOST_GUTTER // max(count, 1)), _LEAST_LANE)
    left = _left(drawn)
    boxes: dict[str, Box] = {}
    y = PAD
    for action in order:
        boxes[action] = Box(left, y, WIDTH - PAD - left, heights[action])
        y += heights[action] + gap
    lines = [_bundle(boxes, pairs, max(left - _BEND - lane * pitch, PAD)) for lane, pairs in drawn]
    return Drawing(WIDTH, y - gap + PAD, boxes, lines)


def _bundle(boxes: Mapping[str, Box], pairs: Sequence[tuple[str, str]], lane: int) -> str:
    """Lines out of the lower part of actions, down the lane, and into the upper part of others."""
    starts = {start: boxes[start].y + boxes[start].height * 2 // 3 for start, _ in pairs}
    ends = {end: boxes[end].y + boxes[end].height // 3 for _, end in pairs}
    left = next(iter(boxes.values())).x
    bend = left - lane
    out = "".join(f"M{left} {y}q-{bend} 0 -{bend} {_BEND}" for y in starts.values())
    into = "".join(f"M{lane} {y - _BEND}q0 {_BEND} {bend} {_BEND}" for y in ends.values())
    return f"{out}{into}M{lane} {min(starts.values()) + _BEND}V{max(ends.values()) - _BEND}"


def _left(drawn: Sequence[tuple[int, object]]) -> int:
    """Where actions begin, to the right of the lanes."""
    count = max((lane for lane, _ in drawn), default=-1) + 1
    return PAD + (min(count * _LANE, _MOST_GUTTER) + _BEND if count else 0)
