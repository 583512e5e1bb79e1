"""What the pages of the components show: made-up requests, jobs, pipelines and forms. Pure."""

from collections.abc import Mapping
from typing import Any

from jobserver.domain.job_requests import outcomes
from jobserver.errors import Fault, invalid
from jobserver.index.queries.history import ActionRun
from jobserver.index.queries.jobs import JobRow
from jobserver.index.queries.requests import JobRequestRow
from jobserver.web.pages.format.graph import picture
from jobserver.web.pages.history.figures import runs_chart
from jobserver.web.pages.sent_form import SentForm, sent_form
from jobserver.web.pages.views import timeline as timelines

_MINUTE = 60_000_000
_NEEDS: dict[str, list[str]] = {
    "generate_cohort": [],
    "prepare_tables": ["generate_cohort"],
    "describe": ["prepare_tables"],
    "fit_model": ["prepare_tables"],
    "plot_curves": ["describe", "fit_model"],
    "report": ["plot_curves"],
    "check_codelists": [],
    "fetch_weather": [],
    "map_weather": ["fetch_weather"],
}
_STATUSES = {
    "generate_cohort": "succeeded",
    "prepare_tables": "succeeded",
    "describe": "running",
    "fit_model": "failed",
    "plot_curves": "pending",
    "report": "unknown",
    "check_codelists": "never",
    "fetch_weather": "cancelled",
    "map_weather": "skipped",
}


def graph() -> dict[str, Any]:
    large = {"extract": [], **{f"clean_{n:02}": ["extract"] for n in range(30)}, "report": ["model_07", "model_08"]}
    large |= {f"model_{n:02}": [f"clean_{n:02}"] for n in range(30)}
    statuses = {name: "failed" if name == "model_07" else "succeeded" for name in large if name != "report"}
    return {
        "picture": picture(_NEEDS, _STATUSES),
        "large": picture(large, statuses),
        "links": {"fit_model": "#fit_model"},
    }


def timeline(now: int) -> dict[str, Any]:
    """Ten minutes ago a runner took this request."""
    times = {"succeeded": (9, 6), "failed": (6, 2), "running": (6, None), "pending": (None, None), "cancelled": (9, 8)}
    jobs = [
        _job(action, status, now, *times[status])
        for action, status in _STATUSES.items()
        if status in times and action != "generate_cohort"
    ]
    whole = timelines.timeline(jobs, now - 22 * _MINUTE, now)
    assert whole is not None
    return {"bars": [whole.bar(job, now) for job in jobs], "timeline": whole}


def _job(action: str, outcome: str, now: int, started: int | None, completed: int | None) -> JobRow:
    """``started`` and ``completed``: minutes ago."""

    def ago(minutes: int | None) -> int | None:
        return None if minutes is None else now - minutes * _MINUTE

    code = outcomes.BY_USER if outcome == outcomes.CANCELLED else ""
    status, created = outcomes.reported_status(outcome), now - 10 * _MINUTE
    return JobRow(action, "", action, status, code, "", created, now, ago(started), ago(completed), {})


def requests(now: int) -> dict[str, Any]:
    """One row for each outcome."""
    rows = [
        JobRequestRow(
            identifier=f"sample{number}",
            backend="tpp",
            workspace="heart-study",
            project=None,
            created_by="alice",
            created_at=now - (number + 1) * 35 * _MINUTE,
            outcome=outcome,
            jobs=0 if outcome == "unknown" else 4,
            succeeded=4 if outcome == "succeeded" else 1 if outcome in ("failed", "running") else 0,
            started_at=now - 30 * _MINUTE if outcome not in ("pending", "unknown") else None,
            completed_at=now - 5 * _MINUTE if outcome in outcomes.ENDED else None,
            updated_at=now,
            actions=("run_all",) if number % 2 else ("describe", "fit_model", "plot_curves", "report"),
            cancelled_by=("cara",) if outcome == outcomes.CANCELLED else (),
            cancelled=(),
            sha="c7428a80e1b9f2d36a5544b0c9d81e7f6a2b3c4d",
        )
        for number, outcome in enumerate(("unknown", "pending", "running", "failed", "cancelled", "succeeded"))
    ]
    return {"rows": rows}


def runs(now: int) -> dict[str, Any]:
    """The runs of an action: most succeed, two failed, one was cancelled."""
    outcomes_ = {5: "failed", 11: "failed", 18: outcomes.CANCELLED}
    run_list = [
        ActionRun(
            request=f"sample{number}",
            identifier=f"job{number}",
            backend="tpp",
            outcome=outcomes_.get(number, "succeeded"),
            created_at=now - number * 60 * _MINUTE,
            started_at=now - number * 60 * _MINUTE,
            completed_at=now - number * 60 * _MINUTE + (12 + number * 5 % 9) * _MINUTE,
            sha="c7428a80e1b9f2d36a5544b0c9d81e7f6a2b3c4d",
            created_by="alice",
        )
        for number in range(24)
    ]
    return {"chart": runs_chart(run_list, (14 * _MINUTE, 18 * _MINUTE))}


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
