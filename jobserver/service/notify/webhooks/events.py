"""Writes the calls to webhooks about what happened: finished job requests, and backends that stop calling."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from jobserver.domain.base import layout
from jobserver.domain.base.values import timestamp
from jobserver.domain.job_requests import outcomes
from jobserver.service.accounts.private_store import PrivateStore, Statement
from jobserver.service.notify.news import News
from jobserver.service.notify.outbox import Message
from jobserver.service.notify.release_events import ReleaseEvent
from jobserver.service.notify.webhooks.silence import SilenceChange, silence_changes
from jobserver.service.notify.webhooks.store import (
    BACK,
    FAILED,
    FINISHED,
    RELEASE_UPDATED,
    SILENT,
    WebhookEvent,
    Webhooks,
)
from jobserver.service.writes.job_requests import RequestWithJobs
from jobserver.store.repo import StateRepo

_SILENCE_EVERY = timedelta(seconds=15)
_SHOWN = 20  # failed actions in one event


class WebhookWriter:
    def __init__(
        self,
        repo: StateRepo,
        private: PrivateStore,
        webhooks: Webhooks,
        base_url: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._repo, self._private, self._webhooks, self._base_url = repo, private, webhooks, base_url
        self._clock, self._started = clock, clock()
        self._silence_due = self._started

    def is_needed(self) -> bool:
        return bool(self._webhooks.all())

    def about(self, news: News) -> list[Message]:
        events = [
            *(finished_event(request, self._base_url) for request in news.finished),
            *(release_event(event, self._base_url) for event in news.releases),
        ]
        return [message for event in events for message in self._messages(event)]

    def periodic(self) -> tuple[list[Message], list[Statement]]:
        """About backends that have become silent, or call again."""
        now = self._clock()
        if now < self._silence_due or not any({SILENT, BACK} & set(webhook.events) for webhook in self._webhooks.all()):
            return [], []
        self._silence_due = now + _SILENCE_EVERY
        backends = self._repo.writer.read(layout.MAIN, lambda state: list(state.backends()))
        heard = {backend: last for backend, (last, _) in self._private.last_heard().items()}
        silent = {str(slug): int(str(last)) for slug, last in self._private.run("SELECT * FROM silences")}
        active = {backend.slug for backend in backends if backend.active}
        messages: list[Message] = []
        statements: list[Statement] = [_forget(slug) for slug in silent if slug not in active]
        for change in silence_changes(backends, heard, silent, int(self._started.timestamp()), int(now.timestamp())):
            slug = change.backend.slug
            remember: Statement = ("INSERT INTO silences VALUES (?, ?) ON CONFLICT DO NOTHING", (slug, change.since))
            statements.append(remember if change.back is None else _forget(slug))
            messages += self._messages(silence_event(change, now, self._base_url))
        return messages, statements

    def _messages(self, event: WebhookEvent) -> list[Message]:
        return [webhook.message(event) for webhook in self._webhooks.all() if webhook.covers(event)]


def _forget(slug: str) -> Statement:
    return "DELETE FROM silences WHERE backend = ?", (slug,)


def finished_event(request: RequestWithJobs, base_url: str) -> WebhookEvent:
    """Without messages of jobs: those may hold more than may leave the page."""
    document = request.stored.request
    summary = outcomes.summarise(
        [(job.status, job.status_code, job.started_at, job.completed_at, job.updated_at) for job in request.jobs]
    )
    failed = sorted(job.action for job in request.jobs if outcomes.outcome(job.status, job.status_code) == "failed")
    url = f"{base_url}/job-requests/{document.identifier}/"
    workspace, backend, by = document.workspace.name, document.backend, document.created_by
    data = {
        "identifier": document.identifier,
        "workspace": workspace,
        "project": document.project,
        "backend": backend,
        "status": summary.outcome,
        "outcome": summary.outcome,
        "cancelled_by": list(request.cancelled_by),
        "created_by": by,
        "created_at": timestamp(document.created_at),
        "jobs": summary.jobs,
        "succeeded": summary.succeeded,
        "failed_actions": failed[:_SHOWN],
        "url": url,
    }
    details = f": {', '.join(failed[:_SHOWN])}" if failed else ""
    ended = _escaped(outcomes.in_words(summary.outcome, request.cancelled_by) + details)
    text = f"{_link(url, f'{workspace} on {backend}')} {ended} (requested by {_escaped(by)})"
    names = (FINISHED, FAILED) if summary.outcome == "failed" else (FINISHED,)
    scopes = (f"workspace/{workspace}", *((f"project/{document.project}",) if document.project else ()))
    occurred = summary.completed_at or summary.updated_at or document.created_at
    return WebhookEvent(f"job request {document.identifier}", names, occurred, data, text, scopes)


def release_event(event: ReleaseEvent, base_url: str) -> WebhookEvent:
    """What Airlock told about a request to release files."""
    release, url = event.release, event.url(base_url)
    data = {
        "identifier": release.identifier,
        "workspace": release.workspace,
        "project": release.project,
        "backend": release.backend,
        "author": release.author,
        "step": event.event.step,
        "by": event.event.by,
        "updates": list(event.event.updates),
        "url": url,
    }
    lines = "".join(f"\n- {_escaped(line)}" for line in event.lines())
    text = f"{_link(url, f'{release.workspace} {release.identifier}')} has been updated{lines}"
    scopes = (f"workspace/{release.workspace}", *((f"project/{release.project}",) if release.project else ()))
    return WebhookEvent(f"release {event.mark}", (RELEASE_UPDATED,), event.event.at, data, text, scopes)


def silence_event(change: SilenceChange, now: datetime, base_url: str) -> WebhookEvent:
    slug, since = change.backend.slug, datetime.fromtimestamp(change.since, UTC)
    url = f"{base_url}/backends/{slug}/"
    data = {"backend": slug, "name": change.backend.name, "silent_since": timestamp(since), "url": url}
    link = _link(url, change.backend.name or slug)
    if change.back is None:
        text = f"{link} has not called since {since:%Y-%m-%d %H:%M} UTC"
        return WebhookEvent(f"backend {slug} silent since {change.since}", (SILENT,), now, data, text)
    back = datetime.fromtimestamp(change.back, UTC)
    text = f"{link} is back, after {since:%Y-%m-%d %H:%M} UTC"
    data["last_seen"] = timestamp(back)
    return WebhookEvent(f"backend {slug} back since {change.since}", (BACK,), back, data, text)


def trial_event(base_url: str, now: datetime) -> WebhookEvent:
    """For `jobserver webhook test`."""
    text = f"A test from {_link(base_url, 'jobserver')}"
    return WebhookEvent(f"test {timestamp(now)}", ("test",), now, {"url": base_url}, text)


def _link(url: str, text: str) -> str:
    return f"<{_escaped(url)}|{_escaped(text).replace('|', '/')}>"


def _escaped(text: str) -> str:
    """For Slack's markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
