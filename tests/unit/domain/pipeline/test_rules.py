"""What OpenSAFELY's runners would say of a project.yaml: a fault with its place in version 5, a warning in older files.

That the verdicts are theirs, tests/integration/service/studies/test_judge.py shows; here is how each is told.
"""

import pytest

from tests.unit.domain.pipeline.files import faults, read

SOUND = """\
version: '5.0'
actions:
  a:
    run: python:v2 a.py
    config: {rows: 10}
    dummy_data_file: dummy.csv
    outputs:
      highly_sensitive: {rows: output/rows.rds}
      moderately_sensitive: {table: output/table.csv}
      minimally_sensitive:
  b:
    run: ehrql:v1 generate-dataset b.py --output output/b.rds
    needs: [a]
    outputs: {highly_sensitive: {b: output/b.rds}}
"""
RUN, FILE = "actions.a.run", "actions.a.outputs.moderately_sensitive.table"
LEVELS = "highly_sensitive, moderately_sensitive, minimally_sensitive"
CASES = [
    ("version: '5.0'", "version: five", (1, "version", "expected a number: expected `version: '5.0'`")),
    ("version: '5.0'", "version: [5]", (1, "version", "expected a number")),
    ("version: '5.0'", "version: .nan", (1, "version", "expected a number")),
    ("    outputs: {h", "outputs: {h", (14, "outputs", "unknown key; expected one of: version, actions")),
    ("  b:\n    run: e", "b:\n    run: e", (11, "b", "unknown key; it looks like an action: should it be")),
    ("  b:", "  run_all:", (11, "actions.run_all", "`run_all` means every action")),
    ("config:", "confg:", (5, "actions.a.confg", "unknown key; expected one of: run, needs, outputs, config, d")),
    ("config: {rows: 10}", "config: [10]", (5, "actions.a.config", "expected a mapping")),
    ("dummy_data_file: dummy.csv", "dummy_data_file: 1", (6, "actions.a.dummy_data_file", "expected text, a path")),
    ("python:v2 a.py", "python a.py", (4, RUN, "'python' is not an image with a version; expected")),
    ("python:v2 a.py", "python:2 a.py", (4, RUN, "'python:2' is not an image with a version")),
    ("python:v2 a.py", "python:latest a.py", (4, RUN, "'python:latest' is no longer supported; expected a")),
    ("python:v2 a.py", "cohortextractor:v1 a", (4, RUN, "cohortextractor is no longer supported; expected ehrql")),
    ("python:v2 a.py", "python:v2 'a.py", (4, RUN, "cannot be read as a command: is a quote missing?")),
    ("outputs: {highly_sensitive: {b: output/b.rds}}", "x: 1", (14, "actions.b.x", "unknown key")),
    ("{highly_sensitive: {b: output/b.rds}}", "[b]", (14, "actions.b.outputs", "expected a mapping of levels")),
    ("moderately_sensitive: {", "moderatly_sensitive: {",
     (9, "actions.a.outputs.moderatly_sensitive", "unknown level; did you mean moderately_sensitive?")),
    ("moderately_sensitive: {", "x: {",
     (9, "actions.a.outputs.x", f"unknown level; expected one of: {LEVELS}")),
    ("{table: output/table.csv}", "output/table.csv",
     (9, "actions.a.outputs.moderately_sensitive", "expected a mapping of names to paths")),
    ("output/table.csv", "1.5", (9, FILE, "expected text, a path")),
    ("output/table.csv", "[a]", (9, FILE, "expected text, a path")),
    ("output/table.csv", "'output\\table.csv'", (9, FILE, "'output\\\\table.csv' has a backslash")),
    ("output/table.csv", "output/**/a.csv", (9, FILE, "'output/**/a.csv' has **; only * is allowed")),
    ("output/table.csv", "output/table", (9, FILE, "'output/table' has no file type; expected one at its end")),
    ("output/table.csv", "output/table.rds", (9, FILE, "'output/table.rds' can't be moderately_sensitive")),
    ("output/table.csv", "/output/table.csv", (9, FILE, "'/output/table.csv' is absolute")),
    ("output/table.csv", "c:/table.csv", (9, FILE, "'c:/table.csv' is absolute")),
    ("output/table.csv", "output/../table.csv", (9, FILE, "'output/../table.csv' is not a plain path")),
    ("output/table.csv", "metadata/table.csv", (9, FILE, "'metadata/table.csv' is in metadata/")),
    ("{b: output/b.rds}", "{b: output/b.rds, c: output/b.rds}",
     (14, "actions.b.outputs.highly_sensitive.c", "'output/b.rds' is already an output of 'b'")),
    ("{highly_sensitive: {b: output/b.rds}}", "{moderately_sensitive: {b: output/b.csv}}",
     (11, "actions.b.outputs", "a dataset is highly_sensitive; expected no output of another level")),
    (" --output output/b.rds", "", (11, "actions.b.outputs", "the command has no --output")),
    (" --output output/b.rds", " --output", (11, "actions.b.outputs", "the command has no --output")),
    ("--output output/b.rds", "--output=c.rds", (11, "actions.b.outputs", "no output has the path of --output, c.rds")),
    ("--output output/b.rds", "--output output/:csv",
     (11, "actions.b.outputs", "--output says output/:csv; expected outputs like output/*.csv")),
    ("needs: [a]", "needs: [1]", (13, "actions.b.needs", "YAML does not read this as text")),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "expected"), CASES)
