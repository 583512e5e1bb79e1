"""How large project.yaml and each part of it may be, and that what names itself over and over ends."""

import shlex

import pytest

from jobserver.domain.base.yaml_positions import Mapping, Node, Scalar
from jobserver.domain.pipeline import reader
from jobserver.domain.pipeline.reader import parse
from jobserver.errors import MAX_FAULTS
from tests.unit.domain.pipeline.files import chain, faults, read


def test_a_long_number_is_judged_without_backtracking() -> None:
    [(_, _, message)] = faults(f"actions: {{a: {{run: {'0' * 900_000}z}}}}")
    assert message == f"900001 bytes; at most {reader.MAX_RUN_BYTES} are allowed"


def test_names_and_commands_have_largest_sizes() -> None:
    assert (reader.MAX_ACTIONS, reader.MAX_RUN_BYTES, reader.MAX_TOTAL_BYTES) == (20_000, 16_384, 8_388_608)
    long_name = "a" * 128
    assert read(f"actions: {{{long_name}: {{run: {'x' * reader.MAX_RUN_BYTES}}}}}").unknown([long_name]) == ()
    assert faults(f"actions: {{{long_name}a: {{run: x}}}}")[0][2].startswith("'aaa")
    # two bytes each in UTF-8
    [(_, _, message)] = faults(f"actions: {{a: {{run: {'é' * (reader.MAX_RUN_BYTES // 2)}x}}}}")
    assert message == f"{reader.MAX_RUN_BYTES + 1} bytes; at most {reader.MAX_RUN_BYTES} are allowed"


def test_actions_are_counted_without_run_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_ACTIONS", 30)
    assert len(read(chain(30)).actions) == 30
    assert len(read(chain(30) + "  run_all: {needs: [a0]}\n").actions) == 30
    assert [(key, message) for _, key, message in faults(chain(31))] == [("actions", "more than 30 actions")]


@pytest.mark.parametrize("what", ["merges", "needs", "outputs"])
def test_a_part_that_is_named_again_counts_again(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file once took half a minute: each part is named by all the others."""
    many = 120
    monkeypatch.setattr(reader, "MAX_VALUES", 10_000)
    if what == "merges":
        parts = "".join(f"p{n}: &p{n} {{k{n}: 1}}\n" for n in range(many))
        parts += f"all: &all {{<<: [{', '.join(f'*p{n}' for n in range(many))}]}}\nactions:\n"
        text = parts + "".join(f"  a{n}: {{run: x, <<: *all}}\n" for n in range(many))
    else:
        names = ", ".join(f"a{n}" if what == "needs" else f"f{n}: output/f{n}.csv" for n in range(many))
        shared = f"s: &s {f'[{names}]' if what == 'needs' else f'{{highly_sensitive: {{{names}}}}}'}\nactions:\n"
        text = shared + "".join(f"  a{n}: {{run: x, {what}: *s}}\n" for n in range(many))
    assert faults(text)[-1][2] == f"more than {reader.MAX_VALUES} values, with merges and aliases followed"


ENDS = f"more than {reader.MAX_VALUES} values, with merges and aliases followed"


@pytest.mark.parametrize("part", ["run: &r {}", "run: python:v2 a, outputs: {{highly_sensitive: {{a: {}}}}}"])
def test_long_text_that_is_named_again_counts_by_its_length(part: str) -> None:
    """A megabyte that 20,000 actions share was looked through 20,000 times."""
    text = f"x: &x {{{part.format('a' * 1_000_000)}}}\nactions:\n"
    assert faults(text + "".join(f"  a{n}: *x\n" for n in range(500)))[-1][2] == ENDS


def test_parts_that_no_action_uses_count_as_well() -> None:
    """200 KiB took seven seconds: each key's mapping was searched for something that looks like an action."""
    shared = f"b: &b {{{', '.join(f'k{n}: 1' for n in range(2000))}}}\nactions:\n  a: {{run: x}}\n"
    assert faults(shared + "".join(f"u{n}: *b\n" for n in range(2000)))[-1][2] == ENDS


def test_a_command_is_taken_apart_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """18 KiB took a second: two hundred actions shared a command of 16 KiB in quotes."""
    taken: list[str] = []
    split = shlex.split
    monkeypatch.setattr(shlex, "split", lambda text: taken.append(text) or split(text))
    shared = "x: &x {run: \"python:v2 'a'\"}\nactions:\n"
    assert len(read(shared + "".join(f"  a{n}: *x\n" for n in range(200))).actions) == 200
    assert taken == ["python:v2 'a'"]


def test_the_largest_honest_file_is_far_from_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are a tenth of what they are: a file of 8 MB takes seconds."""
    actions = reader.MAX_ACTIONS // 10
    monkeypatch.setattr(reader, "MAX_VALUES", reader.MAX_VALUES // 10)
    action = "  action_number_{0}:\n    run: python:v2 analysis/part_{0}.py {1}\n    outputs:\n"
    action += "      moderately_sensitive: {{a: output/{0}/a.csv, b: output/{0}/b.csv, c: output/{0}/c.csv}}\n"
    text = "".join(action.format(n, "--option value " * 14) for n in range(10_000, 10_000 + actions))
    assert 0.9 < 10 * len(text) / reader.MAX_FILE_BYTES < 1
    assert len(read(f"actions:\n{text}").actions) == actions


def test_keys_that_nobody_reads_may_be_many() -> None:
    body = ", ".join(f"k{at}: 1" for at in range(5000))
    found = read(f"actions: {{a: {{run: x, {body}}}}}")
    assert len(found.warnings) == reader.MAX_FAULTS


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


def test_aliases_can_not_blow_a_file_up() -> None:
    body = f"body: &b {{run: '{'x' * 16000}'}}\nactions:\n" + "".join(f"  a{i}: *b\n" for i in range(600))
    [(line, _, message)] = faults(body)
    assert line == 0
    assert message.endswith(f"at most {reader.MAX_TOTAL_BYTES} are allowed")
    wide = f"n: &n [{', '.join(f'z{i}' for i in range(1000))}]\nactions:\n"
    told = faults(wide + "".join(f"  a{i}: {{run: x, needs: *n}}\n" for i in range(50)))
    assert len(told) == MAX_FAULTS + 1
    assert told[-1][2] == f"{50 * 1000 - MAX_FAULTS} more faults are not shown"


def test_closure_of_a_long_chain() -> None:
    found = read(chain(1000))
    assert found.closure(["a0"]) == tuple(f"a{i}" for i in reversed(range(1000)))
    assert found.closure(["run_all"]) == found.closure(["a0"])
