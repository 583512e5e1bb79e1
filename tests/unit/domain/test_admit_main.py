"""Each invariant of `main` broken by hand-made changes, and beside it what is legal; and the rights that it gives."""

import pytest

from jobserver.domain.admit import POLICY, admit
from jobserver.domain.backends import Backend
from jobserver.domain.base.permissions import GRANTS, Permission, Role
from jobserver.domain.base.rights import permissions_of
from jobserver.domain.base.state import Changes
from jobserver.domain.documents import AnyDocument
from jobserver.domain.members import Invitation, Member
from jobserver.domain.tokens import PersonalToken
from jobserver.domain.users import User
from tests.memory import NOW, Memory
from tests.unit.domain.admitting import LAB, PLACE, REQUEST, ROOT, TRENDS, P, edited, faults, main, prepared, tpp


@pytest.fixture
def state() -> Memory:
    return prepared()


W, ORG, PP, B = "workspaces/trends.yaml", "orgs/lab.yaml", "projects/lab/p.yaml", "backends/tpp.yaml"
KEPT = f"{W}: a workspace cannot be deleted: set `archived: true`"
U, AL = "users/al.yaml", Member(username="al", roles=(Role.ORG_COORDINATOR,))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # where documents stand, and the names in them
        (main(("README.md", None, LAB)), ["README.md: no document is allowed here on main"]),
        (main((PLACE.request, None, REQUEST)), [f"{PLACE.request}: no document is allowed here on main"]),
        (tpp((ORG, None, LAB)), [f"{ORG}: no document is allowed here on backends/tpp"]),
        (main(("orgs/a.yaml", None, LAB)), ["orgs/a.yaml: slug: is 'lab', but the path says 'a'"]),
        (main(("orgs/a.yaml", LAB, None)), ["orgs/a.yaml: slug: is 'lab', but the path says 'a'"]),
        # what documents refer to
        (main(("workspaces/w.yaml", None, edited(TRENDS, name="w"))), []),
        (main(("workspaces/w.yaml", None, edited(TRENDS, name="w", project=None))), []),
        (
            main(("workspaces/w.yaml", None, edited(TRENDS, name="w", project="lab/q"))),
            ["workspaces/w.yaml: project: project 'lab/q' does not exist"],
        ),
        (main((W, TRENDS, edited(TRENDS, project="lab/q"))), [f"{W}: project: project 'lab/q' does not exist"]),
        (
            main(
                ("projects/lab/q.yaml", None, edited(P, slug="q")),
                ("workspaces/w.yaml", None, edited(TRENDS, name="w", project="lab/q")),
            ),
            [],
        ),
        (
            main((PP, P, None), (W, TRENDS, TRENDS)),
            [f"{W}: project: project 'lab/p' does not exist"],
        ),
        (main(("projects/x/p.yaml", None, edited(P, org="x"))), ["projects/x/p.yaml: org: org 'x' does not exist"]),
        (main(("projects/lab/q.yaml", None, edited(P, slug="q"))), []),
        (
            main(("orgs/x.yaml", None, edited(LAB, slug="x")), ("projects/x/p.yaml", None, edited(P, org="x"))),
            [],
        ),
        (main((ORG, LAB, None), (PP, P, P)), [f"{PP}: org: org 'lab' does not exist"]),
        # pages of the server
        (
            main(("workspaces/jobs.yaml", None, edited(TRENDS, name="jobs"))),
            ["workspaces/jobs.yaml: name: 'jobs' is reserved for a page of the server: choose another name"],
        ),
        (main(("workspaces/jobs.yaml", edited(TRENDS, name="jobs"), edited(TRENDS, name="jobs", archived=True))), []),
        # roles, each in its place
        (
            main((PP, P, edited(P, members=(Member(username="root", roles=(Role.SUPER_USER, Role.ORG_COORDINATOR)),)))),
            [
                f"{PP}: roles: root cannot have the role {role} here: expected one of "
                "ProjectCollaborator, ProjectCoordinator, ProjectDeveloper"
                for role in ("SuperUser", "OrgCoordinator")
            ],
        ),
        (main((PP, P, edited(P, members=(Member(username="root", roles=(Role.PROJECT_DEVELOPER,)),)))), []),
        (
            main((ORG, LAB, edited(LAB, members=(Member(username="root", roles=(Role.PROJECT_DEVELOPER,)),)))),
            [f"{ORG}: roles: root cannot have the role ProjectDeveloper here: expected one of OrgCoordinator"],
        ),
        (main((ORG, LAB, edited(LAB, members=(Member(username="root", roles=(Role.ORG_COORDINATOR,)),)))), []),
        (
            main(("users/new.yaml", None, User(username="new", roles=(Role.ORG_COORDINATOR,)))),
            [
                "users/new.yaml: roles: new cannot have the role OrgCoordinator here: expected one of Auditor, "
                "CoreDeveloper, DataInvestigator, GovernanceReviewer, OnboardingAgent, OutputChecker, OutputPublisher, "
                "ServiceAdministrator, SuperUser, TechSupport, TechnicalReviewer"
            ],
        ),
        (main(("users/new.yaml", None, User(username="new", roles=(Role.AUDITOR,)))), []),
        # what is still named is not deleted
        (main((W, TRENDS, None)), [KEPT]),
        (main((PP, P, None)), [f"{PP}: {W} refers to it"]),
        (main((PP, P, None), (W, TRENDS, None)), [KEPT]),
        (main((PP, P, None), (W, TRENDS, edited(TRENDS, project=None))), []),
        (main((ORG, LAB, None)), [f"{ORG}: {PP} refers to it"]),
        (main((ORG, LAB, None), (PP, P, None)), [f"{PP}: {W} refers to it"]),
        (main((ORG, LAB, None), (PP, P, None), (W, TRENDS, edited(TRENDS, project=None))), []),
        (
            main((B, Backend(slug="tpp", name="TPP", created_at=NOW), None)),
            [f"{B}: a backend cannot be deleted, because it has a branch: set `active: false`"],
        ),
        (main(("users/new.yaml", User(username="new"), None)), []),
        (main(("users/root.yaml", User(username="root"), None)), [f"users/root.yaml: {W} refers to it"]),
        (main((U, User(username="al"), None)), []),
        (main((ORG, LAB, edited(LAB, members=(AL,)))), [f"{ORG}: members: user 'al' does not exist"]),
        (main((U, None, User(username="al")), (ORG, LAB, edited(LAB, members=(AL,)))), []),
        (
            main((PP, P, edited(P, members=(Member(username="al", roles=(Role.PROJECT_DEVELOPER,)),)))),
            [f"{PP}: members: user 'al' does not exist"],
        ),
    ],
)
def test_a_change_of_main_has_these_faults(state: Memory, changes: Changes, expected: list[str]) -> None:
    assert faults(state, changes) == expected


