"""A study's project.yaml as the runner reads it."""

import json
import shlex
from pathlib import Path

import pytest

from jobserver.errors import Error
from jobserver.runner.study import read_pipeline

HEAD = """\
version: "3.0"
shared: &shared {depth: 3, name: all}
actions:
  match:
    run: match:v1.2 match.py
    outputs: {moderately_sensitive: {all: o.csv}}
"""


def run_of(folder: Path, config: str) -> str:
    (folder / "project.yaml").write_text(HEAD + config)
    return read_pipeline(folder).actions["match"].run


def test_config_becomes_an_option_of_the_command(tmp_path: Path) -> None:
    """OpenSAFELY's runners hand it to reusable actions as JSON behind --config; this one once left it out."""
    config = "    config: {cases: 'it''s', ratio: 0.5, 'n': '5', on: [yes, null, 2], <<: *shared, name: own}\n"
    words = shlex.split(run_of(tmp_path, config))
    assert words[:3] == ["match:v1.2", "match.py", "--config"]
    assert json.loads(words[3]) == {
        "cases": "it's", "ratio": 0.5, "n": "5", "on": [True, None, 2], "depth": 3, "name": "own"
    }  # fmt: skip


@pytest.mark.parametrize("config", ["", "    config:\n", "    config: {}\n"])
def test_without_config_the_command_is_as_it_stands(tmp_path: Path, config: str) -> None:
    assert run_of(tmp_path, config) == "match:v1.2 match.py"


def test_a_config_that_stands_for_too_much_is_refused(tmp_path: Path) -> None:
    levels = "".join(f"      b{n}: &b{n} [{', '.join([f'*b{n - 1}'] * 10)}]\n" for n in range(1, 9))
    with pytest.raises(Error, match="more than 10000 values, after following aliases") as refused:
        run_of(tmp_path, "    config:\n      b0: &b0 [1]\n" + levels)
    assert refused.value.where == "project.yaml: actions.match.config"
