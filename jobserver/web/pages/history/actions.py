"""The page of an action: its runs, how often it succeeds, and how long it usually takes."""

from urllib.parse import urlencode

from bottle import HTTPResponse

from jobserver.domain.waiting import words
from jobserver.domain.waiting.usual import UsualDuration
from jobserver.errors import invalid, not_found
from jobserver.index.queries.history import ActionRun, action_runs, usual_duration
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.forms import text
from jobserver.web.pages.history.figures import runs_chart, success_rate
from jobserver.web.pages.site import Site

_PAGE = 30
_NEWEST = (1 << 62, "")


class Actions:
    def __init__(self, site: Site) -> None:
        self._site, self._services = site, site.services
        site.add("/<name>/actions/<action>/", self.show, filters=("backend", "before"))

    def show(self, context: PageContext, name: str, action: str) -> HTTPResponse:
        workspace = context.workspace(name)
        slugs, backend, before = self._services.visible.slugs(), text("backend", 64), _before(text("before"))
        if backend and backend not in slugs:
            raise invalid(f"backend {backend!r} does not exist", "backend")
        with self._services.index.view() as sql:
            runs = action_runs(sql, name, action, [backend] if backend else slugs, before, _PAGE + 1)
            if not runs and before == _NEWEST:
                raise not_found(f"action {action!r} has never run in workspace {name}")
            shown = runs[:_PAGE]
            backends = list(dict.fromkeys(run.backend for run in shown))
            usual = {slug: usual_duration(sql, slug, name, action) for slug in backends}
        known = {slug: duration for slug, duration in usual.items() if duration is not None}
        only = known.get(backends[0]) if len(backends) == 1 else None
        outcomes = [run.outcome for run in shown]
        return self._site.page(
            context,
            "history/action.html",
            title=f"{action} · {name}",
            workspace=workspace,
            action=action,
            runs=shown,
            backend=backend,
            backends=backends,
            usual={slug: usual_words(duration) for slug, duration in known.items()},
            slow={run.identifier for run in shown if _is_slow(run, known.get(run.backend))},
            rate=success_rate(outcomes.count("succeeded"), outcomes.count("failed")),
            last=next((run for run in shown if run.outcome == "succeeded"), None),
            chart=runs_chart(shown, (only.low, only.high) if only else None),
            older=_older(name, action, backend, shown[-1]) if len(runs) > _PAGE else "",
            is_newest=before == _NEWEST,
        )


def usual_words(usual: UsualDuration) -> str:
    """``12–19 min``: the middle half of past runs."""
    return words.span(usual.low / 1_000_000, usual.high / 1_000_000)


def _is_slow(run: ActionRun, usual: UsualDuration | None) -> bool:
    return usual is not None and run.duration is not None and usual.is_exceeded(run.duration)


def _before(value: str) -> tuple[int, str]:
    """Raises `Error` (invalid)."""
    if not value:
        return _NEWEST
    created_at, _, identifier = value.partition(".")
    if not (created_at.isascii() and created_at.isdecimal() and len(created_at) < 19):
        raise invalid("expected the address of a page of runs", "before")
    return int(created_at), identifier


def _older(name: str, action: str, backend: str, last: ActionRun) -> str:
    query = urlencode(
        [*([("backend", backend)] if backend else []), ("before", f"{last.created_at}.{last.identifier}")]
    )
    return f"/{name}/actions/{action}/?{query}"
