"""Projects: who may change which part of one, invitations, workspaces that come and go; all judged by what changes."""

from datetime import timedelta
from typing import Any

import pytest

from jobserver.domain.admit import admit
from jobserver.domain.base import layout, names
from jobserver.domain.base.layout import Kind
from jobserver.domain.base.permissions import Actor, ActorKind, Role
from jobserver.domain.base.registration import Registration
from jobserver.domain.base.state import Change, Changes
from jobserver.domain.base.validation import checked
from jobserver.domain.members import Invitation, Member
from jobserver.domain.orgs import AddOrg, Org
from jobserver.domain.plan import Command
from jobserver.domain.projects import (
    AcceptInvitation,
    AddProject,
    CancelInvitation,
    InviteToProject,
    Project,
    RenameProject,
    SetProjectMember,
)
from jobserver.domain.workspaces import AddWorkspace, ConnectWorkspace, Workspace
from jobserver.errors import Code, Error
from tests.memory import NOW, Memory
from tests.unit.domain.test_permissions import PEOPLE, person

DEVELOPER, COORDINATOR = Role.PROJECT_DEVELOPER, Role.PROJECT_COORDINATOR
LEAD = Member(username="lead", roles=(COORDINATOR,))
DEV = Member(username="dev", roles=(DEVELOPER,))


def invitation(username: str, *roles: Role, by: str = "lead", later: int = 0) -> Invitation:
    moment = NOW + timedelta(seconds=later)
    return Invitation(username=username, roles=roles or (DEVELOPER,), invited_by=by, created_at=moment)


P = Project(slug="p", name="P", org="lab", members=(DEV, LEAD), invitations=(invitation("guest"),))
Q = Project(slug="q", name="Q", org="lab", members=(Member(username="other", roles=(COORDINATOR,)), LEAD))
EVERYBODY = PEOPLE | {user.username: user for user in (person("guest"), person("other"), person("gone", active=False))}


def workspace(name: str, project: str | None, created_by: str = "core") -> Workspace:
    return Workspace(
        name=name, project=project, repo="s", branch="main", db="full", created_by=created_by, created_at=NOW
    )


class Lab(Memory):
    """An organisation with two projects, as written down above."""

    def __init__(self) -> None:
        spaces = workspace("free", None), workspace("mine", None, "lead"), workspace("owned", "lab/p")
        super().__init__(*EVERYBODY.values(), Org(slug="lab", name="lab"), P, Q, *spaces)

    def act(self, who: str, command: Command) -> Any:
        """The document that the command leaves. Raises `Error`."""
        for change in self.do(Actor(ActorKind.USER, who), command).changes:
            return change.after
        return None

    def push(self, who: str, before: Any, after: Any) -> None:
        """The same change without a command. Raises `Error`."""
        kind = Kind.WORKSPACE if isinstance(after, Workspace) else Kind.PROJECT
        name = after.name if kind is Kind.WORKSPACE else f"{after.org}/{after.slug}"
        changes = Changes("main", "pushed", "x", (Change(layout.main_path(kind, name), before, after),))
        admit(self, changes, Actor(ActorKind.USER, who), NOW)


def code(act: Any, *arguments: Any) -> Code | None:
    try:
        act(*arguments)
    except Error as error:
        return error.code
    return None


@pytest.mark.parametrize(
    ("command", "who"),
    [
        (RenameProject("lab/p", "Another"), {"root", "core", "lead"}),
        (SetProjectMember("lab/p", "dev", (COORDINATOR,)), {"root", "core", "lead"}),
        (SetProjectMember("lab/p", "dev", ()), {"root", "core", "lead"}),
        (InviteToProject("lab/p", ("nobody", "other"), (DEVELOPER,)), {"root", "core", "lead"}),
        (CancelInvitation("lab/p", "guest"), {"root", "core", "lead", "guest"}),
        (ConnectWorkspace("mine", "lab/p"), {"root", "core", "lead"}),
        (ConnectWorkspace("free", "lab/p"), {"root", "core"}),
        (ConnectWorkspace("owned", None), {"root", "core", "lead"}),
        (ConnectWorkspace("owned", "lab/q"), {"root", "core"}),
        (AddProject("lab/fresh"), {"root"}),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, set) else "",
)
def test_rights_in_a_project_follow_from_roles(command: Command, who: set[str]) -> None:
    found = {name: code(Lab().act, name, command) for name in EVERYBODY}
    assert {name for name, refused in found.items() if refused is None} == who
    assert {refused for refused in found.values() if refused is not None} == {Code.FORBIDDEN}


def test_a_coordinator_of_one_project_is_nobody_in_another() -> None:
    for command in (
        RenameProject("lab/p", "x"),
        InviteToProject("lab/p", ("nobody",), (DEVELOPER,)),
        CancelInvitation("lab/p", "guest"),
        ConnectWorkspace("owned", None),
    ):
        assert code(Lab().act, "other", command) is Code.FORBIDDEN


