"""The runner's job requests and jobs, and their form in HTTP and on disk (docs/contract.md). Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from jobserver.domain.base import names
from jobserver.domain.base.values import timestamp
from jobserver.domain.job_requests.jobs import cut_message
from jobserver.domain.job_requests.lifecycle import FINISHED
from jobserver.errors import invalid

_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,64}")
_WORKSPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_SHA = re.compile(names.SHA)


def _timestamp_or_none(moment: datetime | None) -> str | None:
    return None if moment is None else timestamp(moment)


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


@dataclass(frozen=True, slots=True)
class RunnerRequest:
    """The part of a job request that a runner needs. ``repo`` is an https URL or a path inside STUDY_REPOS."""

    identifier: str
    backend: str
    workspace: str
    repo: str
    branch: str
    sha: str
    requested_actions: tuple[str, ...]
    cancelled_actions: tuple[str, ...] = ()
    force_run_dependencies: bool = False

    @classmethod
    def from_item(cls, item: Any) -> "RunnerRequest":
        """From an item of the server's list. Raises `Error` (invalid) if a field is missing or unusable.

        Checks the identifier and the workspace's name, because they become names of folders.
        """
        match item:
            case {
                "identifier": str(identifier),
                "backend": str(backend),
                "sha": str(sha),
                "requested_actions": list(requested),
                "workspace": {"name": str(workspace), "repo": str(repo), "branch": str(branch)},
            } if _strings(requested) and requested:
                pass
            case _:
                raise invalid("a field is missing or has the wrong type", _named(item))
        cancelled = item.get("cancelled_actions", [])
        if not _IDENTIFIER.fullmatch(identifier):
            raise invalid("the identifier has characters that are not allowed", _named(item))
        if not _WORKSPACE.fullmatch(workspace):
            raise invalid(f"the workspace's name has characters that are not allowed: {workspace!r}", identifier)
        if not _SHA.fullmatch(sha):
            raise invalid(f"sha is not a commit id: {sha!r}", identifier)
        if not isinstance(cancelled, list) or not _strings(cancelled):
            raise invalid("cancelled_actions is not a list of names", identifier)
        return cls(
            identifier,
            backend,
            workspace,
            repo,
            branch,
            sha,
            tuple(requested),
            tuple(cancelled),
            item.get("force_run_dependencies") is True,
        )

    def as_item(self) -> dict[str, Any]:
        """The inverse of `from_item`."""
        return {
            "identifier": self.identifier,
            "backend": self.backend,
            "sha": self.sha,
            "requested_actions": list(self.requested_actions),
            "cancelled_actions": list(self.cancelled_actions),
            "force_run_dependencies": self.force_run_dependencies,
            "workspace": {"name": self.workspace, "repo": self.repo, "branch": self.branch},
        }


@dataclass(frozen=True, slots=True)
class RunnerJob:
    """One action of a request, as it is reported."""

    identifier: str
    action: str
    status: str
    status_code: str
    status_message: str
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    run_command: str | None = None

    @property
    def finished(self) -> bool:
        return self.status in FINISHED

    def moved(self, status: str, code: str, message: str, now: datetime) -> "RunnerJob":
        """This job in another state. ``updated_at`` always grows, because the server ignores older reports."""
        moment = max(now, self.updated_at + timedelta(microseconds=1))
        started, completed = self.started_at, None
        if status == "pending":
            started = None
        elif status == "running":
            started = moment
        else:
            completed = moment
        return replace(
            self,
            status=status,
            status_code=code,
            status_message=cut_message(message.encode(errors="replace").decode(), "the runner"),
            updated_at=moment,
            started_at=started,
            completed_at=completed,
        )

    def as_payload(self, request: str) -> dict[str, Any]:
        """An element of the list that is posted to ``/api/v2/jobs/``."""
        return {
            "job_request_id": request,
            "identifier": self.identifier,
            "action": self.action,
            "status": self.status,
            "status_code": self.status_code,
            "status_message": self.status_message,
            "created_at": timestamp(self.created_at),
            "updated_at": timestamp(self.updated_at),
            "started_at": _timestamp_or_none(self.started_at),
            "completed_at": _timestamp_or_none(self.completed_at),
            "run_command": self.run_command,
            "trace_context": {},
            "metrics": {},
            "requires_db": False,
        }

    @classmethod
    def from_payload(cls, data: Mapping[str, Any]) -> "RunnerJob":
        """The inverse of `as_payload`. Raises KeyError, TypeError or ValueError for anything else."""
        return cls(
            data["identifier"],
            data["action"],
            data["status"],
            data["status_code"],
            data["status_message"],
            datetime.fromisoformat(data["created_at"]),
            datetime.fromisoformat(data["updated_at"]),
            _time(data["started_at"]),
            _time(data["completed_at"]),
            data["run_command"],
        )


def _strings(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _named(item: Any) -> str:
    identifier = item.get("identifier") if isinstance(item, dict) else None
    return identifier[:64] if isinstance(identifier, str) else "a job request without an identifier"