def test_every_fault_is_reported(state: Memory) -> None:
    changes = main(
        ("workspaces/jobs.yaml", None, edited(TRENDS, name="jobs", project="lab/q")),
        (ORG, LAB, None),
    )
    assert faults(state, changes) == [
        "workspaces/jobs.yaml: name: 'jobs' is reserved for a page of the server: choose another name",
        "workspaces/jobs.yaml: project: project 'lab/q' does not exist",
        f"{ORG}: {PP} refers to it",
    ]


def test_the_rules_have_a_version() -> None:
    """Each commit says by which rules it was judged; others would need this test and the auditor to know them."""
    assert POLICY == 4


def test_an_empty_change_is_admitted(state: Memory) -> None:
    for branch in ("main", "backends/tpp", "audit"):
        assert faults(state, Changes(branch, "pushed", "")) == []


@pytest.mark.parametrize(
    ("username", "project", "expected"),
    [
        ("core", None, {"cancel_job", "run_job"}),
        ("core", "lab/p", {"cancel_job", "run_job"}),
        ("dev", None, set()),
        ("dev", "lab/p", {"cancel_job", "check_output", "run_job"}),
        ("dev", "lab/none", set()),
        ("lead", "lab/p", {"invite_project_members", "manage_project_members", "manage_project_workspaces"}),
        ("org", "lab/p", {"review_project"}),
        ("org", "x/p", set()),
        ("left", "lab/p", set()),
    ],
)
def test_rights_are_those_of_a_person_and_of_their_memberships(
    monkeypatch: pytest.MonkeyPatch, username: str, project: str | None, expected: set[str]
) -> None:
    grants = {
        Role.CORE_DEVELOPER: frozenset({Permission.CANCEL_JOB, Permission.RUN_JOB}),
        Role.ORG_COORDINATOR: frozenset({Permission.REVIEW_PROJECT}),
    }
    for role, permissions in grants.items():
        monkeypatch.setitem(GRANTS, role, permissions)
    dev = Member(username="dev", roles=(Role.PROJECT_DEVELOPER,))
    lead = Member(username="lead", roles=(Role.PROJECT_COORDINATOR,))
    left = Member(username="left", roles=(Role.PROJECT_DEVELOPER,))
    people = {
        "core": User(username="core", roles=(Role.CORE_DEVELOPER,)),
        "left": User(username="left", roles=(Role.SUPER_USER,), active=False),
    }
    state = Memory(
        edited(LAB, members=(Member(username="org", roles=(Role.ORG_COORDINATOR,)),)),
        edited(P, members=(dev, lead, left)),
        edited(P, org="x"),
    )
    user = people.get(username, User(username=username))
    assert {str(one) for one in permissions_of(state, user, project)} == expected


