"""One frozen dataclass per verb. Secrets and other people's answers (a study's pipeline) are settled before."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from jobserver.domain.base.permissions import Role
from jobserver.domain.documents import Job, PipelineAction
from jobserver.domain.registration import Registration
from jobserver.domain.releases import Release


@dataclass(frozen=True, slots=True)
class AddBackend:
    slug: str
    token_sha256: str
    name: str = ""
    databases: tuple[str, ...] = ()
    parent_directory: str = ""


@dataclass(frozen=True, slots=True)
class RotateBackendToken:
    slug: str
    token_sha256: str
    keep_old: bool = False


@dataclass(frozen=True, slots=True)
class RevokeBackendToken:
    """Ends every token but the newest."""

    slug: str


@dataclass(frozen=True, slots=True)
class DeactivateBackend:
    slug: str


@dataclass(frozen=True, slots=True)
class ActivateBackend:
    """With the tokens that it had when it was switched off."""

    slug: str


@dataclass(frozen=True, slots=True)
class AddUser:
    """``github_id``: GitHub's number of who may log in to it from there; without it, whoever has that name there."""

    username: str
    name: str = ""
    roles: tuple[Role, ...] = ()
    github_id: int | None = None


@dataclass(frozen=True, slots=True)
class EnsureAdmin:
    """Makes sure that this person is a SuperUser. Changes nothing if so, nor for somebody who was disabled.

    ``recovers``: if nobody else is an active SuperUser, who was disabled is one again, without the tokens they had.
    """

    username: str
    recovers: bool = False


@dataclass(frozen=True, slots=True)
class AddUserToken:
    username: str
    label: str
    token_sha256: str


@dataclass(frozen=True, slots=True)
class RevokeUserToken:
    username: str
    label: str


@dataclass(frozen=True, slots=True)
class DisableUser:
    username: str


@dataclass(frozen=True, slots=True)
class EnableUser:
    """With the roles and tokens that they had when they were switched off."""

    username: str


@dataclass(frozen=True, slots=True)
class AddOrg:
    slug: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class AddProject:
    """``project`` is ``org/slug``. With a registration, no other project may have its name."""

    project: str
    name: str = ""
    registration: Registration | None = None


@dataclass(frozen=True, slots=True)
class RenameProject:
    project: str
    name: str


@dataclass(frozen=True, slots=True)
class SetProjectMember:
    """No roles at all ends the membership."""

    project: str
    username: str
    roles: tuple[Role, ...]


@dataclass(frozen=True, slots=True)
class InviteToProject:
    """Users who are no members yet; all of them, or none."""

    project: str
    usernames: tuple[str, ...]
    roles: tuple[Role, ...]


@dataclass(frozen=True, slots=True)
class CancelInvitation:
    """By whoever may invite; by who was invited, to decline it."""

    project: str
    username: str


@dataclass(frozen=True, slots=True)
class AcceptInvitation:
    """By who was invited, who becomes a member with the invitation's roles."""

    project: str


@dataclass(frozen=True, slots=True)
class AddWorkspace:
    name: str
    repo: str
    branch: str
    db: str = "full"
    project: str | None = None


@dataclass(frozen=True, slots=True)
class ChangeWorkspace:
    """None leaves a switch as it is."""

    name: str
    archived: bool | None = None
    should_notify: bool | None = None


@dataclass(frozen=True, slots=True)
class ConnectWorkspace:
    """To a project (``org/slug``), or, with None, from the one that it is in."""

    name: str
    project: str | None


@dataclass(frozen=True, slots=True)
class SetUserRoles:
    username: str
    roles: tuple[Role, ...]
    active: bool = True


@dataclass(frozen=True, slots=True)
class WelcomeUser:
    """Somebody from GitHub logged in for the first time: makes their account, or binds the one that has their name.

    Changes nothing for who is bound, or disabled. The result's ``username`` is the account's.
    """

    username: str
    github_id: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class FailJob:
    """A job that its runner lost: failed until the runner reports a finished state."""

    identifier: str
    request: str
    backend: str


@dataclass(frozen=True, slots=True)
class RequestJobs:
    """``sha``, ``pipeline``, ``warnings`` are one answer of the study's repository: a commit, and its project.yaml."""

    workspace: str
    backend: str
    requested_actions: tuple[str, ...]
    sha: str
    pipeline: Mapping[str, PipelineAction]
    force_run_dependencies: bool = False
    will_notify: bool | None = None
    database_name: str | None = None
    codelists_ok: bool = True
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CancelJobs:
    """``backend`` is where the request is; no actions: all that are not finished."""

    identifier: str
    backend: str
    actions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UpdateJobs:
    """A runner's report: (job request's id, job) for all jobs of each request that it names."""

    backend: str
    jobs: tuple[tuple[str, Job], ...]


@dataclass(frozen=True, slots=True)
class RecordRelease:
    """Its files are on the disk already, where nobody sees them yet."""

    backend: str
    release: Release


@dataclass(frozen=True, slots=True)
class ArchiveFinished:
    """Moves what a push finished: over HTTP the report itself moves it."""

    backend: str


@dataclass(frozen=True, slots=True)
class RecordPush:
    """``pusher`` is who was authenticated, ``backend/tpp``; ``old`` and ``new`` are commit ids."""

    branch: str
    old: str
    new: str
    pusher: str


@dataclass(frozen=True, slots=True)
class RecordCheckpoint:
    """``after``: the number of the checkpoint that the tips were found to descend from; 0 is none."""

    tips: Mapping[str, str]
    after: int


Command: TypeAlias = (
    AddBackend
    | RotateBackendToken
    | RevokeBackendToken
    | DeactivateBackend
    | ActivateBackend
    | AddUser
    | EnsureAdmin
    | AddUserToken
    | RevokeUserToken
    | DisableUser
    | EnableUser
    | AddOrg
    | AddProject
    | RenameProject
    | SetProjectMember
    | InviteToProject
    | CancelInvitation
    | AcceptInvitation
    | AddWorkspace
    | ChangeWorkspace
    | ConnectWorkspace
    | SetUserRoles
    | WelcomeUser
    | FailJob
    | RequestJobs
    | CancelJobs
    | UpdateJobs
    | RecordRelease
    | ArchiveFinished
    | RecordPush
    | RecordCheckpoint
)
