"""The columns of a picture: which action stands in which, and where long lines pass. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Needs = Mapping[str, Sequence[str]]
"""Action -> the actions that it needs, in the order of project.yaml. All of them are keys."""

Point = tuple[str, int]
"""An action in its column; or, in another column, the place where the lines from or to that action pass."""


@dataclass(frozen=True, slots=True)
class Columns:
    """``links``: the lines between neighbouring columns, each from a point to one in the next column."""

    points: list[list[Point]]
    links: list[tuple[Point, Point]]
    layers: Mapping[str, int]

    def is_action(self, point: Point) -> bool:
        return self.layers[point[0]] == point[1]


def layers_of(needs: Needs) -> dict[str, int]:
    """Action -> its layer, after the actions that it needs. A pushed pipeline can have cycles: those end somewhere."""
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


def direct(needs: Needs, layers: Mapping[str, int]) -> dict[str, list[str]]:
    """The needs without those that another need implies, so that the picture has fewer lines; and without cycles."""
    forward = {
        action: [need for need in dict.fromkeys(needs[action]) if layers[need] < layers[action]] for action in layers
    }
    above: dict[str, set[str]] = {}
    for action in layers:
        above[action] = {*forward[action]}.union(*(above.get(need, ()) for need in forward[action]))
    implied = {action: set[str]().union(*(above.get(need, ()) for need in forward[action])) for action in layers}
    return {action: [need for need in forward[action] if need not in implied[action]] for action in layers}


def columns(needs: Needs, layers: Mapping[str, int]) -> Columns:
    """``needs``: from `direct`. Lines of one bundle that pass the same column share their place in it."""
    layers = _closer(needs, layers)
    points: list[list[Point]] = [[] for _ in range(max(layers.values(), default=-1) + 1)]
    for action in needs:
        points[layers[action]].append((action, layers[action]))
    links: dict[tuple[Point, Point], None] = {}
    passing: dict[Point, None] = {}
    for owner, pairs in bundles(needs).items():
        for need, action in pairs:
            between = [(owner[0], layer) for layer in range(layers[need] + 1, layers[action])]
            passing.update(dict.fromkeys(between))
            way = [(need, layers[need]), *between, (action, layers[action])]
            links.update(dict.fromkeys(pairwise(way)))
    for point in passing:
        points[point[1]].append(point)
    return Columns(points, list(links), layers)


def bundles(needs: Needs) -> dict[tuple[str, bool], list[tuple[str, str]]]:
    """The lines, each from an action to one that needs it, in bundles: all from one action, or (True) all to one.

    A line belongs to that of its ends which has more lines: so a fan of lines is drawn as one that branches.
    """
    users = needed_by(needs)
    result: dict[tuple[str, bool], list[tuple[str, str]]] = {}
    for action, some in needs.items():
        for need in some:
            owner = (action, True) if len(some) > len(users[need]) else (need, False)
            result.setdefault(owner, []).append((need, action))
    return result


def _closer(needs: Needs, layers: Mapping[str, int]) -> dict[str, int]:
    """Actions that more lines leave than reach move towards those that need them: their lines become shorter."""
    moved, users = dict(layers), needed_by(needs)
    for action in sorted(needs, key=lambda name: -layers[name]):
        if len(users[action]) > len(needs[action]):
            moved[action] = min(moved[other] for other in users[action]) - 1
    return moved


def needed_by(needs: Needs) -> dict[str, list[str]]:
    """Action -> the actions that need it."""
    users: dict[str, list[str]] = {action: [] for action in needs}
    for action, some in needs.items():
        for need in some:
            users[need].append(action)
    return users
