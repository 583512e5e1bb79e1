"""A pipeline's picture: nothing overlaps, every need is drawn or implied, names stay readable."""

from itertools import combinations

from jobserver.web.pages.format.graph import Layout, grouped, picture

LONG = "a_very_long_action_name_that_goes_on_and_on_and_on_without_any_mercy_at_all"
NEEDS = {
    "report": ["models", "tables", "extract"],
    "extract": [],
    "tables": ["extract"],
    "models": ["tables", "elsewhere"],
    LONG: ["extract"],
    "alone": [],
}


def overlaps(layout: Layout) -> list[tuple[str, str]]:
    return [
        (a.action, b.action)
        for a, b in combinations(layout.nodes, 2)
        if a.x < b.x + b.width and b.x < a.x + a.width and a.y < b.y + b.height and b.y < a.y + a.height
    ]


def test_nodes_stand_apart_and_inside() -> None:
    for layout in (picture(NEEDS, {}).wide, picture(NEEDS, {}).tall):
        assert {node.action for node in layout.nodes} == set(NEEDS)
        assert overlaps(layout) == []
        for node in layout.nodes:
            assert node.x >= 0
            assert node.x + node.width <= layout.width
            assert node.y + node.height <= layout.height


def test_an_action_is_drawn_after_those_it_needs() -> None:
    found = picture(NEEDS, {})
    wide = {node.action: node.x for node in found.wide.nodes}
    tall = {node.action: node.y for node in found.tall.nodes}
    for action, needs in NEEDS.items():
        for need in needs:
            if need in NEEDS:
                assert wide[need] < wide[action]
                assert tall[need] < tall[action]


def test_an_implied_need_is_not_drawn() -> None:
    assert len(picture(NEEDS, {}).wide.edges) == 4  # tables, models, the long one, and report from models only
    assert len(picture(NEEDS, {}).tall.edges) == 4


def test_long_names_are_parted_at_a_sign_and_then_cut() -> None:
    (node,) = picture({LONG: []}, {}).wide.nodes
    assert node.lines[0].endswith("_")
    assert LONG.startswith(node.lines[0] + node.lines[1].removesuffix("…"))
    assert all(len(line) <= 28 for line in node.lines)
    assert picture({"short": []}, {}).wide.nodes[0].lines == ("short",)


def test_a_deep_pipeline_fits_a_phone() -> None:
    names = [f"step_number_{number}" for number in range(40)]
    needs = {name: names[at - 1 : at] if at else [] for at, name in enumerate(names)}
    assert picture(needs, {}).tall.width == 330
    assert min(node.width for node in picture(needs, {}).tall.nodes) > 150


def test_the_legend_begins_with_what_is_worst() -> None:
    found = picture(NEEDS, {"extract": "succeeded", "tables": "failed", "models": "running"})
    assert found.counts == [("failed", 1), ("running", 1), ("unknown", 3), ("succeeded", 1)]
    assert picture({}, {}) is None


def test_actions_that_need_each_other_end() -> None:
    """No project.yaml that is read has them; somebody may have pushed such a request, once."""
    found = picture({"a": ["b"], "b": ["c"], "c": ["a", "d"], "d": []}, {})
    assert found is not None
    assert len(found.wide.nodes) == 4


def test_a_graph_that_is_too_large_or_dense_is_not_drawn() -> None:
    left, right = [f"l{n}" for n in range(29)], [f"r{n}" for n in range(28)]
    dense: dict[str, list[str]] = {name: [] for name in left}
    assert picture({**dense, **dict.fromkeys(right, left[:28])}, {}) is not None
    assert picture({**dense, **dict.fromkeys(right, left)}, {}) is None
    assert picture({f"a{n}": [] for n in range(200)}, {}) is not None
    many = {f"a{n}": [] for n in range(201)}
    assert picture(many, {}) is None
    assert grouped(many, {"a7": "failed"}) == [("failed", ["a7"]), ("unknown", [name for name in many if name != "a7"])]
    assert grouped(["a"], {}) == []


def test_needs_that_others_imply_are_no_lines() -> None:
    """Each of 200 needs all before it: a chain is what there is to see."""
    found = picture({f"a{n}": [f"a{m}" for m in range(n)] for n in range(200)}, {})
    assert found is not None
    assert len(found.wide.edges) == 199
