"""The state that a page shows, as a short text. An open page compares texts to find out that it is out of date."""

import hashlib
from collections.abc import Sequence

from jobserver.index.queries.jobs import JobRow
from jobserver.index.queries.requests import JobRequestRow


def of_tips(tips: Sequence[str]) -> str:
    """For pages with lists."""
    return _digest(" ".join(tips))


def of_request(row: JobRequestRow, jobs: Sequence[JobRow]) -> str:
    jobs = sorted(jobs, key=lambda job: job.identifier)  # callers order them differently
    lines = [
        f"{job.identifier} {job.status} {job.status_code} {job.updated_at} {job.status_message} {job.more}"
        for job in jobs
    ]
    return _digest("\n".join([row.identifier, row.outcome, *row.cancelled, *row.cancelled_by, *lines]))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]
