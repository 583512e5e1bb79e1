"""Who may read a project, where reading is limited: its members, those of its organisation, and those above."""

import pytest

from jobserver.domain.base.permissions import GLOBAL_ROLES, Role, granted
from jobserver.domain.governance.readers import knows_project, reads_everything, reads_project, reads_workspace
from jobserver.domain.members import Invitation, Member
from jobserver.domain.orgs import Org
from jobserver.domain.projects import Project
from jobserver.domain.users import User
from tests.memory import NOW, Memory
from tests.unit.domain.job_requests.requesting import TRENDS

P = Project(
    slug="p",
    name="P",
    org="lab",
    members=(Member(username="member", roles=(Role.PROJECT_COLLABORATOR,)),),
    invitations=(Invitation(username="guest", roles=(Role.PROJECT_DEVELOPER,), invited_by="root", created_at=NOW),),
)
STATE = Memory(P, Org(slug="lab", name="Lab", members=(Member(username="head", roles=(Role.ORG_COORDINATOR,)),)))
SPACE = TRENDS.model_copy(update={"project": "lab/p"})


@pytest.mark.parametrize(
    ("user", "reads", "knows"),
    [
        (None, False, False),
        (User(username="stranger"), False, False),
        (User(username="member"), True, True),
        (User(username="member", active=False), False, False),
        (User(username="head"), True, True),
        (User(username="guest"), False, True),
        (User(username="core", roles=(Role.CORE_DEVELOPER,)), True, True),
        (User(username="core", roles=(Role.CORE_DEVELOPER,), active=False), False, False),
        (User(username="agent", roles=(Role.ONBOARDING_AGENT,)), False, False),
    ],
)
def test_members_and_those_above_read_a_project(user: User | None, reads: bool, knows: bool) -> None:
    assert reads_project(STATE, user, P) is reads
    assert reads_workspace(STATE, user, SPACE) is reads
    assert knows_project(STATE, user, P) is knows


@pytest.mark.parametrize("role", sorted(GLOBAL_ROLES))
def test_whoever_may_do_something_everywhere_reads_everything(role: Role) -> None:
    assert reads_everything(User(username="a", roles=(role,))) is bool(granted([role]))


def test_a_workspace_without_a_project_is_its_creators() -> None:
    free = TRENDS.model_copy(update={"project": None, "created_by": "bob"})
    assert reads_workspace(STATE, User(username="bob"), free)
    assert not reads_workspace(STATE, User(username="bob", active=False), free)
    assert not reads_workspace(STATE, User(username="member"), free)
    assert not reads_workspace(STATE, None, free)
    lost = TRENDS.model_copy(update={"project": "lab/gone"})
    assert not reads_workspace(STATE, User(username="bob"), lost)
    assert reads_workspace(STATE, User(username="core", roles=(Role.CORE_DEVELOPER,)), lost)
