"""What a page shows, as a short text that changes when that does: so a page knows that it has missed something."""

import hashlib
from collections.abc import Sequence

from jobserver.index.queries.jobs import JobRow
from jobserver.index.queries.requests import JobRequestRow


def of_tips(tips: Sequence[str]) -> str:
    """For pages that list things."""
    return _digest(" ".join(tips))


def of_request(row: JobRequestRow, jobs: Sequence[JobRow]) -> str:
    jobs = sorted(jobs, key=lambda job: job.identifier)  # pages show them in other orders
    said = [f"{job.identifier} {job.status} {job.status_code} {job.updated_at}" for job in jobs]
    return _digest("\n".join([row.identifier, row.status, *row.cancelled, *said]))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]
