"""People, backends and workspaces in memory, and what is asked and reported of them in a word."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from jobserver.domain.backends import Backend
from jobserver.domain.base.layout import Area, Place
from jobserver.domain.base.permissions import Actor, ActorKind, Role
from jobserver.domain.job_requests.jobs import Job, UpdateJobs
from jobserver.domain.job_requests.pipelines import PipelineAction
from jobserver.domain.job_requests.requests import JobRequest, RequestJobs
from jobserver.domain.plan import Command
from jobserver.domain.users import User
from jobserver.domain.workspaces import Workspace
from jobserver.errors import Error
from tests.memory import ID, LATER, NOW, Memory

ALICE = Actor(ActorKind.USER, "alice")
ROOT = Actor(ActorKind.USER, "root")
TPP = Actor(ActorKind.BACKEND, "tpp")
OTHER, THIRD = "2" * 16, "3" * 16
PLACE = Place(Area.ACTIVE, NOW.date(), ID)
GONE = PLACE.moved(Area.ARCHIVE)
PIPELINE = {
    "generate": PipelineAction(run="python g.py"),
    "analyse": PipelineAction(needs=("generate",), run="python a.py"),
    "plot": PipelineAction(needs=("generate",), run="python p.py"),
    "run_all": PipelineAction(needs=("analyse", "plot"), run=""),
}
TRENDS = Workspace(
    name="trends",
    project=None,
    repo="study",
    branch="dev",
    db="slice",
    created_by="bob",
    created_at=NOW - timedelta(days=9),
)


def prepared() -> Memory:
    """What there is before anything is asked for."""
    return Memory(
        User(username="root", roles=(Role.SUPER_USER,)),
        User(username="alice", roles=(Role.CORE_DEVELOPER,)),
        Backend(slug="tpp", name="TPP", databases=("full", "slice"), created_at=NOW),
        Backend(slug="emis", name="EMIS", created_at=NOW),
        Backend(slug="old", name="Old", active=False, created_at=NOW),
        Backend(slug="paused", name="Paused", accepts_requests=False, created_at=NOW),
        TRENDS,
        TRENDS.model_copy(update={"name": "past", "archived": True}),
        TRENDS.model_copy(update={"name": "told", "should_notify": True}),
    )


def asked(*actions: str, workspace: str = "trends", backend: str = "tpp", **more: Any) -> RequestJobs:
    return RequestJobs(workspace, backend, actions or ("run_all",), "0" * 40, PIPELINE, **more)


def ask(state: Memory, *actions: str, new_id: str = ID) -> None:
    state.do(ALICE, asked(*actions), new_id=new_id)


def report(state: Memory, *jobs: Job, to: str = ID, now: datetime = LATER) -> Any:
    return state.do(TPP, UpdateJobs("tpp", tuple((to, one) for one in jobs)), now)


def stored(state: Memory, identifier: str = ID) -> JobRequest:
    found = state.on("backends/tpp").find(identifier)
    assert found is not None
    return found.request


def area(state: Memory, identifier: str = ID) -> Area:
    found = state.on("backends/tpp").find(identifier)
    assert found is not None
    return found.place.area


def jobs(state: Memory, place: Place = PLACE) -> dict[str, Job]:
    return state.on("backends/tpp").jobs(place)


def refused(state: Memory, actor: Actor, command: Command) -> Error:
    before = {branch: dict(files) for branch, files in state.files.items()}
    with pytest.raises(Error) as caught:
        state.do(actor, command)
    assert state.files == before
    return caught.value