def test_an_invitation_from_its_making_to_its_acceptance() -> None:
    lab = Lab()
    made = lab.act("lead", InviteToProject("lab/p", ("nobody",), (COORDINATOR, DEVELOPER)))
    assert made.invitations == (invitation("guest"), invitation("nobody", COORDINATOR, DEVELOPER))
    assert made.members == P.members
    joined = lab.act("nobody", AcceptInvitation("lab/p"))
    assert joined.members == (DEV, LEAD, Member(username="nobody", roles=(COORDINATOR, DEVELOPER)))
    assert joined.invitations == P.invitations
    assert code(lab.act, "nobody", AcceptInvitation("lab/p")) is Code.NOT_FOUND  # twice
    assert code(lab.act, "lead", CancelInvitation("lab/p", "nobody")) is Code.NOT_FOUND
    assert code(lab.act, "nobody", RenameProject("lab/p", "mine now")) is None


def test_a_cancelled_or_declined_invitation_is_not_accepted() -> None:
    for who in ("lead", "guest"):
        lab = Lab()
        lab.act(who, CancelInvitation("lab/p", "guest"))
        assert lab.project("lab/p") == P.model_copy(update={"invitations": ()})
        assert code(lab.act, "guest", AcceptInvitation("lab/p")) is Code.NOT_FOUND


def test_a_disabled_user_does_not_accept_an_invitation() -> None:
    lab = Lab()
    lab.put(person("guest", active=False))
    assert code(lab.act, "guest", AcceptInvitation("lab/p")) is Code.FORBIDDEN
    assert code(lab.act, "lead", RenameProject("lab/p", "Goes on")) is None


@pytest.mark.parametrize(
    ("usernames", "roles", "refused"),
    [
        (("stranger",), (DEVELOPER,), Code.INVALID),
        (("gone",), (DEVELOPER,), Code.INVALID),
        (("nobody", "gone"), (DEVELOPER,), Code.INVALID),
        (("nobody", "nobody"), (DEVELOPER,), Code.INVALID),
        (("nobody",), (), Code.INVALID),
        ((), (DEVELOPER,), Code.INVALID),
        (("nobody",), (Role.SUPER_USER,), Code.INVALID),
        (("no body",), (DEVELOPER,), Code.INVALID),
        (("guest",), (DEVELOPER,), Code.CONFLICT),
        (("dev",), (DEVELOPER,), Code.CONFLICT),
    ],
)
def test_these_people_can_not_be_invited(usernames: tuple[str, ...], roles: tuple[Role, ...], refused: Code) -> None:
    lab = Lab()
    for who in ("lead", "root"):
        assert code(lab.act, who, InviteToProject("lab/p", usernames, roles)) is refused
    assert lab.project("lab/p") == P


@pytest.mark.parametrize(
    ("who", "update", "refused"),
    [
        # The invited person takes what was offered, all of it, and nothing else.
        ("guest", {"invitations": (), "members": (DEV, Member(username="guest", roles=(DEVELOPER,)), LEAD)}, None),
        ("guest", {"invitations": ()}, None),
        ("guest", {"invitations": (), "members": (DEV, Member(username="guest", roles=(COORDINATOR,)), LEAD)},
         Code.FORBIDDEN),
        ("guest", {"invitations": (), "members": (Member(username="guest", roles=(DEVELOPER,)), LEAD)},
         Code.FORBIDDEN),
        ("guest", {"invitations": (), "members": (DEV, Member(username="guest", roles=(DEVELOPER,)), LEAD),
                   "name": "Mine"}, Code.FORBIDDEN),
        ("guest", {"invitations": (invitation("guest", COORDINATOR),)}, Code.FORBIDDEN),
        ("nobody", {"invitations": (), "members": (DEV, Member(username="guest", roles=(DEVELOPER,)), LEAD)},
         Code.FORBIDDEN),
        ("nobody", {"invitations": (invitation("guest"), invitation("nobody", by="nobody"))}, Code.FORBIDDEN),
        # Nobody invites in somebody else's name, nor may a pushed invitation be what a form's may not.
        ("root", {"invitations": (invitation("guest"), invitation("other", by="lead"))}, Code.FORBIDDEN),
        ("root", {"invitations": (invitation("guest"), invitation("other", by="root"))}, None),
        ("root", {"invitations": (invitation("guest"), invitation("gone", by="root"))}, Code.INVALID),
        ("root", {"invitations": (invitation("guest"), invitation("guest", by="root", later=1))}, Code.INVALID),
        ("root", {"invitations": (invitation("dev", by="root"),)}, Code.INVALID),
        ("root", {"invitations": (invitation("other", Role.AUDITOR, by="root"),)}, Code.INVALID),
        ("root", {"members": (DEV, Member(username="guest", roles=(DEVELOPER,)), LEAD)}, Code.INVALID),
        # A coordinator changes members, name and invitations, and not what was registered.
        ("lead", {"registration": Registration(project_lead="Somebody")}, Code.FORBIDDEN),
        ("lead", {"name": "Other", "registration": Registration(project_lead="Somebody")}, Code.FORBIDDEN),
        ("root", {"registration": Registration(project_lead="Somebody")}, None),
    ],
)  # fmt: skip
def test_a_change_is_judged_by_itself(who: str, update: dict[str, Any], refused: Code | None) -> None:
    assert code(Lab().push, who, P, P.model_copy(update=update)) is refused


