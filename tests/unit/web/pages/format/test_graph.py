"""A pipeline's picture: what it shows as one, what it begins with, and how names are written."""

from jobserver.web.pages.format.graph import WHATEVER_FITS, Picture, grouped, picture
from jobserver.web.pages.format.graph_groups import View
from tests.unit.web.pages.layout.shapes import large

LONG = "a_very_long_action_name_that_goes_on_and_on_and_on_without_any_mercy_at_all"
NEEDS = {
    "report": ["models", "tables", "extract"],
    "extract": [],
    "tables": ["extract"],
    "models": ["tables", "elsewhere"],
    LONG: ["extract"],
    "alone": [],
}


def drawn(needs: dict[str, list[str]], statuses: dict[str, str], view: View = WHATEVER_FITS) -> Picture:
    result = picture(needs, statuses, view)
    assert result is not None
    return result


def test_an_action_is_drawn_after_those_it_needs() -> None:
    shown = drawn(NEEDS, {})
    wide = {node.action: node.x for node in shown.wide.nodes}
    tall = {node.action: node.y for node in shown.tall.nodes}
    assert set(wide) == set(tall) == set(NEEDS)
    for action, needs in NEEDS.items():
        for need in needs:
            if need in NEEDS:
                assert wide[need] < wide[action]
                assert tall[need] < tall[action]


def test_long_names_keep_both_ends_on_two_lines() -> None:
    (node,) = drawn({LONG: []}, {}).wide.nodes
    head, tail = "".join(node.lines).split("…")
    assert LONG.startswith(head)
    assert LONG.endswith(tail)
    assert all(len(line) <= 28 for line in node.lines)
    assert drawn({"short": []}, {}).wide.nodes[0].lines == ("short",)


def test_names_that_differ_are_written_differently() -> None:
    """In both forms, and in the picture of many, where a name has one line."""
    long = [f"generate_study_population_2019_to_2024_sensitivity_{n}_with_all_covariates" for n in range(60)]
    for shown in (drawn({name: [] for name in long}, {}, View("none")), drawn({name: [] for name in long[:9]}, {})):
        for layout in (shown.wide, shown.tall):
            assert len({tuple(node.lines) for node in layout.nodes}) == len(layout.nodes)


def test_names_fit_their_boxes() -> None:
    names = {"x" * length: [] for length in range(1, 39)}
    for layout in (drawn(names, {}).wide, drawn(names, {}).tall):
        for node in layout.nodes:
            assert 34 + max(map(len, node.lines)) * 7.6 <= node.width
            assert len(node.lines) * 16 < node.height


def test_a_deep_pipeline_fits_a_phone() -> None:
    names = [f"step_number_{number}" for number in range(40)]
    needs = {name: names[at - 1 : at] if at else [] for at, name in enumerate(names)}
    assert drawn(needs, {}).tall.width == 330
    assert min(node.width for node in drawn(needs, {}).tall.nodes) > 150


def test_the_legend_begins_with_what_is_worst() -> None:
    shown = drawn(NEEDS, {"extract": "succeeded", "tables": "failed", "models": "running"})
    assert shown.counts == [("failed", 1), ("running", 1), ("unknown", 3), ("succeeded", 1)]
    assert picture({}, {}) is None


def test_the_list_says_what_the_lines_do() -> None:
    relations = {relation.action: relation for relation in drawn(NEEDS, {"tables": "failed"}).relations}
    assert list(relations) == list(NEEDS)
    assert relations["tables"].status == "failed"
    assert relations["tables"].needs == ["extract"]
    assert relations["tables"].needed_by == ["report", "models"]
    assert relations["models"].needs == ["tables"]  # the other is not part of the picture


def test_a_picture_begins_at_what_failed_then_runs_then_was_chosen() -> None:
    statuses = {"models": "running", "tables": "failed"}
    chosen = View(chosen=("alone",))
    assert (drawn(NEEDS, statuses, chosen).start, drawn(NEEDS, statuses, chosen).matter) == ("tables", "failed")
    assert drawn(NEEDS, {"models": "running"}, chosen).start == "models"
    assert (drawn(NEEDS, {}, chosen).start, drawn(NEEDS, {}, chosen).matter) == ("alone", "chosen")
    assert (drawn(NEEDS, {}).start, drawn(NEEDS, {}).matter) == ("extract", "")


