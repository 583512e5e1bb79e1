"""The first thing on the page of a request: what became of it in one sentence, and what to do about each failure."""

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobserver.domain.job_requests import outcomes
from jobserver.index.queries.jobs import JobRow, last_success_before
from jobserver.index.queries.requests import JobRequestRow, find_row
from jobserver.web.pages.format import labels
from jobserver.web.pages.views.request_details import RequestDetails

_MOST_FAILURES = 5  # explained one by one


@dataclass(frozen=True, slots=True)
class Failure:
    """A job that failed. ``last``: the last time that its action succeeded, and ``before``: the request of that."""

    job: JobRow
    last: JobRow | None = None
    before: JobRequestRow | None = None


@dataclass(frozen=True, slots=True)
class RequestSummary:
    """``style``: an outcome. ``others``: failed jobs that are not explained. ``skipped``: actions that did not run."""

    style: str
    sentence: str
    failures: Sequence[Failure] = ()
    others: Sequence[JobRow] = ()
    skipped: Sequence[str] = ()


def summary_of(sql: sqlite3.Connection, details: RequestDetails) -> RequestSummary | None:
    """None while it waits: another sentence says why."""
    row, jobs = details.row, details.jobs
    if details.start_failure is not None:
        return RequestSummary("failed", "The runner could not start this request.", [Failure(details.start_failure)])
    sentence = outcome_sentence(row, jobs)
    if sentence is None:
        return None
    failed = [job for job in jobs if job.outcome == "failed"]
    skipped = [job.action for job in jobs if job.outcome == outcomes.SKIPPED]
    failures = [_failure(sql, row, job) for job in failed[:_MOST_FAILURES]]
    return RequestSummary(*sentence, failures, failed[_MOST_FAILURES:], skipped)


def outcome_sentence(row: JobRequestRow, jobs: Sequence[JobRow]) -> tuple[str, str] | None:
    """(style, sentence); None while it waits."""
    counts = Counter(job.outcome for job in jobs)
    failed = [job.action for job in jobs if job.outcome == "failed"]
    if failed:
        return "failed", _failed(failed, counts)
    if not jobs or (row.started_at is None and not row.is_finished):
        return None
    if row.outcome == "failed":
        count = f"{counts[outcomes.SKIPPED]} of {_count(len(jobs), 'job')} did not run"
        return row.outcome, f"{count}: an action that they need failed in another request."
    return _without_failures(row, jobs, counts)


def _failed(failed: Sequence[str], counts: Mapping[str, int]) -> str:
    total, skipped = sum(counts.values()), counts.get(outcomes.SKIPPED, 0)
    text = f"{failed[0]} failed" if len(failed) == 1 else f"{len(failed)} of {total} jobs failed"
    if skipped:
        text += f", and {_count(skipped, 'job')} that {'need' if skipped > 1 else 'needs'} "
        text += f"{'it' if len(failed) == 1 else 'them'} did not run"
    unfinished = total - sum(counts.get(outcome, 0) for outcome in outcomes.ENDED)
    return f"{text}. {_count(unfinished, 'job')} still to finish." if unfinished else f"{text}."


def _without_failures(row: JobRequestRow, jobs: Sequence[JobRow], counts: Mapping[str, int]) -> tuple[str, str]:
    """(style, sentence)"""
    total, succeeded, running = len(jobs), counts.get("succeeded", 0), counts.get("running", 0)
    if row.outcome == outcomes.CANCELLED:
        before = f" {_count(succeeded, 'job')} of {total} had succeeded before." if succeeded else ""
        return row.outcome, f"{labels.status(row.outcome, row.cancelled_by)}.{before}"
    if row.outcome == "succeeded":
        if all(job.had_nothing_to_do for job in jobs):
            return "unknown", "Nothing had to run: all these actions had succeeded before."
        who = jobs[0].action if total == 1 else "Both jobs" if total == 2 else f"All {total} jobs"
        return row.outcome, f"{who} succeeded."
    if running:
        done = f", and {succeeded} {'have' if succeeded != 1 else 'has'} succeeded" if succeeded else ""
        return "running", f"{running} of {_count(total, 'job')} {'are' if running > 1 else 'is'} running{done}."
    return "pending", f"{_count(succeeded, 'job')} of {total} succeeded. The others wait."


def _failure(sql: sqlite3.Connection, row: JobRequestRow, job: JobRow) -> Failure:
    last = last_success_before(sql, row.backend, row.workspace, job.action, job.created_at)
    return Failure(job, last, find_row(sql, last.request, [row.backend]) if last is not None else None)


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' if count != 1 else ''}"
