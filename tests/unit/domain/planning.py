"""A little of everything on `main`, in memory, and what a verb would change of it."""

from jobserver.domain.backends import Backend
from jobserver.domain.base.permissions import Actor, ActorKind, Role
from jobserver.domain.base.state import Changes
from jobserver.domain.members import Member
from jobserver.domain.orgs import Org
from jobserver.domain.plan import Command, branch_of, plan
from jobserver.domain.projects import Project
from jobserver.domain.tokens import PersonalToken, Token
from jobserver.domain.users import User
from jobserver.domain.workspaces import Workspace
from tests.memory import ID, NOW, Memory

ROOT = Actor(ActorKind.USER, "root")
LEAD, DEV = Role.PROJECT_COORDINATOR, Role.PROJECT_DEVELOPER
OLD = Token(sha256="a" * 64, label="first", created_at=NOW)
NEW = Token(sha256="b" * 64, label="rotated 2026-11-24", created_at=NOW)
LAPTOP = PersonalToken(sha256="c" * 64, label="laptop", created_at=NOW)
TPP = Backend(slug="tpp", name="TPP", tokens=(OLD,), created_at=NOW)
ALICE = User(username="alice", name="Alice", roles=(Role.CORE_DEVELOPER,), tokens=(LAPTOP,))
GONE = User(username="gone", roles=(Role.SUPER_USER,), tokens=(LAPTOP,), active=False)
LAB = Org(slug="lab", name="Lab")
P = Project(slug="p", name="P", org="lab", members=(Member(username="zoe", roles=(DEV,)),))
TRENDS = Workspace(name="trends", repo="study", branch="main", db="full", created_by="alice", created_at=NOW)


def prepared() -> Memory:
    return Memory(User(username="root", roles=(Role.SUPER_USER,)), TPP, ALICE, LAB, P, TRENDS)


def planned(state: Memory, command: Command, actor: Actor = ROOT) -> Changes:
    return plan(state.on(branch_of(command)), command, actor, NOW, ID)
