"""What the documents say of the code is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PLACES = re.compile(r"(?<![\w./<-])((?:[a-z_]+/)+[a-z_]*(?:\.[a-z]+)?|[a-z_]+\.py)(?![\w*<])")
ELSEWHERE = ("org/", "orgs/", "and/", "api/v2/", "backends/", "job-requests/")


def named(text: str) -> set[str]:
    """Paths of files and folders between backticks, or in a block of text."""
    blocks = re.findall(r"```\n(.*?)```", text, re.DOTALL)
    ticks = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    found = {place for part in (*blocks, *ticks) for place in PLACES.findall(part)}
    return {place for place in found if not place.startswith(ELSEWHERE) and "//" not in place}


@pytest.fixture(scope="module")
def there() -> set[str]:
    """Each file and folder of the tree, and each end of its path: a reader knows which one is meant."""
    every = [path for folder in ("jobserver", "tests", "docs") for path in (ROOT / folder, *(ROOT / folder).rglob("*"))]
    whole = [f"{path.relative_to(ROOT)}{'/' * path.is_dir()}" for path in (*every, *ROOT.glob("*.*"))]
    parts = [text.strip("/").split("/") for text in whole]
    ends = {"/".join(part[at:]) for part in parts for at in range(len(part))}
    return ends | {f"{end}/" for end in ends}


@pytest.mark.parametrize("name", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_every_path_that_a_document_names_is_there(name: str, there: set[str]) -> None:
    places = named((ROOT / name).read_text())
    assert len(places) > 10
    assert sorted(places - there) == []
