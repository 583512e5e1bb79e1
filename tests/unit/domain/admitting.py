"""Documents in memory, changes to them as a push could bring them, and the faults that are found in those."""

from typing import Any

from jobserver.domain.admit import admit, find_faults
from jobserver.domain.backends import Backend
from jobserver.domain.base.layout import Area, Place
from jobserver.domain.base.permissions import Actor, ActorKind, Role
from jobserver.domain.base.state import Change, Changes, Move
from jobserver.domain.documents import AnyDocument
from jobserver.domain.job_requests.pipelines import PipelineAction
from jobserver.domain.job_requests.requests import JobRequest, RequestedWorkspace
from jobserver.domain.orgs import Org
from jobserver.domain.projects import Project
from jobserver.domain.users import User
from jobserver.domain.workspaces import Workspace
from jobserver.errors import Code, Error
from tests.memory import ID, LATER, NOW, Memory

ROOT = Actor(ActorKind.USER, "root")
TPP = Actor(ActorKind.BACKEND, "tpp")
OTHER = "2" * 16
PLACE = Place(Area.ACTIVE, NOW.date(), ID)
GONE = PLACE.moved(Area.ARCHIVE)
BESIDE = Place(Area.ACTIVE, NOW.date(), OTHER)
LAB = Org(slug="lab", name="Lab")
P = Project(slug="p", name="P", org="lab")
TRENDS = Workspace(
    name="trends", project="lab/p", repo="study", branch="main", db="full", created_by="root", created_at=NOW
)
REQUEST = JobRequest(
    version=1,
    identifier=ID,
    backend="tpp",
    created_by="root",
    created_at=NOW,
    sha="0" * 40,
    requested_actions=("generate",),
    cancelled_actions=("generate",),
    database_name="full",
    workspace=RequestedWorkspace.model_validate(
        TRENDS.model_dump(exclude={"version", "project", "archived", "should_notify"})
    ),
    pipeline={"generate": PipelineAction(run="x")},
)
SECOND = REQUEST.model_copy(update={"identifier": OTHER})


def prepared() -> Memory:
    """A workspace in a project, and a job request that is active."""
    return Memory(
        User(username="root", roles=(Role.SUPER_USER,)),
        Backend(slug="tpp", name="TPP", created_at=NOW),
        LAB,
        P,
        TRENDS,
        SECOND,
    )


def main(*changes: tuple[str, AnyDocument | None, AnyDocument | None]) -> Changes:
    return Changes("main", "pushed", "", tuple(Change(*change) for change in changes))


def tpp(*changes: tuple[str, AnyDocument | None, AnyDocument | None], moves: tuple[Move, ...] = ()) -> Changes:
    return Changes("backends/tpp", "pushed", "", tuple(Change(*change) for change in changes), moves)


def faults(state: Memory, changes: Changes, actor: Actor = ROOT) -> list[str]:
    """As `admit` tells them; `review` tells the same, whoever asks."""
    seen = state.on(changes.branch)
    told = list(dict.fromkeys(str(fault) for fault in find_faults(seen, changes)))
    try:
        admitted = admit(seen, changes, actor, LATER)
    except Error as error:
        assert error.code is Code.INVALID, error
        assert [str(fault) for fault in error.faults] == told
        assert str(error) == told[0]
        return told
    assert told == []
    assert (admitted.tip, admitted.changes, admitted.actor, admitted.now) == (seen.tip, changes, actor, LATER)
    return []


def edited(document: Any, **values: Any) -> Any:
    return document.model_copy(update=values)
