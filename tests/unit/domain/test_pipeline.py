"""What project.yaml may say, what it may not, and the order that its needs imply."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobserver.domain import pipeline
from jobserver.domain.marked import Mapping, Node, Scalar, Sequence
from jobserver.domain.pipeline import Action, Pipeline, parse
from jobserver.errors import Code, Error
from jobserver.store.yaml_nodes import read_nodes

REAL = """\
version: '3.0'

expectations:
  population_size: 1000

actions:
  generate_cohort:
    run: cohortextractor:latest generate_cohort --study-definition study_definition
    outputs:
      highly_sensitive:
        cohort: output/input.csv

  describe:
    run: >-
      python:latest python analysis/describe.py
      --rows 10
    config: {threshold: 3}
    needs: [generate_cohort]
    outputs:
      moderately_sensitive:
        table: output/*.csv
        figure: output/figure.svg

  plot.v2:
    needs:
    - generate_cohort
    - describe
    run: r:latest analysis/plot.R
"""


def read(text: str) -> Pipeline:
    return parse(read_nodes(text.encode(), "project.yaml", aliases=True))


def faults(text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(Error) as caught:
        read(text)
    assert caught.value.code is Code.INVALID
    assert all(fault.path == "project.yaml" for fault in caught.value.faults)
    return [(fault.line, fault.key, fault.message) for fault in caught.value.faults]


def chain(length: int) -> str:
    links = [f"  a{i}: {{run: x, needs: [a{i + 1}]}}\n" for i in range(length - 1)]
    return "actions:\n" + "".join(links) + f"  a{length - 1}: {{run: x}}\n"


def test_a_real_file() -> None:
    found = read(REAL)
    assert list(found.actions) == ["generate_cohort", "describe", "plot.v2", "run_all"]
    assert found.actions["describe"].run == "python:latest python analysis/describe.py --rows 10"
    assert found.actions["plot.v2"].needs == ("generate_cohort", "describe")
    assert found.actions["run_all"] == Action(("generate_cohort", "describe", "plot.v2"), "")
    assert found.actions["describe"].outputs == {
        "moderately_sensitive": {"table": "output/*.csv", "figure": "output/figure.svg"}
    }


@pytest.mark.parametrize("version", ["'1.0'", "1.0", "3", '"4.0"'])
@pytest.mark.parametrize("needs", ["", "needs:", "needs: []", "needs: null", "needs: ~"])
def test_versions_and_absent_needs(version: str, needs: str) -> None:
    found = read(f"version: {version}\nactions:\n  a:\n    run: x\n    {needs}\n")
    assert found.actions["a"] == Action((), "x")


def test_run_all_of_the_file_is_kept() -> None:
    found = read("actions:\n  a: {run: x}\n  run_all: {needs: [a]}\n  b: {run: y}\n")
    assert list(found.actions) == ["a", "run_all", "b"]
    assert found.closure(["run_all"]) == ("a",)


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (0, "", "the file is empty")),
        ("[]", (1, "", "expected a mapping with `actions`")),
        ("text", (1, "", "expected a mapping with `actions`")),
        ("version: 3", (1, "actions", "there is no `actions`")),
        ("actions:", (1, "actions", "`actions` is empty")),
        ("actions: {}", (1, "actions", "`actions` is empty")),
        ("actions: [a]", (1, "actions", "expected a mapping of action names")),
        ("actions:\n  run_all: {run: x}", (1, "actions", "there is only `run_all`")),
        ("actions:\n  a b: {run: x}", (2, "actions.a b", "'a b' is no action name")),
        ("actions:\n  -a: {run: x}", (2, "actions.-a", "'-a' is no action name")),
        ('actions:\n  "a\\n": {run: x}', (2, "actions.a\n", "'a\\n' is no action name")),
        ("actions:\n  a:", (2, "actions.a", "expected a mapping with `run`")),
        ("actions:\n  a: x", (2, "actions.a", "expected a mapping with `run`")),
        ("actions:\n  a: {needs: []}", (2, "actions.a.run", "there is no `run`")),
        ("actions:\n  a:\n    run:", (3, "actions.a.run", "`run` is empty")),
        ("actions:\n  a:\n    run: '  '", (3, "actions.a.run", "`run` is empty")),
        ("actions:\n  a:\n    run: [x]", (3, "actions.a.run", "expected text")),
        ("actions:\n  a:\n    run: 12.5", (3, "actions.a.run", "expected text")),
        ("actions:\n  a:\n    run: true", (3, "actions.a.run", "expected text")),
        ('actions:\n  a:\n    run: "x\\0"', (3, "actions.a.run", "holds a character")),
        ("actions:\n  a:\n    run: x\n    needs: b", (4, "actions.a.needs", "expected a list")),
        ("actions:\n  a:\n    run: x\n    needs: {b: c}", (4, "actions.a.needs", "expected a list")),
        ("actions:\n  a:\n    run: x\n    needs: [[b]]", (4, "actions.a.needs", "expected the name")),
        ("actions:\n  a:\n    run: x\n    needs: [~]", (4, "actions.a.needs", "expected the name")),
        (
            "actions:\n  a:\n    run: x\n    needs: [b]",
            (4, "actions.a.needs", "needs 'b', which is no action"),
        ),
        (
            "actions:\n  a:\n    run: x\n    needs: [run_all]",
            (4, "actions.a.needs", "`run_all` can't be needed"),
        ),
        ("actions:\n  a: {run: x}\n  <<: 3", (3, "actions.<<", "`<<` merges mappings only")),
    ],
)
def test_one_fault(text: str, expected: tuple[int, str, str]) -> None:
    [(line, key, message)] = faults(text)
    assert (line, key) == expected[:2]
    assert message.startswith(expected[2])


def test_a_need_named_twice() -> None:
    [found] = faults("actions:\n  b: {run: x}\n  a:\n    run: x\n    needs:\n    - b\n    - b\n")
    assert found == (7, "actions.a.needs", "needs 'b' twice")


def test_a_long_number_is_judged_without_backtracking() -> None:
    [(_, _, message)] = faults(f"actions: {{a: {{run: {'0' * 900_000}z}}}}")
    assert message == f"900001 bytes; at most {pipeline.MAX_RUN_BYTES} are allowed"


def test_quoted_words_are_text() -> None:
    assert read("actions: {a: {run: 'true'}}").actions["a"].run == "true"


def test_every_fault_is_told_and_counted() -> None:
    text = "actions:\n  a b:\n    run: x\n  c:\n    needs: [d, e]\n  f:\n    run: 3\n"
    assert [line for line, _, _ in faults(text)] == [2, 5, 5, 4, 7]
    with pytest.raises(Error, match=r"^project.yaml:2: .*\(and 4 more faults\)$"):
        read(text)


@pytest.mark.parametrize(
    ("needs", "cycles"),
    [
        ({"a": "a"}, [(2, "a -> a")]),
        ({"a": "b", "b": "a"}, [(2, "a -> b -> a")]),
        ({"x": "a", "a": "b", "b": "c", "c": "a"}, [(3, "a -> b -> c -> a")]),
        ({"a": "b", "b": "a", "c": "d", "d": "c"}, [(2, "a -> b -> a"), (4, "c -> d -> c")]),
        ({"x": "b, a", "b": "c", "c": "b", "a": "x"}, [(3, "b -> c -> b"), (2, "x -> a -> x")]),
    ],
)
def test_cycles_are_named(needs: dict[str, str], cycles: list[tuple[int, str]]) -> None:
    text = "actions:\n" + "".join(f"  {name}: {{run: x, needs: [{n}]}}\n" for name, n in needs.items())
    told = [(line, message.removeprefix("actions need each other: ")) for line, _, message in faults(text)]
    assert told == cycles


def test_sizes() -> None:
    assert (pipeline.MAX_ACTIONS, pipeline.MAX_RUN_BYTES, pipeline.MAX_TOTAL_BYTES) == (1000, 16_384, 524_288)
    long_name = "a" * 128
    assert read(f"actions: {{{long_name}: {{run: {'x' * pipeline.MAX_RUN_BYTES}}}}}").unknown([long_name]) == ()
    assert faults(f"actions: {{{long_name}a: {{run: x}}}}")[0][2].startswith("'aaa")
    # two bytes each in UTF-8
    [(_, _, message)] = faults(f"actions: {{a: {{run: {'é' * (pipeline.MAX_RUN_BYTES // 2)}x}}}}")
    assert message == f"{pipeline.MAX_RUN_BYTES + 1} bytes; at most {pipeline.MAX_RUN_BYTES} are allowed"
    assert len(read(chain(pipeline.MAX_ACTIONS)).actions) == pipeline.MAX_ACTIONS + 1
    [(_, key, message)] = faults(chain(pipeline.MAX_ACTIONS + 1))
    assert (key, message) == ("actions", f"more than {pipeline.MAX_ACTIONS} actions")


FEWER = ", ".join(f"k{at}: 1" for at in range(pipeline.MAX_ACTIONS - 1))


def test_too_many_keys_are_not_meant() -> None:
    assert list(read(f"{{{FEWER}, actions: {{a: {{run: x}}}}}}").actions) == ["a", "run_all"]
    more = f"{FEWER}, more: 1, most: 1"
    assert faults(f"{{{more}}}") == [(1, "", f"more than {pipeline.MAX_ACTIONS} keys")]
    assert faults(f"actions:\n  a: {{{more}}}") == [(2, "actions.a", f"more than {pipeline.MAX_ACTIONS} keys")]
    assert len(read(f"actions: {{a: {{run: x}}, b: {{{FEWER}, run: x}}}}").actions) == 3
    many = ", ".join("a" for _ in range(pipeline.MAX_ACTIONS + 1))
    assert faults(f"actions: {{a: {{run: x}}, b: {{run: x, needs: [{many}]}}}}") == [
        (1, "actions.b.needs", f"{pipeline.MAX_ACTIONS + 1} needs; at most {pipeline.MAX_ACTIONS} are allowed")
    ]


def test_run_all_is_not_counted_as_an_action() -> None:
    needs = chain(pipeline.MAX_ACTIONS) + "  run_all: {needs: [a0]}\n"
    assert len(read(needs).actions) == pipeline.MAX_ACTIONS + 1


def test_merged_mappings_are_counted_too() -> None:
    """Each by itself is small; `<<` lets few of them name many."""
    parts = "".join(f"p{n}: &p{n} {{{', '.join(f'k{n}_{at}: 1' for at in range(300))}}}\n" for n in range(4))
    text = parts + "actions:\n  a: {run: x, <<: [*p0, *p1, *p2, *p3]}\n"
    assert faults(text) == [(6, "actions.a", f"more than {pipeline.MAX_ACTIONS} keys")]
    assert read(text.replace(", *p2, *p3", "")).actions["a"].run == "x"
    assert read(text.replace(", *p1, *p2, *p3", ", *p0, *p0")).actions["a"].run == "x"


def test_a_key_that_merges_itself_through_others_ends() -> None:
    inner = Mapping(((Scalar("run", True, 3), Scalar("x", True, 3)),), 3)
    entries: tuple[tuple[Scalar, Node], ...] = tuple(
        (Scalar("<<", True, 2), inner) if at == 0 else (Scalar(f"k{at}", True, 2), inner) for at in range(2)
    )
    top = Mapping(((Scalar("actions", True, 1), Mapping(((Scalar("a", True, 2), Mapping(entries, 2)),), 2)),), 1)
    assert parse(top).actions["a"].run == "x"


def test_mappings_that_are_merged_twice_are_read_once() -> None:
    """Each of thirty names the one before it twice: a thousand million, if one followed them all."""
    parts = "b0: &b0 {run: x}\n" + "".join(f"b{n}: &b{n} {{<<: [*b{n - 1}, *b{n - 1}]}}\n" for n in range(1, 31))
    assert read(f"{parts}actions:\n  a: *b30\n").actions["a"].run == "x"


def test_outputs_are_no_part_of_what_an_action_is() -> None:
    assert Action((), "x", {"low": {"a": "b"}}) == Action((), "x")


def test_a_quoted_merge_key_is_a_key() -> None:
    assert faults("actions:\n  a: {'<<': {run: x}}\n") == [(2, "actions.a.run", "there is no `run`")]


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


@pytest.mark.parametrize(
    "run", ["1", "-1", "+1", "1.5", ".5", "1e5", "-1.5e-3", "1_000", "True", "FALSE", "0", "1.", "1E+5", "true", "TRUE"]
)
def test_what_yaml_takes_for_something_else_is_no_command(run: str) -> None:
    assert [fault[2] for fault in faults(f"actions: {{a: {{run: {run}}}}}")] == ["expected text, a command"]
    assert read(f"actions: {{a: {{run: '{run}'}}}}").actions["a"].run == run


@pytest.mark.parametrize("run", ["1x", "e5", "x 1", "truest", "-", "1.2.3", "1e", "._"])
def test_what_looks_like_a_number_and_is_none_is_a_command(run: str) -> None:
    assert read(f"actions: {{a: {{run: {run}}}}}").actions["a"].run == run


def test_long_names_are_shortened_in_what_is_told() -> None:
    name = "b" * 64
    assert faults(f"actions: {{a: {{run: x, needs: [{name}]}}}}")[0][2] == (
        f"needs '{name}', which is no action of this file"
    )
    assert faults(f"actions: {{a: {{run: x, needs: [{name}b]}}}}")[0][2] == (
        f"needs '{'b' * 61}...', which is no action of this file"
    )
    assert faults(f"actions: {{{'b' * 129}: {{run: x}}}}")[0][1] == f"actions.{'b' * 61}..."


@pytest.mark.parametrize(("count", "rest"), [(1, ""), (2, " (and 1 more fault)"), (3, " (and 2 more faults)")])
def test_the_first_fault_is_the_message_and_the_others_are_counted(count: int, rest: str) -> None:
    text = "actions:\n" + "".join(f"  a{at}: x\n" for at in range(count))
    with pytest.raises(Error) as caught:
        read(text)
    assert str(caught.value) == f"project.yaml:2: actions.a0: expected a mapping with `run`{rest}"


@pytest.mark.parametrize(("more", "said"), [(0, 999), (1, 1000), (2, 1001)])
def test_too_many_faults_are_counted_exactly(more: int, said: int) -> None:
    """The first is the message; what is not shown is one line, and counted."""
    names = ", ".join(f"z{at}" for at in range(500))
    last = ", ".join(f"z{at}" for at in range(500 + more))
    with pytest.raises(Error) as caught:
        read(f"actions: {{a: {{run: x, needs: [{names}]}}, b: {{run: x, needs: [{last}]}}}}")
    assert str(caught.value).endswith(f"(and {said} more faults)")
    assert len(caught.value.faults) == pipeline.MAX_FAULTS + bool(more)
    assert (caught.value.faults[-1].message == f"{more} more faults are not shown") is bool(more)


def test_aliases_can_not_blow_a_file_up() -> None:
    body = f"body: &b {{run: '{'x' * 16000}'}}\nactions:\n" + "".join(f"  a{i}: *b\n" for i in range(100))
    [(line, _, message)] = faults(body)
    assert line == 0
    assert message.endswith(f"at most {pipeline.MAX_TOTAL_BYTES} are allowed")
    wide = f"n: &n [{', '.join(f'z{i}' for i in range(1000))}]\nactions:\n"
    told = faults(wide + "".join(f"  a{i}: {{run: x, needs: *n}}\n" for i in range(50)))
    assert len(told) == pipeline.MAX_FAULTS + 1
    assert told[-1][2] == f"{50 * 1000 - pipeline.MAX_FAULTS} more faults are not shown"


def test_closure_of_a_long_chain() -> None:
    found = read(chain(1000))
    assert found.closure(["a0"]) == tuple(f"a{i}" for i in reversed(range(1000)))
    assert found.closure(["run_all"]) == found.closure(["a0"])


def test_closure_and_unknown_actions() -> None:
    found = read(REAL)
    assert found.closure([]) == ()
    assert found.closure(["plot.v2", "describe"]) == ("generate_cohort", "describe", "plot.v2")
    assert found.unknown(["x", "describe", "run_all", "x", "y"]) == ("x", "y")
    with pytest.raises(Error, match="Unknown actions: x, y") as caught:
        found.closure(["describe", "x", "y"])
    assert caught.value.code is Code.INVALID


def test_documents() -> None:
    found = read(REAL)
    document = found.as_document()
    assert document["describe"] == {
        "needs": ["generate_cohort"],
        "run": "python:latest python analysis/describe.py --rows 10",
    }
    assert list(document) == list(found.actions)
    assert document["run_all"] == {"needs": ["generate_cohort", "describe", "plot.v2"], "run": ""}


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
        assert set(found.closure(["run_all"])) <= set(found.actions)
        assert found.unknown(need for action in found.actions.values() for need in action.needs) == ()
