"""Statuses, status codes, roles and sizes in words, with what to do next. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence

from jobserver.domain.base.permissions import GRANTS, Permission, Role
from jobserver.domain.job_requests import outcomes
from jobserver.domain.outputs.approvals import ReleaseState, Standing
from jobserver.domain.outputs.documents import CheckedRelease
from jobserver.domain.releases import MANIFEST, ReleaseFile
from jobserver.index.queries.jobs import JobRow
from jobserver.index.queries.requests import JobRequestRow

STATUS = {
    "pending": "Pending",
    "running": "Running",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "skipped": "Skipped",
    "succeeded": "Succeeded",
    "unknown": "Requested",  # the runner has not created its jobs yet
}
NEVER = "never"  # not a status: an action that has no job
SIGNS = {
    "pending": "◷",
    "running": "▶",
    "failed": "✕",
    "cancelled": "⊘",
    "skipped": "↷",
    "succeeded": "✓",
    "unknown": "…",
    NEVER: "○",
}
# Of the request or job of a page, in the title of its tab.
TAB_SIGNS = {"running": "●", "failed": "✕", "cancelled": "⊘", "skipped": "↷", "succeeded": "✓"}
# State of a release or of a file of one -> the status whose sign and colour it has.
RELEASE_STYLES = {
    "requested": "unknown",
    "under review": "running",
    "approved": "succeeded",
    "rejected": "failed",
    "released": "succeeded",
    "withdrawn": "cancelled",
    "published": "succeeded",
}
_ICONS = frozenset({"running", "failed", "succeeded"})

# status code -> (what it means, what to do next)
CODES = {
    "created": ("The job is in the queue.", ""),
    "initiated": ("The job is about to start.", ""),
    "paused": ("The backend is paused.", "The job will start when the backend is no longer paused."),
    "waiting_db_maintenance": (
        "The backend's database is in maintenance.",
        "The job will start when the maintenance is over.",
    ),
    "waiting_on_dependencies": ("Waiting for the actions that this one needs.", ""),
    "waiting_on_workers": ("Waiting for a free worker on the backend.", ""),
    "waiting_on_db_workers": ("Waiting for a free database worker on the backend.", ""),
    "waiting_on_reboot": ("The runner restarted. The job will run again.", ""),
    "waiting_on_new_task": ("The runner is starting the job again.", ""),
    "preparing": ("Preparing the study.", ""),
    "prepared": ("The study is ready.", ""),
    "executing": ("The job is running.", ""),
    "executed": ("The command has finished. Its outputs are being collected.", ""),
    "finalizing": ("Collecting the outputs.", ""),
    "finalized": ("The outputs have been collected.", ""),
    "succeeded": ("The job succeeded and its outputs are ready.", ""),
    "dependency_failed": (
        "The job did not run because an action that it needs did not succeed.",
        "Check that action first.",
    ),
    "nonzero_exit": (
        "The action's command failed with an error.",
        "Read its log on the backend, or run the action on your own computer.",
    ),
    "cancelled_by_user": ("A user cancelled the job.", "Run it again if you still need it."),
    "unmatched_patterns": (
        "The command finished but did not create all the files that project.yaml lists.",
        "Compare `outputs` in project.yaml with the files that the command writes.",
    ),
    "internal_error": (
        "The job failed because of a problem on the backend, not in the study.",
        "Run it again. If it fails again, contact the backend's operator.",
    ),
    "killed_by_admin": ("An administrator stopped the job.", "Ask them why, or run it again."),
    "marked_as_failed": ("An administrator marked the job as failed because its runner lost it.", "Run it again."),
    "stale_codelists": ("The study's codelists are out of date.", "Update them, commit the change and run it again."),
    "job_error": (
        "The job could not start because of a problem in project.yaml.",
        "Read the message and correct project.yaml.",
    ),
}
# In the messages of runners: of Docker, of a shell and of this runner.
_OUT_OF_MEMORY = re.compile(r"out[ -]of[ -]memory|\boom\b|\bMemoryError\b|cannot allocate", re.IGNORECASE)
_KILLED = re.compile(r"\b(?:code|status)\W{0,3}137\b|\bsignal 9\b|\bSIGKILL\b", re.IGNORECASE)
_LESS_MEMORY = "Load less data at once, or ask the backend's operator for more memory."

PERMISSIONS = {
    Permission.RUN_JOB: "run jobs",
    Permission.CANCEL_JOB: "cancel jobs",
    Permission.INVITE_PROJECT_MEMBERS: "invite people",
    Permission.MANAGE_PROJECT_MEMBERS: "manage members and their roles",
    Permission.MANAGE_PROJECT_WORKSPACES: "connect workspaces",
    Permission.CHECK_OUTPUT: "check outputs and view released files",
    Permission.APPROVE_OUTPUT: "approve outputs of others",
    Permission.PUBLISH_OUTPUT: "publish outputs and view released files",
    Permission.UPLOAD_RELEASE: "release files from a backend",
    Permission.VIEW_RELEASE: "view released files",
    Permission.GOVERN: "say how many approvals outputs need",
    Permission.REVIEW_PROJECT: "review projects: view their registration and history",
    Permission.VIEW_RELEASE: "view released files",
    Permission.MANAGE_PROJECTS: "manage all projects: their limits, members and names",
    Permission.MANAGE_USERS: "manage people: their roles and limits",
    Permission.READ_ALL: "view everything",
    Permission.ADMINISTER: "administer everything",
}


def icon(outcome: str) -> str:
    """The file of the tab's icon on the page of a request or job; ``outcome`` is empty on other pages."""
    return f"icon-{outcome}.svg" if outcome in _ICONS else "icon.svg"


