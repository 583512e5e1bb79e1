"""Lays out a pipeline for SVG: from left to right, and from top to bottom for narrow windows. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

# Pixels. Names are drawn in a font of fixed width, so that their length is known here.
_CHAR, _SIGN, _PAD, _LINE, _STATE = 7.6, 34, 6, 16, 30
_GAP_X, _GAP_Y, _INDENT, _TALL_WIDTH = 44, 12, 18, 330
_MOST_CHARS, _LEAST_CHARS, _MOST_INDENTS = 28, 12, 7
_MOST_ACTIONS, _MOST_LINES = 200, 800  # a larger picture helps nobody
_ORDER = ("failed", "running", "pending", "unknown", "cancelled", "skipped", "succeeded")  # then all others


@dataclass(frozen=True, slots=True)
class Node:
    """``x`` and ``y`` are the upper left corner. ``lines``: the name, on one or two lines."""

    action: str
    status: str
    lines: Sequence[str]
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Layout:
    """``edges`` are SVG paths."""

    width: int
    height: int
    nodes: Sequence[Node]
    edges: Sequence[str]


@dataclass(frozen=True, slots=True)
class Picture:
    """``counts``: (status, number of actions), worst first: the legend."""

    wide: Layout
    tall: Layout
    counts: Sequence[tuple[str, int]]


def picture(needs: Mapping[str, Sequence[str]], statuses: Mapping[str, str]) -> Picture | None:
    """``needs``: action -> the actions that it needs; those that are not keys are left out.

    None if there is nothing to draw, or too much.
    """
    if not 0 < len(needs) <= _MOST_ACTIONS:
        return None
    known = {action: [need for need in some if need in needs] for action, some in needs.items()}
    layers = _layers(known)
    drawn = _direct(known, layers)
    if sum(map(len, drawn.values())) > _MOST_LINES:
        return None
    return Picture(_wide(drawn, layers, statuses), _tall(drawn, layers, statuses), counts(needs, statuses))


def counts(actions: Iterable[str], statuses: Mapping[str, str]) -> list[tuple[str, int]]:
    """(status, number of actions), worst first."""
    numbers = Counter(statuses.get(action, "unknown") for action in actions)
    return sorted(numbers.items(), key=lambda pair: place_of(pair[0]))


def grouped(actions: Collection[str], statuses: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """(status, its actions), worst first, for a pipeline that is too large for a plain list; else empty."""
    if len(actions) <= _MOST_ACTIONS:
        return []
    groups: dict[str, list[str]] = {}
    for action in actions:
        groups.setdefault(statuses.get(action, "unknown"), []).append(action)
    return sorted(groups.items(), key=lambda pair: place_of(pair[0]))


def place_of(status: str) -> int:
    """Sorts statuses by importance."""
    return _ORDER.index(status) if status in _ORDER else len(_ORDER)


def _layers(needs: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """action -> its layer, after the actions that it needs. A pushed pipeline can have cycles: those end somewhere."""
    layers: dict[str, int] = {}
    opened = set[str]()
    for action in needs:
        stack = [action]
        while stack:
            top = stack[-1]
            opened.add(top)
            if waiting := [need for need in needs[top] if need not in layers and need not in opened]:
                stack += waiting
            else:
                layers.setdefault(top, 1 + max((layers.get(need, -1) for need in needs[top]), default=-1))
                stack.pop()
    return layers


def _direct(needs: Mapping[str, Sequence[str]], layers: Mapping[str, int]) -> dict[str, list[str]]:
    """The needs without those that another need implies, so that the picture has fewer lines."""
    above: dict[str, set[str]] = {}
    for action in layers:
        above[action] = {*needs[action]}.union(*(above.get(need, ()) for need in needs[action]))
    implied = {action: set[str]().union(*(above[need] for need in needs[action])) for action in layers}
    return {action: [need for need in needs[action] if need not in implied[action]] for action in layers}


def _wide(needs: Mapping[str, Sequence[str]], layers: Mapping[str, int], statuses: Mapping[str, str]) -> Layout:
    columns: dict[int, list[str]] = {}
    for action, layer in layers.items():
        columns.setdefault(layer, []).append(action)
    rows: dict[str, float] = {}
    for layer in sorted(columns):
        columns[layer].sort(key=lambda action: _mean([rows[need] for need in needs[action]]))
        rows.update({action: row for row, action in enumerate(columns[layer])})
    lines = {action: _lines(action, _MOST_CHARS) for action in layers}
    height = _height(lines.values())
    tallest = max((len(some) for some in columns.values()), default=1)
    whole = tallest * (height + _GAP_Y) - _GAP_Y
    nodes: dict[str, Node] = {}
    x = _PAD
    for layer in sorted(columns):
        chars = max(_LEAST_CHARS, *(len(line) for action in columns[layer] for line in lines[action]))
        width = round(_SIGN + chars * _CHAR + _PAD * 2)
        top = _PAD + (whole - len(columns[layer]) * (height + _GAP_Y) + _GAP_Y) // 2
        for row, action in enumerate(columns[layer]):
            y = top + row * (height + _GAP_Y)
            nodes[action] = Node(action, statuses.get(action, "unknown"), lines[action], x, y, width, height)
        x += width + _GAP_X
    edges = [_curve(nodes[need], nodes[action]) for action, some in needs.items() for need in some]
    return Layout(x - _GAP_X + _PAD, whole + _PAD * 2, list(nodes.values()), edges)


def _curve(start: Node, end: Node) -> str:
    x1, y1 = start.x + start.width, start.y + start.height // 2
    x2, y2 = end.x, end.y + end.height // 2
    bend = max(_GAP_X // 2, (x2 - x1) // 2)
    return f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"


def _tall(needs: Mapping[str, Sequence[str]], layers: Mapping[str, int], statuses: Mapping[str, str]) -> Layout:
    nodes: dict[str, Node] = {}
    y = _PAD
    for action, layer in layers.items():
        x = _PAD + _INDENT * min(layer, _MOST_INDENTS)
        width = _TALL_WIDTH - _PAD - x
        lines = _lines(action, int((width - _SIGN - _PAD * 2) / _CHAR))
        nodes[action] = Node(action, statuses.get(action, "unknown"), lines, x, y, width, _height([lines]))
        y += nodes[action].height + _GAP_Y
    edges = []
    for action, some in needs.items():
        for start, end in ((nodes[need], nodes[action]) for need in some):
            x1, y1, y2 = start.x + _INDENT // 2, start.y + start.height, end.y + end.height // 2
            edges.append(
                f"M{x1} {y1}V{y2 - 6}Q{x1} {y2} {x1 + 6} {y2}H{end.x}" if end.x > x1 else f"M{x1} {y1}V{end.y}"
            )
    return Layout(_TALL_WIDTH, y - _GAP_Y + _PAD, list(nodes.values()), edges)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _height(names: Iterable[Sequence[str]]) -> int:
    return _STATE + _LINE * max((len(lines) for lines in names), default=1)


def _lines(name: str, limit: int) -> tuple[str, ...]:
    """A long name on two lines, broken at a sign if it has one; the second line is cut if it is still too long."""
    if len(name) <= limit:
        return (name,)
    cut = max((name.rfind(sign, limit // 2, limit) + 1 for sign in "_-."), default=0) or limit
    rest = name[cut:]
    return (name[:cut], rest if len(rest) <= limit else f"{rest[: limit - 1]}…")