def test_roles_that_only_manage_or_only_invite(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part of a project has its own permission, though today's roles have them together."""
    from jobserver.domain.base import permissions
    from jobserver.domain.base.permissions import Permission

    for permission, rename, invite, take_back, disconnect in (
        (Permission.MANAGE_PROJECT_MEMBERS, True, False, True, False),
        (Permission.INVITE_PROJECT_MEMBERS, False, True, True, False),
        (Permission.MANAGE_PROJECT_WORKSPACES, False, False, False, True),
    ):
        monkeypatch.setitem(permissions.GRANTS, COORDINATOR, frozenset({permission}))
        tried = (
            RenameProject("lab/p", "x"),
            InviteToProject("lab/p", ("nobody",), (DEVELOPER,)),
            CancelInvitation("lab/p", "guest"),
            ConnectWorkspace("owned", None),
        )
        found = [code(Lab().act, "lead", command) is None for command in tried]
        assert found == [rename, invite, take_back, disconnect], permission


def test_a_member_by_other_means_has_nothing_left_to_accept() -> None:
    lab = Lab()
    lab.act("lead", SetProjectMember("lab/p", "guest", (COORDINATOR,)))
    assert lab.project("lab/p").invitations == ()
    assert code(lab.act, "guest", AcceptInvitation("lab/p")) is Code.NOT_FOUND


def test_a_workspace_in_no_such_project() -> None:
    assert code(Lab().act, "root", ConnectWorkspace("free", "lab/nowhere")) is Code.NOT_FOUND
    assert code(Lab().act, "root", ConnectWorkspace("nowhere", "lab/p")) is Code.NOT_FOUND
    assert code(Lab().push, "root", workspace("free", None), workspace("free", "lab/nowhere")) is Code.INVALID
    both = workspace("owned", None).model_copy(update={"archived": True})
    assert code(Lab().push, "lead", workspace("owned", "lab/p"), both) is Code.FORBIDDEN


def test_a_registered_name_is_one_projects_only() -> None:
    registration = Registration(project_lead="Somebody")
    assert code(Lab().act, "root", AddProject("lab/fresh", "p", registration)) is Code.CONFLICT
    assert code(Lab().act, "root", AddProject("lab/fresh", " ", registration)) is Code.INVALID
    assert code(Lab().act, "root", AddProject("lab/fresh", "Fresh", registration)) is None
    assert code(Lab().act, "root", AddProject("lab/fresh", "P")) is None  # the command line's may share one
    assert code(Lab().act, "lead", RenameProject("lab/p", "q")) is Code.CONFLICT
    assert code(Lab().act, "lead", RenameProject("lab/p", "p")) is None
    assert code(Lab().act, "lead", RenameProject("lab/p", "")) is Code.INVALID
    assert code(Lab().act, "lead", RenameProject("lab/p", "two\nlines")) is Code.INVALID


@pytest.mark.parametrize(
    ("command", "document"),
    [
        (AddOrg("new"), None),
        (AddProject("lab/new-project"), Project(slug="new-project", name="x", org="lab")),
        (AddProject("lab/settings"), Project(slug="settings", name="x", org="lab")),
        (AddWorkspace("invitations", "s", "main"), workspace("invitations", None)),
    ],
)
def test_nothing_stands_where_a_page_does(command: Command, document: Any) -> None:
    assert code(Lab().act, "root", command) is Code.INVALID
    if document is not None:
        assert code(Lab().push, "root", None, document) is Code.INVALID
        assert code(Lab().push, "root", document, document) is None  # what is there already may be changed


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Diabetes trends", "diabetes-trends"),
        ("  Émile's (2nd) study! ", "emile-s-2nd-study"),
        ("研究", ""),
        ("x" * 63 + " yz", "x" * 63),
    ],
)
def test_a_slug_is_like_its_name(name: str, slug: str) -> None:
    assert names.slug_of(name) == slug


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("project_lead", ""),
        ("project_lead", "Alice <alice@example.org>"),
        ("team_details", "Write to\nbob@lab.example.org, please"),
        ("email", "alice@example.org"),
        ("telephone", "1"),
        ("purpose", "x" * 10_001),
        ("researchers", [{"name": "Bob", "passed_researcher_training_at": "last year"}]),
        ("researchers", [{"name": "Bob", "passed_researcher_training_at": "2026-W01-1"}]),
        ("researchers", [{"name": "", "is_ons_accredited_researcher": True}]),
        ("researchers", [{"name": "Bob"}] * 101),
        ("declaration", "yes"),
    ],
)
def test_a_malformed_registration_is_refused(key: str, value: Any) -> None:
    with pytest.raises(Error) as caught:
        checked(Registration, {"project_lead": "Alice", key: value})
    assert caught.value.code is Code.INVALID
    assert key in str(caught.value)
