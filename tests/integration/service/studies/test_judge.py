"""Of version 5, a project.yaml is refused here if and only if OpenSAFELY's own reader refuses it.

The files are made from rules: a sound study, and each way of spoiling it that either reader knows of, one by one and
in pairs. Where the two differ on purpose, a test of its own says so.
"""

import random
import re
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from jobserver.domain.pipeline import commands
from jobserver.errors import Error
from jobserver.service.studies.base import read_study
from tests.samples import only_whole


def their() -> Any:
    """OpenSAFELY's reader. To import it takes as long as to collect a thousand tests."""
    return pytest.importorskip("opensafely._vendor.pipeline", reason="the dev dependency `opensafely` is not installed")


Study = dict[str, Any]


def sound() -> Study:
    return {
        "version": "5.0",
        "actions": {
            "extract": {
                "run": "ehrql:v1 generate-dataset analysis/dataset.py --output output/dataset.csv.gz",
                "outputs": {"highly_sensitive": {"cohort": "output/dataset.csv.gz"}},
            },
            "measure": {
                "run": "ehrql:v1 generate-measures analysis/measures.py --output=output/measures.csv",
                "outputs": {"moderately_sensitive": {"measures": "output/measures.csv"}},
            },
            "model": {
                "run": 'r:v2 analysis/model.R --title "a b"',
                "needs": ["extract", "measure"],
                "config": {"threshold": 3},
                "outputs": {
                    "highly_sensitive": {"fit": "output/fit.rds"},
                    "moderately_sensitive": {"table": "output/table*.csv", "plot": "output/plot.svg"},
                },
            },
        },
    }


def verdicts(text: str) -> tuple[bool, bool, str]:
    """(ours takes it, theirs takes it, what ours said)."""
    reader, ours, said = their(), True, ""
    try:
        read_study("0" * 40, text.encode())
    except Error as error:
        ours, said = False, str(error)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            reader.load_pipeline(text)
            theirs = True
        except Exception:  # noqa: BLE001 - where it falls over, a study can't run
            theirs = False
    return ours, theirs, said


def at(*keys: str) -> Callable[[Study], Study]:
    def find(study: Study) -> Study:
        for key in keys:
            study = study[key]
        return study

    return find


TOP, ACTIONS = at(), at("actions")
MODEL, MEASURE, EXTRACT = (at("actions", name) for name in ("model", "measure", "extract"))
FILES = at("actions", "model", "outputs", "moderately_sensitive")
HIGH = at("actions", "model", "outputs", "highly_sensitive")
LEVELS = at("actions", "model", "outputs")
GONE = object()
Spoil = tuple[Callable[[Study], Study], str, Any]
VALUES: list[Any] = [None, "", "x", 1, 1.5, True, [], {}, ["x"], {"x": "y"}]
PATHS = [
    *("output/a.csv", "output/*.csv", "a.csv", "output/a.b.csv", "output/.csv", "output/a.", "output/a", "output/a*"),
    *("output/**/a.csv", "output/a?.csv", "output/[a].csv", "output/a.c*", "/output/a.csv", "c:/output/a.csv"),
    *("C:\\a.csv", "../a.csv", "output/../a.csv", "output//a.csv", "./a.csv", "output/a.csv/", "metadata/a.csv"),
    *("metadata", "metadata.csv", "output/metadata/a.csv", "output/a.rds", "output/a.feather", "output/a.CSV"),
    *("output/a.html", "output/a.md", "output/a.csv.gz", "output/table*.csv", "output/fit.rds", "a b.csv", "é.csv"),
    *("c:a.csv", "//a/b.csv", "..csv", "output/a b/c.txt"),
]
RUNS = [
    *("python:v2 a.py", "python a.py", "python:latest a.py", "python:v1 a.py", "r:v1 a.R", "python:dev a.py", "python"),
    *("python:v2", "python:2 a.py", "python:v2-pre a.py", "python:v2.1 a.py", "python:v a.py", "python:v2:v3 a.py"),
    *(":v2 a.py", "python: v2", "stata-mp:v1 a.do", "cohortextractor:latest generate_cohort", "  ", "python:v2 'a"),
    *("cohortextractor:v1 generate_cohort", 'python:v2 "a b" \\', "python:v2 a.py # 'x", "'python:v2' a.py", "r:vé a"),
    *("ehrql:v1 generate-dataset a.py", "ehrql:v1 generate-dataset a.py --output", "ehrql:v1 assure a.json"),
    *("ehrql:v1 generate-dataset a.py --output output/else.csv", "ehrql:v1 generate_measures a.py --output x.csv"),
    *("ehrql:v1 generate-measures a.py --output output/table*.csv", "ehrql:v1  generate-dataset a.py"),
    *(
        "ehrql:v1 generate-measures a.py --output output/measures/:csv",
        "ehrql:v1 generate-dataset --output=output/:rds",
    ),
    *("ehrql:v1 generate-measures a.py --output output/table:csv", "databuilder:v1 generate-dataset --output a.csv"),
    *("ehrql:v1 generate-measures a.py --output output/:rds", "python:v2 a.py --output x", "R:v2 a.R", "r:v2 a.R\n"),
]
SPOILS: list[Spoil] = [
    *((TOP, "version", value) for value in (5, 5.0, "5", " 5.0 ", "6", 7, "five", "", [5], {"a": 5})),
    *((TOP, key, {"run": "python:v2 x.py"}) for key in ("lost", "expectations")),
    *((TOP, "actions", value) for value in (GONE, *VALUES) if value != {}),
    *((ACTIONS, "run_all", value) for value in ({"run": "python:v2 all.py", "outputs": {}}, {"needs": ["model"]})),
    *((ACTIONS, "more", value) for value in VALUES),
    *((MODEL, key, value) for key in ("run", "needs", "outputs", "config", "dummy_data_file") for value in VALUES),
    *((MODEL, key, GONE) for key in ("run", "needs", "outputs", "config")),
    *((MODEL, "needs", value) for value in (["else"], ["extract", "extract"], ["extract measure"], ["a b"], [1])),
    *((MODEL, key, value) for key in ("output", "need", "nedds") for value in ("x", {"run": "python:v2 x"})),
    *((LEVELS, key, value) for key in ("moderately_sensitive", "highly_sensitive") for value in (GONE, *VALUES)),
    *((LEVELS, key, {"x": "output/x.csv"}) for key in ("moderatly_sensitive", "minimally_sensitive", "secret")),
    *((FILES, "table", value) for value in (GONE, *VALUES, *PATHS)),
    *((HIGH, "fit", value) for value in PATHS),
    *((MODEL, "run", run) for run in RUNS),
    *((MODEL, "run", same(sound())["run"]) for same in (EXTRACT, MEASURE)),
    *((EXTRACT, "outputs", {level: {"a": path}}) for level in ("highly_sensitive", "moderately_sensitive")
      for path in ("output/dataset.csv.gz", "output/x.csv")),
    *((EXTRACT, "outputs", value) for value in ({"highly_sensitive": {}}, {"highly_sensitive": None},
      {"highly_sensitive": {"a": "output/dataset.csv.gz"}, "minimally_sensitive": {}})),
    *((MEASURE, "run", run) for run in RUNS),
]  # fmt: skip