def status(name: str, cancelled_by: Sequence[str] = ()) -> str:
    """A status or outcome in words; another text as it is. ``cancelled_by``: who asked, if it was cancelled."""
    word = "Never run" if name == NEVER else STATUS.get(name, name)
    return word if name not in STATUS else word + outcomes.in_words(name, cancelled_by).removeprefix(name)


def cancellers(job: JobRow, row: JobRequestRow, by_action: Mapping[str, str]) -> tuple[str, ...]:
    """Who asked to cancel this job of a request. An administrator of the backend has no name here.

    ``by_action``: action -> who cancelled it, where several people cancelled some."""
    if job.status_code != outcomes.BY_USER:
        return ()
    return (by_action[job.action],) if job.action in by_action else row.cancelled_by


def explained(job: JobRow) -> tuple[str, str]:
    """(why the job is in this state, what to do next); empty where nothing is known."""
    if job.had_nothing_to_do:
        return "Nothing had to run: this action had succeeded before.", ""
    if job.status_code == "nonzero_exit":
        if _OUT_OF_MEMORY.search(job.status_message):
            return "The action's command ran out of memory.", _LESS_MEMORY
        if _KILLED.search(job.status_message):
            return "The action's command was killed, most often because it used too much memory.", _LESS_MEMORY
    return status_code(job.status_code)


def status_code(code: str) -> tuple[str, str]:
    """(what the code means, what to do next); empty for a code that is not known."""
    return CODES.get(code, ("", ""))


def actor(name: str) -> str:
    """Who made a commit: ``user/alice`` is alice, ``backend/tpp`` is the runner of tpp."""
    kind, _, own = name.partition("/")
    return {"user": own, "backend": f"the runner of {own}", "server": "the server"}.get(kind, name)


def via(trailer: str) -> str:
    """By which way a change came in: ``web``, ``http``, ``cli/root``; another one as it is."""
    way, _, account = trailer.partition("/")
    ways = {"web": "on a web page", "http": "through the API", "cli": f"with a command ({account})"}
    return ways.get(way, f"via {trailer}")


def roles(given: Iterable[str]) -> str:
    """``Core developer, Auditor``; a dash where there are none."""
    return ", ".join(Role(role).words for role in given) or "–"


def permissions(role: str) -> str:
    """What a person with this role can do: ``Can run jobs, cancel jobs``."""
    granted = GRANTS[Role(role)]
    if Permission.ADMINISTER in granted:
        return "Can do everything, except to approve outputs and to say how many approvals they need"
    verbs = [verb for permission, verb in PERMISSIONS.items() if permission in granted]
    return f"Can {', '.join(verbs)}" if verbs else "Can view pages"


def size(count: int) -> str:
    """``812 bytes``, ``1.4 KB``, ``12 MB``."""
    if count < 1000:
        return f"{count} byte{'s' if count != 1 else ''}"
    value, unit = count / 1000, "KB"
    if value >= 999.5:
        value, unit = value / 1000, "MB"
    return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"


def files(released: Sequence[ReleaseFile]) -> str:
    """The first two file names, without folders and the manifest, and how many more there are."""
    names = [file.path.rpartition("/")[2] for file in released if file.path != MANIFEST]
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return ", ".join(names[:2]) + more or "only a manifest"


# metric -> (label, format). CPU is in percent of one core; `mem_mb` is what the runner of 2025 calls megabytes.
_METRICS = {
    "cpu_mean": ("Average CPU", "{:.0f}%"),
    "cpu_peak": ("Peak CPU", "{:.0f}%"),
    "mem_mb_mean": ("Average memory", "{:,.0f} MB"),
    "mem_mb_peak": ("Peak memory", "{:,.0f} MB"),
}


def metric(name: str, value: object) -> tuple[str, str]:
    """(label, value with its unit) of one of a job's metrics; an unknown one as the runner sent it."""
    if name in _METRICS and isinstance(value, int | float):
        label, form = _METRICS[name]
        return label, form.format(value)
    return name.replace("_", " "), str(value)


def release_sentence(release: CheckedRelease, state: ReleaseState, standing: Standing) -> str:
    """The answer of a release's page."""
    needs = f"Each file needs {standing.required} approval{'s' if standing.required != 1 else ''}."
    live = len(release.live_files())
    if state is ReleaseState.WITHDRAWN and not any(file.uploaded for file in release.files):
        return "This release was withdrawn before any of its files left the backend."
    return {
        ReleaseState.REQUESTED: f"Nobody has reviewed this release yet. {needs}",
        ReleaseState.UNDER_REVIEW: f"Output checkers are reviewing this release. {needs}",
        ReleaseState.APPROVED: "The approved files can leave the backend now.",
        ReleaseState.REJECTED: "An output checker rejected this release.",
        ReleaseState.RELEASED: "1 file is released." if live == 1 else f"{live} files are released.",
        ReleaseState.WITHDRAWN: "The files of this release were withdrawn, and their contents are erased.",
        ReleaseState.PUBLISHED: "Anybody can read files of this release.",
    }[state]