def test_a_problem_is_reported_with_its_line_and_key(old: str, new: str, expected: tuple[int, str, str]) -> None:
    assert SOUND.count(old) == 1
    told = faults(SOUND.replace(old, new))
    assert [one for one in told if one[:2] == expected[:2] and one[2].startswith(expected[2])], told


OLDER = [one for one in CASES if "no longer" not in one[2][2] and "expected a number" not in one[2][2]]


@pytest.mark.parametrize(("old", "new", "expected"), OLDER)
def test_in_an_older_file_it_is_a_warning(old: str, new: str, expected: tuple[int, str, str]) -> None:
    text = SOUND.replace(old, new).replace("'5.0'", "'4.0'")
    if "needs: [1]" in text:
        text = text.replace("  a:\n", "  1:\n")
    told = [(one.line, one.key, one.message) for one in read(text).warnings]
    assert told[0] == (1, "version", "OpenSAFELY's runners read version 5 only, and not version 4")
    place = expected[1].replace("actions.a.", "actions.1.") if "needs: [1]" in text else expected[1]
    assert [one for one in told if one[:2] == (expected[0], place) and one[2].startswith(expected[2])], told


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("'5.0'", "6", ["1: version: version 6 is not known; expected `version: '5.0'`"]),
        ("python:v2", "python:v1", ["4: actions.a.run: python:v1 will soon not be supported; use python:v2"]),
        ("needs: [a]", "needs: [a, a]", ["13: actions.b.needs: needs 'a' twice"]),
        ("  b:", "  1:", ["11: actions.1: YAML does not read this as text: put it in quotes"]),
        ("--output output/b.rds", "--output=output/:rds", []),
        ("  b:", "  '1':", []),
    ],
)
def test_a_doubtful_part_is_a_warning(old: str, new: str, expected: list[str]) -> None:
    found = read(SOUND.replace(old, new))
    assert [str(fault).removeprefix("project.yaml:") for fault in found.warnings] == expected
    assert len(found.actions) == 2


def test_a_sound_file_has_no_warning() -> None:
    assert read(SOUND).warnings == ()


def test_the_same_command_twice() -> None:
    text = SOUND.replace("ehrql:v1 generate-dataset b.py --output output/b.rds", "python:v2 a.py")
    assert faults(text) == [(12, "actions.b.run", "'a' already runs the same command")]


def test_version_5_needs_outputs() -> None:
    text = "version: '5.0'\nactions:\n  a:\n    run: python:v2 a.py\n"
    assert faults(text) == [(3, "actions.a.outputs", "`outputs` is missing")]
    for none in ("{}", "{highly_sensitive: }"):
        assert faults(f"{text}    outputs: {none}\n") == [
            (5, "actions.a.outputs", f"no outputs; expected at least one of: {LEVELS}")
        ]


def test_expectations_are_of_older_files() -> None:
    text = SOUND.replace("actions:", "expectations: {population_size: 10}\nactions:")
    assert [one.key for one in read(text.replace("'5.0'", "'3.0'")).warnings] == ["version"]
    assert faults(text) == [(2, "expectations", "unknown key; expected one of: version, actions")]


def test_warnings_are_limited() -> None:
    files = ", ".join(f"f{n}: x" for n in range(300))
    text = SOUND.replace("'5.0'", "'4.0'").replace("{rows: output/rows.rds}", f"{{{files}}}")
    assert len(read(text).warnings) == 100
