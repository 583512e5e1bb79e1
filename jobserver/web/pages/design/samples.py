"""What the pages of the components show: made-up requests, jobs, pipelines and forms. Pure."""

from collections.abc import Mapping
from typing import Any

from jobserver.errors import Fault, invalid
from jobserver.index.queries.jobs import JobRow
from jobserver.index.queries.requests import JobRequestRow
from jobserver.web.pages.format.graph import picture
from jobserver.web.pages.sent_form import SentForm, sent_form
from jobserver.web.pages.views import estimate

_MINUTE = 60_000_000
_NEEDS: dict[str, list[str]] = {
    "generate_cohort": [],
    "prepare_tables": ["generate_cohort"],
    "describe": ["prepare_tables"],
    "fit_model": ["prepare_tables"],
    "plot_curves": ["describe", "fit_model"],
    "report": ["plot_curves"],
    "check_codelists": [],
}
_STATUSES = {
    "generate_cohort": "succeeded",
    "prepare_tables": "succeeded",
    "describe": "running",
    "fit_model": "failed",
    "plot_curves": "pending",
    "report": "unknown",
    "check_codelists": "never",
}


def graph() -> dict[str, Any]:
    return {"picture": picture(_NEEDS, _STATUSES), "links": {"fit_model": "#fit_model"}}


def timeline(now: int) -> dict[str, Any]:
    """Ten minutes ago a runner took this request."""
    times = {"succeeded": (9, 6), "failed": (6, 2), "running": (6, None), "pending": (None, None)}
    jobs = [
        _job(action, status, now, *times[status])
        for action, status in _STATUSES.items()
        if status in times and action != "generate_cohort"
    ]
    begins, length = estimate.stretch(jobs, now - 10 * _MINUTE, now)
    return {"bars": estimate.timeline(jobs, begins, length, now), "timeline_length": length}


def _job(action: str, status: str, now: int, started: int | None, completed: int | None) -> JobRow:
    """``started`` and ``completed``: minutes ago."""

    def ago(minutes: int | None) -> int | None:
        return None if minutes is None else now - minutes * _MINUTE

    return JobRow(action, "", action, status, "", "", now - 10 * _MINUTE, now, ago(started), ago(completed), {})


def requests(now: int) -> dict[str, Any]:
    """One row for each status."""
    rows = [
        JobRequestRow(
            identifier=f"sample{number}",
            backend="tpp",
            workspace="heart-study",
            project=None,
            created_by="alice",
            created_at=now - (number + 1) * 35 * _MINUTE,
            status=status,
            jobs=0 if status == "unknown" else 4,
            succeeded=4 if status == "succeeded" else 1 if status in ("failed", "running") else 0,
            started_at=now - 30 * _MINUTE if status not in ("pending", "unknown") else None,
            completed_at=now - 5 * _MINUTE if status in ("failed", "succeeded") else None,
            updated_at=now,
            actions=("run_all",) if number % 2 else ("describe", "fit_model", "plot_curves", "report"),
            cancelled=(),
            sha="c7428a80e1b9f2d36a5544b0c9d81e7f6a2b3c4d",
        )
        for number, status in enumerate(("unknown", "pending", "running", "failed", "succeeded"))
    ]
    return {"rows": rows}


def form() -> Mapping[str, SentForm]:
    """A form as it is empty, and one that was refused."""
    fields = [
        *(("name", "heart study"), ("repo", "heart-study"), ("db", "slice"), ("purpose", ""), ("will_notify", "on")),
        ("slug", "Heart"),
    ]
    faults = [
        Fault("expected letters, digits, hyphens and underscores", key="name"),
        Fault("expected lowercase letters, digits and hyphens", key="slug"),
        Fault("choose at least one role", key="roles"),
    ]
    return {"empty": SentForm(), "refused": sent_form(invalid("refused", faults=faults), fields, ())}