def spoiled(*spoils: Spoil) -> str | None:
    study = sound()
    for find, key, value in spoils:
        try:
            where = find(study)
            if value is GONE:
                where.pop(key, None)
            else:
                where[key] = value
        except (KeyError, TypeError, AttributeError):
            return None  # the other one took its place away
    return yaml.safe_dump(study, sort_keys=False, allow_unicode=True)


def files() -> list[str]:
    chance = random.Random(5)
    single = [spoiled(one) for one in SPOILS]
    pairs = [spoiled(*chance.sample(SPOILS, 2)) for _ in range(300)]
    return list(dict.fromkeys(text for text in [spoiled(), *single, *pairs] if text is not None))


@pytest.fixture(scope="module")
def told() -> list[tuple[str, bool, bool, str]]:
    return [(text, *verdicts(text)) for text in files()]


@only_whole
def test_the_verdicts_are_the_same(told: list[tuple[str, bool, bool, str]]) -> None:
    assert len(told) > 500
    assert 60 < sum(theirs for _, _, theirs, _ in told) < len(told) - 60
    assert [f"{said}\n{text}" for text, ours, theirs, said in told if ours != theirs] == []


def read_by_both(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Which actions, in which order, what each needs (once) and what it runs: (ours, theirs)."""
    ours = read_study("0" * 40, text.encode()).pipeline.as_document()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = their().load_pipeline(text).actions
    needs = {name: list(dict.fromkeys(action.needs)) for name, action in theirs.items()}
    return ours, {name: {"needs": needs[name], "run": action.run.raw} for name, action in theirs.items()}


@only_whole
def test_what_both_accept_they_read_alike(told: list[tuple[str, bool, bool, str]]) -> None:
    accepted = [text for text, ours, theirs, _ in told if ours and theirs]
    read = [(text, *read_by_both(text)) for text in accepted]
    assert [text for text, ours, theirs in read if list(ours.items()) != list(theirs.items())] == []


TWO = """\
version: '5.0'
actions:
  a: &a
    run: python:v2 a.py
    outputs: &o {highly_sensitive: {a: a.rds}}
  b:
    run: python:v2 b.py
    outputs: {highly_sensitive: {a: b.rds}}
"""
WRITTEN = {
    "two actions": TWO,
    "a merged action": TWO.replace("  b:\n", "  b:\n    <<: *a\n"),
    "a merge that brings the same file": TWO.replace("{highly_sensitive: {a: b.rds}}", "{<<: *o}"),
    "the same file by an alias": TWO.replace("{highly_sensitive: {a: b.rds}}", "*o"),
    "a lost indent": re.sub(r"(?m)^  (?=  (run: python:v2 b|outputs: {)|b:)", "", TWO),
    "an action that lost its indent": re.sub(r"(?m)^    (?=run: python:v2 b|outputs: {)", "  ", TWO).replace(
        "  b:", "b:"
    ),
    "a key that lost its indent": TWO.replace("    outputs: {", "  outputs: {"),
    "a key twice": TWO + "version: '5.0'\n",
    "nothing": "",
    "a list": "- a\n",
    "yes is text": TWO.replace("b:", "yes:"),
    "a folded command": TWO.replace("run: python:v2 b.py", "run: >\n      python:v2\n      b.py"),
    **{
        f"a tab: {new!r}": TWO.replace(old, new)
        for old, new in (
            ("b.py", "b.py\t"),
            ("b.py", "b.py\tb"),
            ("b.py", "b.py\t# b"),
            ("b.py", "b.py # a\tb"),
            ("b:", "b:\t"),
            ("  b:", "\t\n  b:"),
            ("run: python:v2 b.py", "run: 'python:v2 b.py\tb'"),
            ("{a: b", "{\ta: b"),
            ("run: python:v2 b.py", "run: >\n      python:v2\tb.py\n      b"),
            ("  b:", "# it's\ta\n  b:"),
            ("run: python:v2 b.py", 'run: "python:v2 b.py # \\t \t"\n    # \''),
            ("run: python:v2 b", "run:\tpython:v2 b"),
        )
    },
    "a date for a file": TWO + "    dummy_data_file: 2020-01-01\n",
    "a time for a path": TWO.replace("b.rds", "2020-01-01 10:00:00.5"),
    "a date for a need": TWO.replace("  a:", "  2020-01-01:") + "    needs: [2020-01-01]\n",
    "a date in quotes": TWO + "    dummy_data_file: '2020-01-01'\n",
    "a number for a path": TWO.replace("b.rds", "1.5"),
    "a number for a name": TWO.replace("b:", "1:"),
}


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN.keys())
def test_project_files_written_by_hand_get_the_runners_verdict(text: str) -> None:
    ours, theirs, said = verdicts(text)
    assert ours == theirs, said


@only_whole
def test_more_than_a_thousand_actions_are_judged_alike() -> None:
    study = sound()
    for number in range(1100):
        outputs = {"highly_sensitive": {"a": f"output/{number}.rds"}}
        study["actions"][f"a{number}"] = {"run": f"python:v2 {number}.py", "outputs": outputs, "needs": ["extract"]}
    assert verdicts(yaml.safe_dump(study, sort_keys=False))[:2] == (True, True)


@pytest.mark.parametrize(
    ("name", "needs", "said"),
    [("a b", [], "not an action name"), ("a/b", [], "not an action name"), ("more", ["more"], "need each other")],
)
def test_these_files_are_refused_by_us_alone(name: str, needs: list[str], said: str) -> None:
    """Names that can be neither a folder's nor a URL's, and needs that no runner comes to the end of."""
    study = sound()
    outputs = {"highly_sensitive": {"a": "output/more.rds"}}
    study["actions"][name] = {"run": "python:v2 more.py", "needs": needs, "outputs": outputs}
    ours, theirs, told = verdicts(yaml.safe_dump(study, sort_keys=False))
    assert (ours, theirs) == (False, True)
    assert said in told


@pytest.mark.parametrize("version", ["", "version:\n", "version: '3.0'\n", "version: 4\n"])
def test_older_files_are_for_runners_that_read_them(version: str) -> None:
    """Ours does. What else is wrong with such a file is a warning."""
    text = TWO.replace("version: '5.0'\n", version).replace("python:v2 b", "python b")
    assert verdicts(text)[:2] == (True, False)
    warned = read_study("0" * 40, text.encode()).pipeline.warnings
    assert [fault.key for fault in warned] == ["version", "actions.b.run"]


@pytest.mark.parametrize("image", ["ehrql", "sqlrunner", "databuilder", "python", "stata-mp"])
@pytest.mark.parametrize(
    "command",
    ["", "generate-dataset d.py", "generate-measures m.py", "generate_cohort", "generate_codelist_report", "'gen' x"],
)
def test_the_runners_say_which_commands_use_the_database(image: str, command: str) -> None:
    run = f"{image}:v1 {command}".strip()
    theirs = their().models.is_database_action(run.split())
    assert (commands.uses_database(run), commands.runner_type(run)) == (theirs, image)


def test_commands_of_older_runners_use_the_database_too() -> None:
    runs = [
        f"cohortextractor:v1 {command} x" for command in ("generate_cohort", "generate_codelist_report", "measures")
    ]
    assert [commands.uses_database(run) for run in runs] == [True, True, False]


def test_a_command_that_cannot_be_read_has_no_runner_type() -> None:
    for run in ("", "  ", "ehrql:v1 'generate-dataset"):
        assert (commands.uses_database(run), commands.runner_type(run)) == (False, "")
