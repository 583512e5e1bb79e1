"""What the server may write when it imports, and that nobody else may."""

from dataclasses import replace

import pytest

from jobserver.domain.admit import admit
from jobserver.domain.base.permissions import SERVER
from jobserver.domain.base.state import Changes
from jobserver.domain.releases import IMPORTED, Release
from jobserver.errors import Code, Error
from tests.memory import NOW, Memory
from tests.unit.domain.admitting import LAB, PLACE, REQUEST, ROOT, TRENDS, edited, main, prepared, tpp

ORG = main(("orgs/new-org.yaml", None, edited(LAB, slug="new-org")))


@pytest.fixture
def state() -> Memory:
    return prepared()


@pytest.mark.parametrize(
    "changes",
    [
        replace(ORG, event="org.imported"),
        replace(main(("workspaces/trends.yaml", TRENDS, edited(TRENDS, db="slice"))), event="workspace.imported"),
        replace(tpp((PLACE.request, None, REQUEST)), event="job-request.imported"),
    ],
)
def test_the_server_imports_documents(state: Memory, changes: Changes) -> None:
    assert admit(state.on(changes.branch), changes, SERVER, NOW).changes is changes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (replace(ORG, event="org.created"), "cannot change this"),
        (replace(ORG, event="database.imported"), "cannot change this"),
        (replace(main(("workspaces/trends.yaml", TRENDS, None)), event="workspace.imported"), "cannot change this"),
    ],
)
def test_the_server_does_nothing_else(state: Memory, changes: Changes, message: str) -> None:
    with pytest.raises(Error, match=message) as caught:
        admit(state, changes, SERVER, NOW)
    assert caught.value.code is Code.FORBIDDEN


def test_rules_hold_for_imports_too(state: Memory) -> None:
    changes = replace(main(("workspaces/jobs.yaml", None, edited(TRENDS, name="jobs"))), event="workspace.imported")
    with pytest.raises(Error, match="choose another name"):
        admit(state, changes, SERVER, NOW)


def test_only_the_server_imports_releases(state: Memory) -> None:
    release = Release(workspace="trends", identifier="a" * 32, user="Jane Doe", files=1, size=1, sha256="b" * 64)
    changes = Changes("backends/tpp", IMPORTED, "", release=release)
    assert admit(state.on("backends/tpp"), changes, SERVER, NOW)
    with pytest.raises(Error):
        admit(state.on("backends/tpp"), changes, ROOT, NOW)
    with pytest.raises(Error, match="workspace"):
        gone = replace(changes, release=release.model_copy(update={"workspace": "none"}))
        admit(state.on("backends/tpp"), gone, SERVER, NOW)