def test_a_project_whose_org_is_gone_gives_what_the_project_gives() -> None:
    state = Memory(edited(P, members=(Member(username="dev", roles=(Role.PROJECT_DEVELOPER,)),)))
    assert Permission.RUN_JOB in permissions_of(state, User(username="dev"), "lab/p")


@pytest.mark.parametrize(
    "document",
    [
        edited(LAB, members=(AL,)),
        edited(P, members=(Member(username="al", roles=(Role.PROJECT_DEVELOPER,)),)),
        edited(
            P,
            invitations=(
                Invitation(username="al", roles=(Role.PROJECT_DEVELOPER,), invited_by="root", created_at=NOW),
            ),
        ),
        edited(TRENDS, created_by="al"),
    ],
    ids=lambda document: type(document).__name__,
)
def test_a_user_who_is_named_is_not_deleted(document: AnyDocument) -> None:
    """Whoever came by that name later would have what this one was given."""
    al = User(username="al")
    state = Memory(User(username="root", roles=(Role.SUPER_USER,)), al, LAB, P, document)
    told = [fault.partition(": ")[2].partition(" ")[2] for fault in faults(state, main((U, al, None)))]
    assert told == ["refers to it"]


def token(digit: str) -> PersonalToken:
    return PersonalToken(sha256=digit * 64, label="x", created_at=NOW)


def test_a_token_is_one_holders() -> None:
    """Else who uses it acts as the other: a push once gave zed the digest of alice's token."""
    root = User(username="root", roles=(Role.SUPER_USER,), tokens=(token("0"), token("0")))
    al = User(username="al", active=False, tokens=(token("1"),))
    tpp = Backend(slug="tpp", name="TPP", tokens=(token("2"),), created_at=NOW)
    state = Memory(root, al, tpp)
    zed = User(username="zed")

    def told(*tokens: PersonalToken) -> list[str]:
        return faults(state, main(("users/zed.yaml", None, edited(zed, tokens=tokens))))

    assert told(token("3")) == []
    assert told(token("1")) == [
        "users/zed.yaml: tokens: the token 1111111111... is already in users/al.yaml: create a new one"
    ]
    assert told(token("2"), token("3"), token("3"))[0].endswith("in backends/tpp.yaml: create a new one")
    assert told(token("3"), token("3"))[0].endswith("in users/zed.yaml: create a new one")
    # Whoever revoked one of the two would have it go on.
    twice = edited(al, tokens=(*al.tokens, token("1")))
    assert faults(state, main((U, al, twice))) == [
        "users/al.yaml: tokens: the token 1111111111... is already in users/al.yaml: create a new one"
    ]
    # One that goes over to another person in the same commit is one person's before and after.
    moved = main((U, al, edited(al, tokens=())), ("users/zed.yaml", None, edited(zed, tokens=al.tokens)))
    assert faults(state, moved) == []
    both = main((U, al, edited(al, tokens=(token("4"),))), ("users/zed.yaml", None, edited(zed, tokens=(token("4"),))))
    assert faults(state, both) == [
        "users/zed.yaml: tokens: the token 4444444444... is already in users/al.yaml: create a new one"
    ]
    # What is so already stops nobody from changing something else.
    assert faults(state, main(("users/root.yaml", root, edited(root, name="Root")))) == []


def test_names_of_people_differ_by_more_than_case(state: Memory) -> None:
    def told(*usernames: str) -> list[str]:
        return faults(state, main(*((f"users/{one}.yaml", None, User(username=one)) for one in usernames)))

    assert told("Root") == [
        "users/Root.yaml: username: user 'root' already exists: usernames must differ in more than upper and lower case"
    ]
    assert [one.partition(":")[0] for one in told("Zed", "zed", "ZED")] == ["users/zed.yaml", "users/ZED.yaml"]
    alone = User(username="al")
    state.put(alone)
    assert faults(state, main((U, alone, None), ("users/Al.yaml", None, User(username="Al")))) == []


def test_what_an_older_policy_allowed_stays_legal(state: Memory) -> None:
    changes = main(("users/Root.yaml", None, User(username="Root")))
    assert admit(state.on("main"), changes, ROOT, NOW, policy=1).changes is changes


def test_since_policy_3_no_workspace_is_called_schemas(state: Memory) -> None:
    path = "workspaces/schemas.yaml"
    changes = main((path, None, edited(TRENDS, name="schemas")))
    assert admit(state.on("main"), changes, ROOT, NOW, policy=2).changes is changes
    message = "'schemas' is reserved for a page of the server: choose another name"
    assert faults(state, changes) == [f"{path}: name: {message}"]
