"""No line runs through an action or leaves the picture, in both forms; and each need is drawn or implied."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise, product

import pytest

from jobserver.web.pages.layout.crossings import crossings, neighbours, ordered
from jobserver.web.pages.layout.layers import columns, direct, layers_of
from jobserver.web.pages.layout.tall import sequence, tall
from jobserver.web.pages.layout.wide import Box, Drawing, wide
from tests.samples import first
from tests.unit.web.pages.layout.shapes import SHAPES, SMALL, large

SMALL_FIRST = sorted(SHAPES, key=lambda shape: shape.startswith("random-"))
every_plan = pytest.mark.parametrize(("shape", "form"), first(28, product(SMALL_FIRST, ("wide", "tall"))))
Place = tuple[float, float]


def plans(needs: Mapping[str, Sequence[str]]) -> dict[str, Drawing]:
    layers = layers_of(needs)
    drawn = direct(needs, layers)
    widths = {action: 90 + len(action) * 8 for action in needs}
    heights = {action: 46 + 16 * (len(action) % 2) for action in needs}
    return {"wide": wide(drawn, layers, widths, 46, 12), "tall": tall(drawn, sequence(drawn), heights, 12)}


def strokes(path: str) -> Iterator[list[Place]]:
    """Points along each stroke of a path; it has M, H, V and C in the picture's coordinates, and q in its own."""
    x = y = 0.0
    stroke: list[Place] = []
    for letter, text in re.findall(r"([A-Za-z])([^A-Za-z]*)", path):
        numbers = [float(number) for number in text.split()]
        if letter == "M":
            if stroke:
                yield stroke
            x, y = numbers
            stroke = [(x, y)]
            continue
        start = (x, y)
        if letter == "H":
            x = numbers[0]
            bends = [start, (x, y)]
        elif letter == "V":
            y = numbers[0]
            bends = [start, (x, y)]
        elif letter == "C":
            bends = [start, *zip(numbers[::2], numbers[1::2], strict=True)]
        else:
            assert letter == "q", path
            bends = [start, *((x + dx, y + dy) for dx, dy in zip(numbers[::2], numbers[1::2], strict=True))]
        x, y = bends[-1]
        stroke += [curve(bends, step / 40) for step in range(1, 41)]
    yield stroke


def curve(points: Sequence[Place], part: float) -> Place:
    """De Casteljau's."""
    while len(points) > 1:
        points = [(a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part) for a, b in pairwise(points)]
    return points[0]


def is_inside(place: Place, box: Box, margin: float) -> bool:
    """Nearer than ``margin`` above and below, where a line could be taken for one of the action's own."""
    x, y = place
    return box.x < x < box.x + box.width and box.y - margin < y < box.y + box.height + margin


@every_plan
def test_lines_run_beside_actions(shape: str, form: str) -> None:
    plan = plans(SHAPES[shape])[form]
    for path in plan.lines:
        for stroke in strokes(path):
            for place in stroke:
                assert 0 <= place[0] <= plan.width, path
                assert 0 <= place[1] <= plan.height, path
                through = [action for action, box in plan.boxes.items() if is_inside(place, box, 3)]
                assert through == [], (path, place)


@every_plan
def test_actions_stand_apart_and_inside(shape: str, form: str) -> None:
    plan = plans(SHAPES[shape])[form]
    boxes = sorted(plan.boxes.values(), key=lambda box: (box.x, box.y))
    assert len(boxes) == len(SHAPES[shape])
    for box in boxes:
        assert box.x >= 0
        assert box.y >= 0
        assert box.x + box.width <= plan.width
        assert box.y + box.height <= plan.height
    for upper, lower in pairwise(boxes):
        assert lower.x >= upper.x + upper.width or lower.y >= upper.y + upper.height + 8


@every_plan
def test_lines_lead_to_all_that_needs_an_action_and_to_nothing_else(shape: str, form: str) -> None:
    """Followed along the lines, each action leads to exactly those that need it, directly or not."""
    needs = SHAPES[shape]
    plan = plans(needs)[form]
    steps = across(plan) if form == "wide" else down(plan)
    for action in needs:
        reached: set[str] = set()
        todo = [action]
        while todo:
            new = steps[todo.pop()] - reached
            reached |= new
            todo += new
        assert reached == users_of(needs, action)


def users_of(needs: Mapping[str, Sequence[str]], action: str) -> set[str]:
    result: set[str] = set()
    for other in layers_of(needs):
        if action in needs[other] or result & set(needs[other]):
            result.add(other)
    return result


def across(plan: Drawing) -> dict[str, set[str]]:
    """Action -> those where the lines from its right side end: strokes go on where another ended."""
    ways: dict[Place, set[Place]] = {}
    for path in plan.lines:
        for stroke in strokes(path):
            ways.setdefault(stroke[0], set()).add(stroke[-1])
    entries = {(box.x, box.y + box.height // 2): action for action, box in plan.boxes.items()}
    result = {}
    for action, box in plan.boxes.items():
        todo = [(box.x + box.width, box.y + box.height // 2)]
        found = set()
        while todo:
            for end in ways.get(todo.pop(), ()):
                if end in entries:
                    found.add(entries[end])
                else:
                    todo.append(end)
        result[action] = found
    return result


def down(plan: Drawing) -> dict[str, set[str]]:
    """Action -> those that the lanes lead to, into which its lines go: all strokes of one path are one lane."""
    result: dict[str, set[str]] = {action: set() for action in plan.boxes}
    for path in plan.lines:
        drawn = list(strokes(path))
        outs, ins = {stroke[0] for stroke in drawn}, {stroke[-1] for stroke in drawn}
        into = {action for action, box in plan.boxes.items() if (box.x, box.y + box.height // 3) in ins}
        for action, box in plan.boxes.items():
            if (box.x, box.y + box.height * 2 // 3) in outs:
                result[action] |= into
    return result


@pytest.mark.parametrize(("shape", "most"), [("7", 0), ("30", 14), ("150", 0), ("chain", 0), ("random-150", 360)])
def test_few_lines_cross(shape: str, most: int) -> None:
    """As many as with ELK, or fewer (docs/decisions/0023-own-graph-layout.md has its figures)."""
    layers = layers_of(SHAPES[shape])
    drawn = columns(direct(SHAPES[shape], layers), layers)
    assert crossings(ordered(drawn), neighbours(drawn)[1]) <= most


def test_a_fan_of_lines_needs_few_lanes() -> None:
    assert plans(large())["tall"].boxes["report"].x <= 60


def test_an_action_follows_those_it_needs_soon() -> None:
    assert sequence({"late": ["first"], "first": [], "other": [], "next": ["first"]}) == [
        "first",
        "late",
        "next",
        "other",
    ]
    assert sequence(SMALL)[0] == "extract_cohort"


def test_lines_are_straight_where_they_can_be() -> None:
    lines = plans({"a": [], "b": ["a"], "c": ["b"]})["wide"].lines
    assert all("C" not in line for line in lines)
