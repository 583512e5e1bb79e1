"""People, a backend and a workspace in memory, and releases of it."""

from jobserver.domain.backends import Backend
from jobserver.domain.base.layout import release_path
from jobserver.domain.base.permissions import Actor, ActorKind, Role
from jobserver.domain.members import Member
from jobserver.domain.orgs import Org
from jobserver.domain.outputs.commands import RequestRelease, ReviewRelease, UploadReleaseFile
from jobserver.domain.outputs.documents import CheckedFile, CheckedRelease, Decision
from jobserver.domain.projects import Project
from jobserver.domain.users import User
from jobserver.domain.workspaces import Workspace
from tests.memory import NOW, Memory

TPP, EMIS = Actor(ActorKind.BACKEND, "tpp"), Actor(ActorKind.BACKEND, "emis")
RELEASE = "01J9ZQ4V8N6T3W5X7Y9A1B2C3D"
PATH = release_path("trends", RELEASE)
TABLE = CheckedFile(path="output/table.csv", size=3, sha256="a" * 64)
CHART = CheckedFile(path="output/chart.png", size=4, sha256="b" * 64)
CHECKERS = ("carol", "dave", "erin")


def user(name: str) -> Actor:
    return Actor(ActorKind.USER, name)


def prepared(output_approvals: int | None = None) -> Memory:
    """alice develops; carol, dave and erin check outputs; pam publishes; greta governs; root runs the server."""
    people = {
        "alice": (),
        "bob": (),
        **dict.fromkeys(CHECKERS, (Role.OUTPUT_CHECKER,)),
        "pam": (Role.OUTPUT_PUBLISHER,),
        "greta": (Role.GOVERNANCE_REVIEWER,),
        "root": (Role.SUPER_USER,),
    }
    members = (
        Member(username="alice", roles=(Role.PROJECT_DEVELOPER,)),
        Member(username="bob", roles=(Role.PROJECT_DEVELOPER,)),
    )
    return Memory(
        *(User(username=name, roles=roles) for name, roles in people.items()),
        Backend(slug="tpp", name="TPP", created_at=NOW),
        Backend(slug="emis", name="EMIS", created_at=NOW),
        Org(slug="lab", name="Lab"),
        Project(slug="p", name="P", org="lab", members=members, output_approvals=output_approvals),
        Project(slug="loose", name="Loose", org="lab", output_approvals=1),
        Workspace(
            name="trends", project="lab/p", repo="s", branch="main", db="full", created_by="alice", created_at=NOW
        ),
    )


def asked(state: Memory, *files: CheckedFile, actor: Actor = TPP) -> CheckedRelease:
    """A release of alice's, for which the backend vouches."""
    state.do(actor, RequestRelease("tpp", "trends", RELEASE, "alice", files or (TABLE, CHART)))
    return stored(state)


def reviewed(
    state: Memory, name: str, decision: Decision = "approved", *files: str, actor: Actor | None = None
) -> CheckedRelease:
    state.do(actor or user(name), ReviewRelease("tpp", "trends", RELEASE, name, decision, "", files))
    return stored(state)


def upload(file: CheckedFile = TABLE, name: str = "carol") -> UploadReleaseFile:
    return UploadReleaseFile("tpp", "trends", RELEASE, file.path, file.sha256, name)


def uploaded(state: Memory, *files: CheckedFile) -> CheckedRelease:
    for file in files or (TABLE, CHART):
        state.do(TPP, upload(file))
    return stored(state)


def stored(state: Memory) -> CheckedRelease:
    release = state.on("backends/tpp").release("trends", RELEASE)
    assert release is not None
    return release


def with_roles(state: Memory, name: str, *roles: Role, active: bool = True) -> None:
    old = state.user(name)
    assert old is not None
    state.put(old.model_copy(update={"roles": roles, "active": active}))
