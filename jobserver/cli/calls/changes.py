"""Commands that change documents, as calls of a server."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from jobserver.cli.calls.client import URL, ServerClient
from jobserver.domain.backends import (
    ActivateBackend,
    ConnectController,
    DeactivateBackend,
    DisconnectController,
    PauseBackend,
    ResumeBackend,
    RevokeBackendToken,
)
from jobserver.domain.governance.project_limits import ChangeProject
from jobserver.domain.orgs import AddOrg
from jobserver.domain.outputs.commands import ReviewRelease, WithdrawRelease
from jobserver.domain.outputs.publications import (
    ApprovePublication,
    EndPublication,
    RequestPublication,
    RequestUnpublication,
)
from jobserver.domain.plan import Command
from jobserver.domain.projects import (
    AcceptInvitation,
    AddProject,
    CancelInvitation,
    InviteToProject,
    RenameProject,
    SetOutputApprovals,
    SetProjectMember,
)
from jobserver.domain.site_messages import SetSiteMessage
from jobserver.domain.users import AddUser, ChangeUser, DisableUser, EnableUser, SetUserRoles
from jobserver.domain.workspaces import AddWorkspace, ChangeWorkspace, ConnectWorkspace
from jobserver.errors import forbidden, invalid

Call = tuple[str, str, dict[str, Any] | None]
"""Method, path below /api/v2/, and fields of the body."""


def submit(username: str | None, command: Command) -> None:
    """Raises `Error`, also for a command that only works on the server's machine."""
    refuse_other_users(username)
    with ServerClient.from_env() as server:
        if isinstance(command, AcceptInvitation):
            own = server.get("settings/").json()["username"]
            server.send("POST", f"projects/{command.project}/invitations/{own}/accept/")
            return
        server.send(*_call(command))


def run(username: str | None, path: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Requests, reruns or cancels jobs. The job request as it is then."""
    refuse_other_users(username)
    with ServerClient.from_env() as server:
        item: dict[str, Any] = server.send("POST", path, fields)
    return item


def set_email(username: str, address: str) -> None:
    """Raises `Error` (forbidden) for another person than the token's."""
    with ServerClient.from_env() as server:
        if server.get("settings/").json()["username"] != username:
            raise forbidden("a token changes the address of its owner, and nobody else's")
        server.send("PATCH", "settings/", {"email": address or None})


def refuse_other_users(username: str | None) -> None:
    """Raises `Error` (invalid) for ``--as``."""
    if username is not None:
        raise invalid(f"can't be used with {URL}: the token says who you are", "--as")


def _call(command: Command) -> Call:
    for call_of in (_of_workspaces, _of_projects, _of_people, _of_backends, _of_releases):
        if (call := call_of(command)) is not None:
            return call
    raise invalid("is set, but this command works on the server's machine only: unset it there", URL)


def _of_workspaces(command: Command) -> Call | None:
    match command:
        case AddWorkspace(name, repo, branch, db, project):
            fields = {"name": name, "repo": repo, "branch": branch, "db": db, "project": project}
            return "POST", "workspaces/", fields
        case ChangeWorkspace(name):
            keys = ("archived", "should_notify", "repo", "branch", "db")
            changed = {key: value for key in keys if (value := getattr(command, key)) is not None}
            return "PATCH", f"workspaces/{_part(name)}/", changed
        case ConnectWorkspace(name, project):
            return "PATCH", f"workspaces/{_part(name)}/", {"project": project}
    return None


def _of_projects(command: Command) -> Call | None:
    match command:
        case AddOrg(slug, name):
            return "POST", "orgs/", {"slug": slug, "name": name or None}
        case AddProject(project, name, None):
            return "POST", "projects/", {"project": project, "name": name or None}
        case RenameProject(project, name):
            return "PATCH", f"projects/{_part(project)}/", {"name": name}
        case ChangeProject(project, values):
            return "PATCH", f"projects/{_part(project)}/", dict(values)
        case SetOutputApprovals(project, number):
            return "PATCH", f"projects/{_part(project)}/", {"output_approvals": number}
        case SetProjectMember(project, username, roles):
            path = f"projects/{_part(project)}/members/{_part(username)}/"
            return ("PUT", path, {"roles": list(roles)}) if roles else ("DELETE", path, None)
        case InviteToProject(project, usernames, roles):
            fields = {"usernames": list(usernames), "roles": list(roles)}
            return "POST", f"projects/{_part(project)}/invitations/", fields
        case CancelInvitation(project, username):
            return "DELETE", f"projects/{_part(project)}/invitations/{_part(username)}/", None
    return None


def _of_people(command: Command) -> Call | None:
    match command:
        case AddUser(username, name, roles, github_id, None):
            return (
                "POST",
                "users/",
                {"username": username, "name": name or None, "roles": list(roles), "github_id": github_id},
            )
        case SetUserRoles(username, roles):
            return "PATCH", f"users/{_part(username)}/", {"roles": list(roles)}
        case ChangeUser(username, values):
            return "PATCH", f"users/{_part(username)}/", dict(values)
        case EnableUser(username) | DisableUser(username):
            return "PATCH", f"users/{_part(username)}/", {"active": isinstance(command, EnableUser)}
    return None


def _of_backends(command: Command) -> Call | None:
    match command:
        case ActivateBackend(slug) | DeactivateBackend(slug):
            return "PATCH", f"backends/{_part(slug)}/", {"active": isinstance(command, ActivateBackend)}
        case PauseBackend(slug) | ResumeBackend(slug):
            return "PATCH", f"backends/{_part(slug)}/", {"accepts_requests": isinstance(command, ResumeBackend)}
        case RevokeBackendToken(slug):
            return "DELETE", f"backends/{_part(slug)}/old-tokens/", None
        case ConnectController(slug, url, databases, repositories):
            fields = {"url": url, "databases": databases, "repositories": repositories}
            return "PUT", f"backends/{_part(slug)}/controller/", fields
        case DisconnectController(slug):
            return "DELETE", f"backends/{_part(slug)}/controller/", None
        case SetSiteMessage(text, level):
            return (
                ("PUT", "site-message/", {"text": text, "level": level}) if text else ("DELETE", "site-message/", None)
            )
    return None


def _of_releases(command: Command) -> Call | None:
    match command:
        case ReviewRelease(decision=decision, comment=comment, files=files):
            call, fields = "reviews", {"decision": decision, "comment": comment or None, "files": list(files) or None}
        case WithdrawRelease(reason=reason, files=files):
            call, fields = "withdraw", {"reason": reason, "files": list(files) or None}
        case RequestPublication(comment=comment, files=files):
            call, fields = "request-publication", {"comment": comment or None, "files": list(files) or None}
        case ApprovePublication():
            call, fields = "publish", {}
        case RequestUnpublication(comment=comment):
            call, fields = "request-unpublication", {"comment": comment or None}
        case EndPublication(reason=reason):
            call, fields = "unpublish", {"reason": reason}
        case _:
            return None
    release = f"{_part(command.backend)}/{_part(command.identifier)}"
    return "POST", f"workspaces/{_part(command.workspace)}/outputs/{release}/{call}/", fields


def _part(name: str) -> str:
    """A name in a URL; that of a project keeps its slash."""
    return quote(name, safe="/") if name.count("/") == 1 else quote(name, safe="")
