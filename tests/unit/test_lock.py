"""requirements.lock is what pyproject.toml asks for, and nothing is installed that is not named by its hash."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


def entries() -> dict[str, str]:
    """Versions by canonical name."""
    lines = re.findall(r"^([A-Za-z0-9._-]+)==([^ ;]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in lines}


def asked() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [Requirement(text) for text in (*project["dependencies"], *project["optional-dependencies"]["dev"])]


def test_every_dependency_is_locked_at_a_version_that_it_allows() -> None:
    locked = entries()
    wrong = [str(one) for one in asked() if locked.get(canonicalize_name(one.name), "0") not in one.specifier]
    assert wrong == []


def test_every_dependency_has_an_upper_bound() -> None:
    open_ended = [one.name for one in asked() if not any(bound.operator in ("<", "==") for bound in one.specifier)]
    assert open_ended == ["setuptools"]  # only builds; any newer one will do


def test_every_locked_file_has_its_hash() -> None:
    text = re.sub(r"^#.*\n", "", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE)
    blocks = re.split(r"\n(?=\S)", text.strip())
    assert [block for block in blocks if "--hash=sha256:" not in block] == []
