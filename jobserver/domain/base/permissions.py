"""Roles, and the permissions that each of them grants. `rights` says what an actor may do.

Facts: job-server's roles (May 2021), its later rights to upload and view releases, its later ServiceAdministrator and
TechSupport, and Auditor. SuperUser may do everything but approve and publish outputs, and govern; the others
what the table says.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Permission(StrEnum):
    __hash__ = str.__hash__  # Enum's own runs in Python, and each decision looks permissions up

    CANCEL_JOB = "cancel_job"
    CHECK_OUTPUT = "check_output"
    INVITE_PROJECT_MEMBERS = "invite_project_members"
    MANAGE_PROJECT_MEMBERS = "manage_project_members"
    MANAGE_PROJECT_WORKSPACES = "manage_project_workspaces"
    PUBLISH_OUTPUT = "publish_output"
    REVIEW_PROJECT = "review_project"
    RUN_JOB = "run_job"
    UPLOAD_RELEASE = "release_file_upload"
    MANAGE_PROJECTS = "manage_projects"
    MANAGE_USERS = "manage_users"
    READ_ALL = "read_all"
    VIEW_RELEASE = "release_file_view"
    APPROVE_OUTPUT = "approve_output"
    GOVERN = "govern"
    ADMINISTER = "administer"


class Role(StrEnum):
    __hash__ = str.__hash__

    PROJECT_COORDINATOR = "ProjectCoordinator"
    PROJECT_DEVELOPER = "ProjectDeveloper"
    PROJECT_COLLABORATOR = "ProjectCollaborator"
    ORG_COORDINATOR = "OrgCoordinator"
    CORE_DEVELOPER = "CoreDeveloper"
    OUTPUT_CHECKER = "OutputChecker"
    OUTPUT_PUBLISHER = "OutputPublisher"
    TECHNICAL_REVIEWER = "TechnicalReviewer"
    DATA_INVESTIGATOR = "DataInvestigator"
    GOVERNANCE_REVIEWER = "GovernanceReviewer"
    ONBOARDING_AGENT = "OnboardingAgent"
    SERVICE_ADMINISTRATOR = "ServiceAdministrator"
    TECH_SUPPORT = "TechSupport"
    AUDITOR = "Auditor"
    SUPER_USER = "SuperUser"

    @property
    def words(self) -> str:
        """As people read it: ``Core developer``."""
        return "Superuser" if self is Role.SUPER_USER else re.sub(r"\B(?=[A-Z])", " ", self.value).capitalize()


_P = Permission
# What lets outputs out, and the rule that says how many people it takes, are not for whoever runs the server.
NOT_FOR_SUPER_USERS = frozenset({_P.APPROVE_OUTPUT, _P.PUBLISH_OUTPUT, _P.GOVERN})
GRANTS: dict[Role, frozenset[Permission]] = {
    Role.PROJECT_COORDINATOR: frozenset(
        {_P.INVITE_PROJECT_MEMBERS, _P.MANAGE_PROJECT_MEMBERS, _P.MANAGE_PROJECT_WORKSPACES}
    ),
    Role.PROJECT_DEVELOPER: frozenset({_P.CANCEL_JOB, _P.CHECK_OUTPUT, _P.RUN_JOB}),
    Role.PROJECT_COLLABORATOR: frozenset({_P.VIEW_RELEASE}),
    Role.ORG_COORDINATOR: frozenset(),
    Role.CORE_DEVELOPER: frozenset(
        {
            _P.CANCEL_JOB,
            _P.INVITE_PROJECT_MEMBERS,
            _P.MANAGE_PROJECT_MEMBERS,
            _P.MANAGE_PROJECT_WORKSPACES,
            _P.RUN_JOB,
        }
    ),
    Role.OUTPUT_CHECKER: frozenset({_P.CHECK_OUTPUT, _P.APPROVE_OUTPUT, _P.UPLOAD_RELEASE}),
    Role.OUTPUT_PUBLISHER: frozenset({_P.PUBLISH_OUTPUT}),
    Role.TECHNICAL_REVIEWER: frozenset({_P.REVIEW_PROJECT}),
    Role.DATA_INVESTIGATOR: frozenset(),
    Role.GOVERNANCE_REVIEWER: frozenset({_P.GOVERN}),
    Role.ONBOARDING_AGENT: frozenset(),
    Role.SERVICE_ADMINISTRATOR: frozenset({_P.MANAGE_PROJECTS, _P.MANAGE_USERS}),
    Role.TECH_SUPPORT: frozenset({_P.READ_ALL, _P.VIEW_RELEASE}),
    Role.AUDITOR: frozenset({_P.READ_ALL}),
    Role.SUPER_USER: frozenset(Permission) - NOT_FOR_SUPER_USERS,
}

PROJECT_ROLES = frozenset({Role.PROJECT_COORDINATOR, Role.PROJECT_DEVELOPER, Role.PROJECT_COLLABORATOR})
ORG_ROLES = frozenset({Role.ORG_COORDINATOR})
GLOBAL_ROLES = frozenset(Role) - PROJECT_ROLES - ORG_ROLES
# Whose accounts only a SuperUser changes, and whom only a SuperUser makes.
ADMIN_ROLES = frozenset({Role.SERVICE_ADMINISTRATOR, Role.SUPER_USER})


# Whoever has one of these in a workspace's project, or everywhere, may see and download what was released of it.
SEE_RELEASES = frozenset({Permission.CHECK_OUTPUT, Permission.PUBLISH_OUTPUT, Permission.VIEW_RELEASE})


class ActorKind(StrEnum):
    USER = "user"
    BACKEND = "backend"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Actor:
    """An authenticated caller of the gate. ``str()`` gives the form of the `Actor:` trailer, ``user/alice``."""

    kind: ActorKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> "Actor":
        """The actor of a text such as ``user/alice``. Raises ValueError."""
        kind, _, name = text.partition("/")
        return cls(ActorKind(kind), name)


SERVER = Actor(ActorKind.SERVER, "jobserver")


def granted(*roles: Iterable[Role]) -> frozenset[Permission]:
    """The permissions of all these roles together."""
    return frozenset(permission for some in roles for role in some for permission in GRANTS[role])
