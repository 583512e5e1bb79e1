"""A pipeline as a picture: actions in layers by what they need, as numbers for an SVG. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, GAP_X, GAP_Y, PAD = 190, 40, 46, 14, 8


@dataclass(frozen=True, slots=True)
class Node:
    """Left upper corner in pixels."""

    action: str
    x: int
    y: int
    status: str


@dataclass(frozen=True, slots=True)
class Picture:
    """``edges`` are SVG paths."""

    width: int
    height: int
    nodes: Sequence[Node]
    edges: Sequence[str]


def picture(needs: Mapping[str, Sequence[str]], statuses: Mapping[str, str]) -> Picture:
    """``needs``: action -> what it needs, of those that are shown; others are left out."""
    layers: dict[str, int] = {}

    def layer(action: str) -> int:
        # Needs have no cycles: project.yaml with one is refused.
        stack = [action]
        while stack:
            at = stack[-1]
            waiting = [need for need in needs[at] if need in needs and need not in layers]
            if waiting:
                stack += waiting
            else:
                layers[at] = 1 + max((layers[need] for need in needs[at] if need in needs), default=-1)
                stack.pop()
        return layers[action]

    columns: dict[int, list[str]] = {}
    for action in needs:
        columns.setdefault(layers[action] if action in layers else layer(action), []).append(action)
    places = {
        action: (PAD + column * (WIDTH + GAP_X), PAD + row * (HEIGHT + GAP_Y))
        for column, actions in columns.items()
        for row, action in enumerate(actions)
    }
    edges = []
    for action, some in needs.items():
        for need in some:
            if need in places:
                (x1, y1), (x2, y2) = places[need], places[action]
                x1, y1, y2 = x1 + WIDTH, y1 + HEIGHT // 2, y2 + HEIGHT // 2
                bend = max(GAP_X // 2, (x2 - x1) // 2)
                edges.append(f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}")
    nodes = [Node(action, *places[action], statuses.get(action, "unknown")) for action in needs]
    width = PAD * 2 + max(columns, default=0) * (WIDTH + GAP_X) + WIDTH
    tallest = max((len(actions) for actions in columns.values()), default=1)
    return Picture(width, PAD * 2 + tallest * HEIGHT + (tallest - 1) * GAP_Y, nodes, edges)
