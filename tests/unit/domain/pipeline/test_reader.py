"""What project.yaml may say, what is left to runners, and the order that its needs imply."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobserver.domain.base.yaml_positions import Mapping, Node, Scalar, Sequence
from jobserver.domain.pipeline.reader import Action, Pipeline, parse
from jobserver.errors import Code, Error
from tests.unit.domain.pipeline.files import REAL, read


def test_a_real_project_yaml_is_read() -> None:
    found = read(REAL)
    assert list(found.actions) == ["generate_cohort", "describe", "plot.v2"]
    assert found.actions["describe"].run == "python:latest python analysis/describe.py --rows 10"
    assert found.actions["plot.v2"].needs == ("generate_cohort", "describe")
    assert found.closure(["run_all"]) == ("generate_cohort", "describe", "plot.v2")
    assert found.actions["describe"].outputs == {
        "moderately_sensitive": {"table": "output/*.csv", "figure": "output/figure.svg"}
    }


@pytest.mark.parametrize("version", ["'1.0'", "1.0", "3", '"4.0"'])
@pytest.mark.parametrize("needs", ["", "needs:", "needs: []", "needs: null", "needs: ~"])
def test_versions_and_absent_needs(version: str, needs: str) -> None:
    found = read(f"version: {version}\nactions:\n  a:\n    run: x\n    {needs}\n")
    assert found.actions["a"] == Action((), "x")


def test_run_all_of_the_file_is_ignored_as_runners_do() -> None:
    found = read("actions:\n  a: {run: x}\n  run_all: {needs: [a], run: z}\n  b: {run: y}\n")
    assert list(found.actions) == ["a", "b"]
    assert found.closure(["run_all"]) == ("a", "b")
    [told] = [fault for fault in found.warnings if fault.key == "actions.run_all"]
    assert (told.line, told.message.startswith("`run_all` means every action")) == (3, True)


@pytest.mark.parametrize("body", ["{}", "{needs: []}", "{run: ''}", "{run: x}"])
def test_run_all_without_needs_runs_everything(body: str) -> None:
    assert read(f"actions: {{run_all: {body}, a: {{run: x}}, b: {{run: y}}}}").closure(["run_all"]) == (
        "a",
        "b",
    )


def test_merge_keys_and_aliases() -> None:
    found = read(
        "shared: &s {run: shared, needs: [a]}\n"
        "more: &m {run: more, config: 1}\n"
        "actions:\n  a: {run: x}\n  b:\n    <<: *s\n  c: {<<: [*m, *s], needs: []}\n  d: *s\n"
    )
    assert found.actions["b"] == found.actions["d"] == Action(("a",), "shared")
    assert found.actions["c"] == Action((), "more")


def test_outputs_are_no_part_of_what_an_action_is() -> None:
    assert Action((), "x", {"low": {"a": "b"}}) == Action((), "x")


def test_the_nearest_merged_mapping_counts() -> None:
    found = read(
        "one: &one {run: one}\ntwo: &two {run: two, <<: *one}\n"
        "actions:\n  a: {<<: [*one, *two]}\n  b: {<<: [*two, *one]}\n  c: {<<: *two, run: own}\n"
    )
    assert [found.actions[name].run for name in "abc"] == ["one", "two", "own"]


@pytest.mark.parametrize("outputs", ["", "x", "[a]", "{level: x}", "{level: [a]}", "{level: {a: [b]}}"])
def test_outputs_of_another_shape_are_left_to_runners(outputs: str) -> None:
    found = read(f"actions:\n  a:\n    run: x\n    outputs: {outputs}\n").actions["a"].outputs
    assert found in ({}, {"level": {}})


def test_outputs_are_shared_by_who_names_them() -> None:
    found = read("o: &o {low: {a: b, c: [d]}}\nactions:\n  a: {run: x, outputs: *o}\n  b: {run: x, outputs: *o}\n")
    assert found.actions["a"].outputs == found.actions["b"].outputs == {"low": {"a": "b"}}
    assert found.actions["a"].outputs["low"] is found.actions["b"].outputs["low"]


def test_closure_and_unknown_actions() -> None:
    found = read(REAL)
    assert found.closure([]) == ()
    assert found.closure(["plot.v2", "describe"]) == ("generate_cohort", "describe", "plot.v2")
    assert found.unknown(["x", "describe", "run_all", "x", "y"]) == ("x", "y")
    with pytest.raises(Error, match="Unknown actions: x, y") as caught:
        found.closure(["describe", "x", "y"])
    assert caught.value.code is Code.INVALID


def test_a_pipeline_is_stored_with_its_needs_and_commands() -> None:
    found = read(REAL)
    document = found.as_document()
    assert document["describe"] == {
        "needs": ["generate_cohort"],
        "run": "python:latest python analysis/describe.py --rows 10",
    }
    assert list(document) == list(found.actions)


def test_a_pipeline_can_not_be_changed() -> None:
    given_actions = {"a": Action((), "x")}
    made = Pipeline(given_actions)
    given_actions["b"] = Action((), "y")
    assert list(made.actions) == ["a"]
    with pytest.raises(TypeError):
        made.actions["b"] = Action((), "y")  # type: ignore[index]


@st.composite
def acyclic(draw: st.DrawFn) -> dict[str, list[str]]:
    names = draw(st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True), min_size=1, unique=True))
    names = [name for name in names if name != "run_all"] or ["a"]
    needs = {name: draw(st.lists(st.sampled_from(names[:i]), unique=True)) if i else [] for i, name in enumerate(names)}
    return {name: needs[name] for name in draw(st.permutations(names))}


@settings(deadline=None)
@given(acyclic(), st.data())
def test_a_closure_is_complete_minimal_and_ordered(needs: dict[str, list[str]], data: st.DataObject) -> None:
    text = "actions:\n" + "".join(f"  '{n}': {{run: x, needs: {list(r)!r}}}\n" for n, r in needs.items())
    found = read(text)
    assert {name: list(a.needs) for name, a in found.actions.items() if name != "run_all"} == needs
    requested = data.draw(st.lists(st.sampled_from([*needs, "run_all"])))
    order = found.closure(requested)
    expected = set(needs) if "run_all" in requested else set(requested)
    while more := {need for name in expected for need in needs[name]} - expected:
        expected |= more
    assert sorted(order) == sorted(expected)
    for place, name in enumerate(order):
        assert set(needs[name]) <= set(order[:place])
    assert found.closure(requested) == order


WORDS = ["actions", "a", "b", "run", "needs", "run_all", "outputs", "<<", "", "~", "1", "\ud800", "x y"]
scalars = st.builds(Scalar, st.sampled_from(WORDS) | st.text(max_size=5), st.booleans(), st.integers(1, 9))


def wider(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    items = st.lists(inner, max_size=4).map(tuple)
    entries = st.lists(st.tuples(scalars, inner), max_size=4, unique_by=lambda e: e[0].text).map(tuple)
    return st.builds(Sequence, items, st.integers(1, 9)) | st.builds(Mapping, entries, st.integers(1, 9))


nodes = st.recursive(scalars, wider, max_leaves=25)


@settings(deadline=None)
@given(st.none() | nodes, st.booleans())
def test_any_tree_is_a_pipeline_or_an_error(node: Node | None, wrap: bool) -> None:
    if wrap and node is not None:
        node = Mapping(((Scalar("actions", True, 1), node),), 1)
    try:
        found = parse(node)
    except Error as error:
        assert error.code is Code.INVALID
        assert error.faults
        assert str(error)
    else:
        assert set(found.closure(["run_all"])) == set(found.actions)
        assert found.unknown(need for action in found.actions.values() for need in action.needs) == ()
