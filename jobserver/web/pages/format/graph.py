"""A pipeline as a picture: from left to right, and from top to bottom for narrow windows; and as a list. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from jobserver.web.pages.format.graph_groups import Group, View, groups, place_of
from jobserver.web.pages.layout.layers import direct, layers_of, needed_by
from jobserver.web.pages.layout.names import lines, shortened, two_lines
from jobserver.web.pages.layout.tall import name_width, sequence, tall
from jobserver.web.pages.layout.wide import Drawing, wide

# Pixels. Names are drawn in a font of fixed width, so that their length is known here.
_CHAR, _SIGN, _PAD, _LINE, _STATE, _GAP = 7.6, 34, 6, 16, 30, 12
_SMALL, _SMALL_GAP = 28, 8  # the height of an action, and the gap below it, in a picture of many
_MOST_CHARS, _LEAST_CHARS, _GROUP_CHARS = 28, 12, 24
_MOST_ACTIONS, _MOST_NEEDS = 1000, 20_000  # in groups
_MOST_SHOWN, _MOST_LINES = 200, 800  # one by one: a larger picture helps nobody
MANY = 40  # actions, from which on a picture begins in groups, and can be zoomed

WHATEVER_FITS = View()

Structure = tuple[tuple[str, str, bool, tuple[str, ...]], ...]
"""(name, label, is it a group, the names that it needs) of all that a picture shows."""


@dataclass(frozen=True, slots=True)
class Node:
    """An action, or a group of them. ``x`` and ``y`` are the upper left corner. ``lines``: the name, on one or two.

    ``state``: the status in words; empty in a small picture, which shows its sign only.
    """

    action: str
    status: str
    lines: Sequence[str]
    state: str
    actions: Sequence[str]
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Layout:
    """``edges`` are SVG paths, each of the lines from one action or to one."""

    width: int
    height: int
    nodes: Sequence[Node]
    edges: Sequence[str]


@dataclass(frozen=True, slots=True)
class Relation:
    """What a picture shows by lines, for a list."""

    action: str
    status: str
    needs: Sequence[str]
    needed_by: Sequence[str]


@dataclass(frozen=True, slots=True)
class Picture:
    """``counts``: (status, number of actions), worst first: the legend. ``start``: the name of the node that a person
    should see first. ``matter``: why (``failed``, ``running``, ``chosen``), or empty if it is only the first."""

    wide: Layout
    tall: Layout
    counts: Sequence[tuple[str, int]]
    relations: Sequence[Relation]
    view: View
    start: str
    matter: str

    @property
    def is_large(self) -> bool:
        return len(self.relations) >= MANY


@dataclass(frozen=True, slots=True)
class _Labelled:
    """``texts``: name -> the lines of its label."""

    drawing: Drawing
    texts: Mapping[str, Sequence[str]]


def picture(
    needs: Mapping[str, Sequence[str]], statuses: Mapping[str, str], view: View = WHATEVER_FITS
) -> Picture | None:
    """``needs``: action -> the actions that it needs; those that are not keys are left out.

    None if there is nothing to draw, or too much.
    """
    if len(needs) > _MOST_ACTIONS or sum(map(len, needs.values())) > _MOST_NEEDS:
        return None
    known = {action: [need for need in dict.fromkeys(some) if need in needs] for action, some in needs.items()}
    if not view.grouping:
        view = View("stage" if len(known) >= MANY else "none", view.opened, view.chosen)
    shown = groups(known, statuses, view)
    if not 0 < len(shown) <= _MOST_SHOWN:
        return None
    owner = {action: name for name, group in shown.items() for action in group.actions}
    drawings = _drawings(
        tuple(
            (
                name,
                group.label,
                group.is_several,
                tuple({owner[need]: 0 for each in group.actions for need in known[each]}),
            )
            for name, group in shown.items()
        )
    )
    if drawings is None:
        return None
    start, matter = _start(shown, list(drawings[1].drawing.boxes), view.chosen)
    wide_one, tall_one = (_layout(drawing, shown) for drawing in drawings)
    return Picture(wide_one, tall_one, counts(needs, statuses), _relations(known, statuses), view, start, matter)


def counts(actions: Iterable[str], statuses: Mapping[str, str]) -> list[tuple[str, int]]:
    """(status, number of actions), worst first."""
    numbers = Counter(statuses.get(action, "unknown") for action in actions)
    return sorted(numbers.items(), key=lambda pair: place_of(pair[0]))


def grouped(actions: Collection[str], statuses: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """(status, its actions), worst first, for a pipeline that is too large for a plain list; else empty."""
    if len(actions) <= _MOST_SHOWN:
        return []
    result: dict[str, list[str]] = {}
    for action in actions:
        result.setdefault(statuses.get(action, "unknown"), []).append(action)
    return sorted(result.items(), key=lambda pair: place_of(pair[0]))


@lru_cache(maxsize=64)
def _drawings(structure: Structure) -> tuple[_Labelled, _Labelled] | None:
    """Wide and tall; None if there are too many lines. Cached, because statuses change often and needs do not."""
    labels_of = {name: label for name, label, _, _ in structure}
    needs = {name: some for name, _, _, some in structure}
    layers = layers_of(needs)
    drawn = direct(needs, layers)
    if sum(map(len, drawn.values())) > _MOST_LINES:
        return None
    is_small = len(structure) >= MANY
    gap = _SMALL_GAP if is_small else _GAP
    texts = _texts(labels_of, _MOST_CHARS, is_small)
    least = {name: _GROUP_CHARS if is_group else _LEAST_CHARS for name, _, is_group, _ in structure}
    widths = {name: round(_SIGN + max(least[name], *map(len, own)) * _CHAR + _PAD * 2) for name, own in texts.items()}
    height = max(_heights(texts, is_small).values())
    order = sequence(drawn)
    below = _texts(labels_of, int((name_width(drawn, order) - _SIGN - _PAD * 2) / _CHAR), is_small)
    return (
        _Labelled(wide(drawn, layers, widths, height, gap), texts),
        _Labelled(tall(drawn, order, _heights(below, is_small), gap), below),
    )


def _texts(labels_of: Mapping[str, str], limit: int, is_small: bool) -> dict[str, tuple[str, ...]]:
    short = shortened(set(labels_of.values()), limit if is_small else two_lines(limit))
    return {name: lines(short[label], limit) for name, label in labels_of.items()}


def _heights(texts: Mapping[str, Sequence[str]], is_small: bool) -> dict[str, int]:
    return {name: _SMALL if is_small else _STATE + _LINE * len(own) for name, own in texts.items()}


def _start(shown: Mapping[str, Group], order: Sequence[str], chosen: Collection[str]) -> tuple[str, str]:
    for status in ("failed", "running"):
        if name := next((name for name in order if shown[name].status == status), ""):
            return name, status
    name = next((name for name in order if name in chosen), "")
    return (name, "chosen") if name else (order[0], "")


def _layout(labelled: _Labelled, shown: Mapping[str, Group]) -> Layout:
    drawing = labelled.drawing
    nodes = []
    for name, box in drawing.boxes.items():
        group, text = shown[name], labelled.texts[name]
        state = group.state if box.height > _SMALL else ""
        nodes.append(Node(name, group.status, text, state, group.actions, box.x, box.y, box.width, box.height))
    return Layout(drawing.width, drawing.height, nodes, drawing.lines)


def _relations(needs: Mapping[str, Sequence[str]], statuses: Mapping[str, str]) -> list[Relation]:
    users = needed_by(needs)
    return [Relation(name, statuses.get(name, "unknown"), some, users[name]) for name, some in needs.items()]
