"""What project.yaml may not say, and how that is told: the line, the key, and every fault."""

import pytest

from jobserver.errors import MAX_FAULTS, Error
from tests.unit.domain.pipeline.files import faults, read


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (0, "", "the file is empty")),
        ("[]", (1, "", "expected a mapping with `actions`")),
        ("text", (1, "", "expected a mapping with `actions`")),
        ("version: 3", (1, "actions", "`actions` is missing")),
        ("actions:", (1, "actions", "`actions` is empty")),
        ("actions: {}", (1, "actions", "`actions` is empty")),
        ("actions: [a]", (1, "actions", "expected a mapping of action names")),
        ("actions:\n  run_all: {run: x}", (1, "actions", "`run_all` is the only action")),
        ("actions:\n  a b: {run: x}", (2, "actions.a b", "'a b' is not an action name")),
        ("actions:\n  -a: {run: x}", (2, "actions.-a", "'-a' is not an action name")),
        ('actions:\n  "a\\n": {run: x}', (2, "actions.a\n", "'a\\n' is not an action name")),
        ("actions:\n  a:", (2, "actions.a", "expected a mapping with `run`")),
        ("actions:\n  a: x", (2, "actions.a", "expected a mapping with `run`")),
        ("actions:\n  a: {needs: []}", (2, "actions.a.run", "`run` is missing")),
        ("actions:\n  a:\n    run:", (3, "actions.a.run", "`run` is empty")),
        ("actions:\n  a:\n    run: '  '", (3, "actions.a.run", "`run` is empty")),
        ("actions:\n  a:\n    run: [x]", (3, "actions.a.run", "expected text")),
        ("actions:\n  a:\n    run: 12.5", (3, "actions.a.run", "expected text")),
        ("actions:\n  a:\n    run: true", (3, "actions.a.run", "expected text")),
        ('actions:\n  a:\n    run: "x\\0"', (3, "actions.a.run", "has a character")),
        ("actions:\n  a:\n    run: x\n    needs: b", (4, "actions.a.needs", "expected a list")),
        ("actions:\n  a:\n    run: x\n    needs: {b: c}", (4, "actions.a.needs", "expected a list")),
        ("actions:\n  a:\n    run: x\n    needs: [[b]]", (4, "actions.a.needs", "expected the name")),
        ("actions:\n  a:\n    run: x\n    needs: [~]", (4, "actions.a.needs", "expected the name")),
        (
            "actions:\n  a:\n    run: x\n    needs: [b]",
            (4, "actions.a.needs", "needs 'b', which is not an action"),
        ),
        (
            "actions:\n  a:\n    run: x\n    needs: [run_all]",
            (4, "actions.a.needs", "an action cannot need `run_all`"),
        ),
        ("actions:\n  a: {run: x}\n  <<: 3", (3, "actions.<<", "`<<` merges mappings only")),
    ],
)
def test_a_fault_has_its_line_key_and_message(text: str, expected: tuple[int, str, str]) -> None:
    [(line, key, message)] = faults(text)
    assert (line, key) == expected[:2]
    assert message.startswith(expected[2])


def test_a_need_named_twice_counts_once() -> None:
    found = read("actions:\n  b: {run: x}\n  a:\n    run: x\n    needs:\n    - b\n    - b\n")
    assert found.actions["a"].needs == ("b",)
    assert (7, "needs 'b' twice") in [(fault.line, fault.message) for fault in found.warnings]


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
def test_actions_that_need_each_other_are_named(needs: dict[str, str], cycles: list[tuple[int, str]]) -> None:
    text = "actions:\n" + "".join(f"  {name}: {{run: x, needs: [{n}]}}\n" for name, n in needs.items())
    told = [(line, message.removeprefix("actions need each other: ")) for line, _, message in faults(text)]
    assert told == cycles


def test_a_quoted_merge_key_is_a_key() -> None:
    assert faults("actions:\n  a: {'<<': {run: x}}\n") == [(2, "actions.a.run", "`run` is missing")]


@pytest.mark.parametrize(
    "run", ["1", "-1", "+1", "1.5", ".5", "1e5", "-1.5e-3", "1_000", "True", "FALSE", "0", "1.", "1E+5", "true", "TRUE"]
)
def test_a_number_or_date_is_no_command(run: str) -> None:
    assert [fault[2] for fault in faults(f"actions: {{a: {{run: {run}}}}}")] == ["expected text, a command"]
    assert read(f"actions: {{a: {{run: '{run}'}}}}").actions["a"].run == run


@pytest.mark.parametrize("run", ["1x", "e5", "x 1", "truest", "-", "1.2.3", "1e", "._"])
def test_text_that_only_looks_like_a_number_is_a_command(run: str) -> None:
    assert read(f"actions: {{a: {{run: {run}}}}}").actions["a"].run == run


def test_long_names_are_shortened_in_what_is_told() -> None:
    name = "b" * 64
    assert faults(f"actions: {{a: {{run: x, needs: [{name}]}}}}")[0][2] == (
        f"needs '{name}', which is not an action in this file"
    )
    assert faults(f"actions: {{a: {{run: x, needs: [{name}b]}}}}")[0][2] == (
        f"needs '{'b' * 61}...', which is not an action in this file"
    )
    assert faults(f"actions: {{{'b' * 129}: {{run: x}}}}")[0][1] == f"actions.{'b' * 61}..."


@pytest.mark.parametrize(("count", "rest"), [(1, ""), (2, " (and 1 more fault)"), (3, " (and 2 more faults)")])
def test_the_first_fault_is_the_message_and_the_others_are_counted(count: int, rest: str) -> None:
    text = "actions:\n" + "".join(f"  a{at}: x\n" for at in range(count))
    with pytest.raises(Error) as caught:
        read(text)
    assert str(caught.value) == f"project.yaml:2: actions.a0: expected a mapping with `run`{rest}"


@pytest.mark.parametrize(("more", "said"), [(0, 99), (1, 100), (2, 101)])
def test_too_many_faults_are_counted_exactly(more: int, said: int) -> None:
    """The first is the message; what is not shown is one line, and counted."""
    names = ", ".join(f"z{at}" for at in range(50))
    last = ", ".join(f"z{at}" for at in range(50 + more))
    with pytest.raises(Error) as caught:
        read(f"actions: {{a: {{run: x, needs: [{names}]}}, b: {{run: x, needs: [{last}]}}}}")
    assert str(caught.value).endswith(f"(and {said} more faults)")
    assert len(caught.value.faults) == MAX_FAULTS + bool(more)
    assert (caught.value.faults[-1].message == f"{more} more faults are not shown") is bool(more)
