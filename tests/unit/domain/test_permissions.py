"""Who may do what, judged by `admit` on a state that needs no repository."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from jobserver.domain import commands as c
from jobserver.domain.admit import admit
from jobserver.domain.documents import Backend, Job, Member, Org, PipelineAction, Project, User, Workspace
from jobserver.domain.names import Area, Place
from jobserver.domain.permissions import Actor, ActorKind, Role
from jobserver.domain.plan import branch_of, plan
from jobserver.domain.state import Change, Changes, Stored
from jobserver.errors import Code, Error

NOW = datetime(2026, 11, 24, tzinfo=UTC)
ID = "aaq5k3v7m2xw4c6d"


@dataclass
class Memory:
    """`State` in memory."""

    users: dict[str, User]
    branch: str = "main"
    tip: str | None = "0" * 40
    requests: dict[str, Stored] = field(default_factory=dict)

    def backend(self, slug: str) -> Backend | None:
        active = {"tpp": True, "emis": True, "gone": False}
        return Backend(slug=slug, name=slug, active=active[slug], created_at=NOW) if slug in active else None

    def user(self, username: str) -> User | None:
        return self.users.get(username)

    def org(self, slug: str) -> Org | None:
        return Org(slug=slug, name=slug) if slug == "lab" else None

    def project(self, name: str) -> Project | None:
        members = (
            Member(username="dev", roles=(Role.PROJECT_DEVELOPER,)),
            Member(username="lead", roles=(Role.PROJECT_COORDINATOR,)),
        )
        return Project(slug="p", name="p", org="lab", members=members) if name == "lab/p" else None

    def workspace(self, name: str) -> Workspace | None:
        projects = {"free": None, "owned": "lab/p"}
        if name not in projects:
            return None
        return Workspace(
            name=name, project=projects[name], repo="s", branch="main", db="full", created_by="root", created_at=NOW
        )

    def projects(self) -> list[Project]:
        return [project for name in ("lab/p",) if (project := self.project(name)) is not None]

    def find(self, identifier: str) -> Stored | None:
        return self.requests.get(identifier)

    def jobs(self, place: Place) -> Mapping[str, Job]:
        return {}

    def active(self) -> list[Stored]:
        return list(self.requests.values())

    def referrers(self, kind: str, name: str) -> list[str]:
        return []

    def receipt(self) -> None:
        return None

    def checkpoint(self) -> None:
        return None

    def owner(self, job: str) -> str | None:
        return None


def person(username: str, *roles: Role, active: bool = True) -> User:
    return User(username=username, roles=roles, active=active)


PEOPLE = {
    user.username: user
    for user in (
        person("root", Role.SUPER_USER),
        person("core", Role.CORE_DEVELOPER),
        person("dev"),
        person("lead"),
        person("nobody"),
        person("auditor", Role.AUDITOR),
        person("left", Role.SUPER_USER, active=False),
    )
}


def submit(state: Memory, actor: Actor, command: c.Command) -> Any:
    state.branch = branch_of(command)
    return admit(state, plan(state, command, actor, NOW, ID), actor, NOW)


def allowed(actor: Actor, command: c.Command) -> bool:
    try:
        submit(Memory(PEOPLE), actor, command)
    except Error as error:
        assert error.code is Code.FORBIDDEN, error
        return False
    return True


def request(workspace: str) -> c.RequestJobs:
    return c.RequestJobs(workspace, "tpp", ("a",), "0" * 40, {"a": PipelineAction(run="x")})


@pytest.mark.parametrize(
    ("command", "who"),
    [
        (request("free"), {"root", "core"}),
        (request("owned"), {"root", "core", "dev"}),
        (c.AddWorkspace("fresh", "s", "main"), {"root", "core"}),
        (c.AddWorkspace("fresh", "s", "main", project="lab/p"), {"root", "core", "dev"}),
        (c.SetProjectMember("lab/p", "nobody", (Role.PROJECT_DEVELOPER,)), {"root", "core", "lead"}),
        (c.AddUser("new"), {"root"}),
        (c.DisableUser("dev"), {"root"}),
        (c.AddUserToken("dev", "x", "0" * 64), {"root", "dev"}),
        (c.AddBackend("new", "0" * 64), {"root"}),
        (c.DeactivateBackend("tpp"), {"root"}),
        (c.AddOrg("fresh"), {"root"}),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, set) else "",
)
def test_what_each_person_may_do(command: c.Command, who: set[str]) -> None:
    assert {name for name in PEOPLE if allowed(Actor(ActorKind.USER, name), command)} == who


def test_nobody_gives_themselves_roles() -> None:
    """A person may change their own tokens and name, and nothing else of their document."""
    state = Memory(PEOPLE)
    before = PEOPLE["nobody"]
    after = before.model_copy(update={"roles": (Role.SUPER_USER,)})
    changes = Changes("main", "user.updated", "x", (Change("users/nobody.yaml", before, after),))
    with pytest.raises(Error, match="may not"):
        admit(state, changes, Actor(ActorKind.USER, "nobody"), NOW)


@pytest.mark.parametrize("slug", ["emis", "gone", "unknown"])
def test_a_backend_reports_on_its_own_branch_only_while_it_is_active(slug: str) -> None:
    state = Memory(PEOPLE)
    stored = submit(state, Actor(ActorKind.USER, "core"), request("free")).changes.changes[0].after
    state.requests[ID] = Stored(Place(Area.ACTIVE, NOW.date(), ID), stored)
    job = Job.model_validate(
        {
            "identifier": "j",
            "action": "a",
            "status": "pending",
            "status_code": "",
            "status_message": "",
            "created_at": NOW,
            "updated_at": NOW,
            "started_at": None,
            "completed_at": None,
        }
    )
    submit(state, Actor(ActorKind.BACKEND, "tpp"), c.UpdateJobs("tpp", ((ID, job),)))
    with pytest.raises(Error) as caught:
        submit(state, Actor(ActorKind.BACKEND, slug), c.UpdateJobs("tpp", ((ID, job),)))
    assert caught.value.code is Code.FORBIDDEN


def test_who_asked_may_cancel_though_others_may_not() -> None:
    state = Memory(PEOPLE)
    stored = submit(state, Actor(ActorKind.USER, "dev"), request("owned")).changes.changes[0].after
    state.requests[ID] = Stored(Place(Area.ACTIVE, NOW.date(), ID), stored)
    cancel = c.CancelJobs(ID, "tpp", ("a",))
    may = set()
    for name in PEOPLE:
        try:
            submit(state, Actor(ActorKind.USER, name), cancel)
            may.add(name)
        except Error as error:
            assert error.code is Code.FORBIDDEN
    assert may == {"root", "core", "dev"}
