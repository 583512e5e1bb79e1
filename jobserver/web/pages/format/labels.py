"""Statuses, codes, flags and times in words that people use, with what to do next. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from jobserver.domain.base.permissions import GRANTS, Permission, Role
from jobserver.domain.releases import MANIFEST, ReleaseFile
from jobserver.index.queries.jobs import JobRow

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
_LAST = (datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)

STATUS = {
    "pending": "Waiting",
    "running": "Running",
    "failed": "Failed",
    "succeeded": "Succeeded",
    "unknown": "Not picked up yet",
}
NEVER = "never"  # not a status: of an action that no job was made for
SIGNS = {"pending": "◷", "running": "▶", "failed": "✕", "succeeded": "✓", "unknown": "…", NEVER: "○"}

# code -> (what it means, what to do next)
CODES = {
    "created": ("The runner has made this job.", ""),
    "initiated": ("The runner is about to start it.", ""),
    "paused": ("The backend is paused.", "It goes on by itself when the backend does."),
    "waiting_db_maintenance": ("The backend's database is being maintained.", "It goes on by itself afterwards."),
    "waiting_on_dependencies": ("Waits for the actions that it needs.", ""),
    "waiting_on_workers": ("Waits for a free place on the backend.", ""),
    "waiting_on_db_workers": ("Waits for a free place on the backend's database.", ""),
    "waiting_on_reboot": ("The runner was restarted; the job will run again.", ""),
    "waiting_on_new_task": ("The runner is starting it anew.", ""),
    "preparing": ("The study is being made ready.", ""),
    "prepared": ("The study is ready.", ""),
    "executing": ("It runs.", ""),
    "executed": ("It has run; its outputs are being collected.", ""),
    "finalizing": ("Its outputs are being collected.", ""),
    "finalized": ("Its outputs are collected.", ""),
    "succeeded": ("It ran to its end, and its outputs are there.", ""),
    "dependency_failed": ("It was not run, because an action that it needs failed.", "Look at that action first."),
    "nonzero_exit": ("The study's own command ended with an error.", "Read its log on the backend; run it locally."),
    "cancelled_by_user": ("Somebody cancelled it.", "Run it again if it is still wanted."),
    "unmatched_patterns": (
        "It ran, but did not make the files that project.yaml promises.",
        "Compare its `outputs` in project.yaml with what it writes.",
    ),
    "internal_error": (
        "Something went wrong on the backend, not in the study.",
        "Try again; if it stays, tell its operator.",
    ),
    "killed_by_admin": ("An administrator ended it.", "Ask them, or run it again."),
    "marked_as_failed": ("An administrator marked it as failed, because its runner lost it.", "Run it again."),
    "stale_codelists": ("The study's codelists are out of date.", "Update them, commit, and run it again."),
    "job_error": ("The job could not be begun as project.yaml describes it.", "Read the message; mend project.yaml."),
}

FLAGS = {
    "paused": "It is paused: nothing new is started.",
    "mode": "Its database is being maintained: jobs that need it wait.",
    "manual-db-maintenance": "Its database is being maintained by hand: jobs that need it wait.",
    "refusing": "It leaves requests alone that nobody vouches for: its log says why.",
}

PERMISSIONS = {
    Permission.RUN_JOB: "runs jobs",
    Permission.CANCEL_JOB: "cancels jobs",
    Permission.INVITE_PROJECT_MEMBERS: "invites people",
    Permission.MANAGE_PROJECT_MEMBERS: "changes members and their roles",
    Permission.MANAGE_PROJECT_WORKSPACES: "connects workspaces",
    Permission.CHECK_OUTPUT: "checks output: sees what is released",
    Permission.PUBLISH_OUTPUT: "publishes output: sees what is released",
    Permission.UPLOAD_RELEASE: "lets files out of a backend",
    Permission.REVIEW_PROJECT: "reviews projects: sees their registration and history",
    Permission.READ_ALL: "reads everything",
    Permission.ADMINISTER: "administers everything",
}


def may(role: str) -> str:
    """What a role permits, in words."""
    granted = GRANTS[Role(role)]
    if granted == frozenset(Permission):
        return "may do everything"
    return ", ".join(words for permission, words in PERMISSIONS.items() if permission in granted) or "may only look"


def said(status: str) -> str:
    """A status in words; another text as it is."""
    return "Never run" if status == NEVER else STATUS.get(status, status)


def moment(micros: int | None) -> datetime | None:
    """What is beyond the years that there are, is the last of them: an estimate may add up centuries."""
    if micros is None:
        return None
    return _EPOCH + timedelta(microseconds=max(_FIRST, min(micros, _LAST)))


def micros(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


def ago(at: datetime, now: datetime) -> str:
    """``3 minutes ago``, ``in 2 hours``."""
    seconds = int((now - at).total_seconds())
    said = length(abs(seconds))
    if abs(seconds) < 5:
        return "just now"
    return f"{said} ago" if seconds > 0 else f"in {said}"


def length(seconds: float) -> str:
    """``45 seconds``, ``2 minutes``, ``3 hours``, ``4 days``: the largest unit of which there is one."""
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    count = int(seconds)
    return f"{count} second{'s' if count != 1 else ''}"


def clock(seconds: float) -> str:
    """``HH:MM:SS``; nothing where two clocks disagree."""
    whole = max(int(seconds), 0)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"


def size(count: int) -> str:
    """``812 bytes``, ``1.4 KB``, ``12 MB``."""
    if count < 1000:
        return f"{count} byte{'s' if count != 1 else ''}"
    value, unit = count / 1000, "KB"
    if value >= 999.5:
        value, unit = value / 1000, "MB"
    return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"


def files(released: Sequence[ReleaseFile]) -> str:
    """The first two by name, without their folders and the manifest, and how many more there are."""
    found = [file.path.rpartition("/")[2] for file in released if file.path != MANIFEST]
    more = f" and {len(found) - 2} more" if len(found) > 2 else ""
    return ", ".join(found[:2]) + more or "only a manifest"


def navigation(is_admin: bool) -> list[tuple[str, str]]:
    """(what it is called, its URL) of the pages that every page leads to."""
    found = [("Event log", "/jobs/"), ("Status", "/status/"), ("Projects", "/orgs/")]
    return [*found, ("Backends", "/backends/"), ("People", "/users/")] if is_admin else found


def request_tabs(identifier: str) -> list[tuple[str, str]]:
    return [("Overview", f"/job-requests/{identifier}/"), ("Audit", f"/job-requests/{identifier}/audit/")]


def job_url(job: JobRow) -> str:
    """A job's id is its backend's own: only within its request it is sure to mean one job."""
    return f"/job-requests/{job.request}/jobs/{job.identifier}/"


def job_tabs(job: JobRow) -> list[tuple[str, str]]:
    return [("Overview", job_url(job)), ("Audit", f"{job_url(job)}audit/")]


def backend_tabs(slug: str, is_admin: bool) -> list[tuple[str, str]]:
    found = [("Status", "/status/"), ("Audit", f"/backends/{slug}/audit/")]
    return [found[0], ("Settings", f"/backends/{slug}/"), found[1]] if is_admin else found


def project_tabs(name: str, can_manage: bool, can_look_into: bool) -> list[tuple[str, str]]:
    found = [("Project", f"/orgs/{name}/")]
    found += [("Settings", f"/orgs/{name}/settings/")] if can_manage else []
    return found + ([("Audit", f"/orgs/{name}/audit/")] if can_look_into else [])


def workspace_tabs(name: str, has_releases: bool) -> list[tuple[str, str]]:
    """(what it is called, its URL) of a workspace's views."""
    found = [("Run", f"/{name}/"), ("Event log", f"/{name}/logs/"), ("Audit", f"/{name}/audit/")]
    return [*found[:2], ("Releases", f"/{name}/releases/"), found[2]] if has_releases else found


def meaning(code: str) -> tuple[str, str]:
    return CODES.get(code, ("", ""))


def raised(flags: "dict[str, dict[str, object]]") -> list[tuple[str, datetime | None]]:
    """What a runner's flags say of it, in words, and since when if it says that."""
    off = (None, "", False, "false", "False", "off", "no")
    return [
        (words, _since(flags[flag].get("ts")))
        for flag, words in FLAGS.items()
        if flag in flags and flags[flag].get("v") not in off
    ]


def is_refused(identifier: str, flags: "dict[str, dict[str, object]]") -> bool:
    """Whether a runner says that it leaves this request alone, or all of its branch, as nobody vouches for it."""
    said = str(flags.get("refusing", {}).get("v")).split()
    return identifier in said or any(word.startswith("backends/") for word in said)


def _since(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)  # checked when it was taken: see `service.presence`