def test_many_actions_begin_in_groups_by_stage() -> None:
    statuses = {"clean_007": "failed", "model_001": "running", "plot_003": "succeeded"}
    shown = drawn(large(), statuses)
    assert shown.view.grouping == "stage"
    labels = {node.action: ("".join(node.lines), node.state) for node in shown.wide.nodes}
    assert labels == {
        "extract": ("extract", "Requested"),
        "clean@1": ("clean… (49)", "49 requested"),
        "clean_007": ("clean_007", "Failed"),
        "model@2": ("model… (49)", "49 requested"),
        "model_001": ("model_001", "Running"),
        "plot@3": ("plot… (48)", "47 requested, 1 succeeded"),
        "report": ("report", "Requested"),
    }
    assert shown.start == "clean_007"
    assert len(shown.relations) == 150
    assert drawn(NEEDS, {}).view.grouping == "none"


def test_groups_open_one_after_the_other() -> None:
    view = View("stage", opened=("plot@3",))
    shown = drawn(large(), {}, view)
    assert len(shown.wide.nodes) == 4 + 48
    assert view.opening("model@2") == "group=stage&open=plot%403&open=model%402"
    assert len(drawn(large(), {}, View("stage", chosen=("clean_001",))).wide.nodes) == 6
    assert len(drawn(large(), {}, View("none")).wide.nodes) == 150


def test_groups_by_status_have_one_status() -> None:
    statuses = {name: "succeeded" for name in large() if not name.endswith("9")}
    shown = drawn(large(), statuses, View("status"))
    groups = {node.action: ("".join(node.lines), node.state) for node in shown.wide.nodes if len(node.actions) > 1}
    assert groups["succeeded@1"] == ("45 actions", "Succeeded")
    assert groups["unknown@1"] == ("5 actions", "Requested")


def test_groups_never_need_themselves() -> None:
    """Actions of one word in several layers are several groups."""
    shown = drawn({f"step_{number}": [f"step_{number - 1}"] if number else [] for number in range(60)}, {})
    assert len(shown.wide.nodes) == 60


def test_actions_that_need_each_other_end() -> None:
    """No project.yaml that is read has them; somebody may have pushed such a request, once."""
    shown = drawn({"a": ["b"], "b": ["c"], "c": ["a", "d"], "d": []}, {})
    assert len(shown.wide.nodes) == 4


def test_a_graph_that_is_too_large_or_dense_is_not_drawn() -> None:
    left, right = [f"l{n}" for n in range(29)], [f"r{n}" for n in range(28)]
    dense: dict[str, list[str]] = {name: [] for name in left}
    all_of_them = View("none")
    assert picture({**dense, **dict.fromkeys(right, left[:28])}, {}, all_of_them) is not None
    assert picture({**dense, **dict.fromkeys(right, left)}, {}, all_of_them) is None
    assert picture({f"a{n}": [] for n in range(200)}, {}, all_of_them) is not None
    many = {f"a{n}": [] for n in range(201)}
    assert picture(many, {}) is None
    assert grouped(many, {"a7": "failed"}) == [("failed", ["a7"]), ("unknown", [name for name in many if name != "a7"])]
    assert grouped(["a"], {}) == []
    assert picture({f"table_{n}": [] for n in range(1000)}, {}) is not None  # one group
    assert picture({f"table_{n}": [] for n in range(1001)}, {}) is None
    every = [f"table_{n}" for n in range(200)]
    assert picture({**{name: [] for name in every}, **{f"plot_{n}": every for n in range(101)}}, {}) is None


def test_needs_that_others_imply_are_no_lines() -> None:
    """Each of 200 needs all before it: a chain is what there is to see."""
    shown = drawn({f"a{n}": [f"a{m}" for m in range(n)] for n in range(200)}, {})
    assert len(shown.wide.edges) == 199
