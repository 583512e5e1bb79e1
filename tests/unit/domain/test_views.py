"""Looks at released files that the record names: whose, and that nobody is named for a look of somebody else."""

import pytest

from jobserver.domain.admit import admit
from jobserver.domain.backends import Backend
from jobserver.domain.base.permissions import Actor, ActorKind, Role
from jobserver.domain.base.state import Changes
from jobserver.domain.members import Member
from jobserver.domain.orgs import Org
from jobserver.domain.outputs.views import EVENT, RecordView, ReleaseView, is_recorded, read_trailers
from jobserver.domain.projects import Project
from jobserver.domain.users import User
from jobserver.errors import Code, Error
from tests.memory import NOW, Memory
from tests.unit.domain.job_requests.requesting import TRENDS

SPACE = TRENDS.model_copy(update={"project": "lab/p"})
VIEW = ReleaseView(workspace="trends", identifier="a" * 32)
SUPPORT = User(username="support", roles=(Role.TECH_SUPPORT,))
STATE = Memory(
    SUPPORT,
    User(username="checker", roles=(Role.OUTPUT_CHECKER,)),
    User(username="auditor", roles=(Role.AUDITOR,)),
    Backend(slug="tpp", name="TPP", created_at=NOW),
    Org(slug="lab", name="Lab"),
    Project(slug="p", name="P", org="lab", members=(Member(username="insider", roles=(Role.PROJECT_DEVELOPER,)),)),
    SPACE,
)


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        (SUPPORT, True),
        (User(username="both", roles=(Role.TECH_SUPPORT, Role.OUTPUT_CHECKER)), False),
        (User(username="insider", roles=(Role.TECH_SUPPORT,)), False),
        (User(username="checker", roles=(Role.OUTPUT_CHECKER,)), False),
        (User(username="root", roles=(Role.SUPER_USER, Role.TECH_SUPPORT)), False),
        (User(username="nobody"), False),
    ],
)
def test_those_are_named_who_see_files_by_technical_support_only(user: User, expected: bool) -> None:
    assert is_recorded(STATE, user, SPACE) is expected


def test_a_look_is_a_commit_without_a_document() -> None:
    changes = STATE.do(Actor(ActorKind.USER, "support"), RecordView("tpp", VIEW))
    assert (changes.branch, changes.event, changes.changes, bool(changes)) == ("backends/tpp", EVENT, (), True)
    assert changes.subject == f"support looked at release {'a' * 32} of trends"
    assert read_trailers(changes.trailers) == VIEW


@pytest.mark.parametrize(
    ("actor", "view", "code"),
    [
        (Actor(ActorKind.USER, "auditor"), VIEW, Code.FORBIDDEN),
        (Actor(ActorKind.USER, "stranger"), VIEW, Code.FORBIDDEN),
        (Actor(ActorKind.BACKEND, "tpp"), VIEW, Code.FORBIDDEN),
        (Actor(ActorKind.USER, "support"), VIEW.model_copy(update={"workspace": "nowhere"}), Code.INVALID),
    ],
)
def test_a_look_of_others_is_refused(actor: Actor, view: ReleaseView, code: Code) -> None:
    changes = Changes("backends/tpp", EVENT, "", view=view)
    with pytest.raises(Error) as caught:
        admit(STATE.on("backends/tpp"), changes, actor, NOW)
    assert caught.value.code is code
