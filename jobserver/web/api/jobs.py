"""POST /api/v2/jobs/: a runner's report, in the format of the runners of 2021 or of 2025 (job-server's API)."""

from collections.abc import Mapping
from datetime import timedelta
from itertools import islice
from typing import Any

from bottle import HTTPResponse

from jobserver.domain.base.permissions import Actor
from jobserver.domain.base.validation import kind
from jobserver.service.reports import storable
from jobserver.service.reports.parsing import read_jobs
from jobserver.service.reports.reports import Reports
from jobserver.web import http
from jobserver.web.api.common import Keys, require_backend
from jobserver.web.services import Services

_NAMED = 100  # jobs that an answer names as altered or skipped


class JobsApi:
    def __init__(self, services: Services, keys: Keys) -> None:
        self._reports, self._keys = Reports(services.gate, services.index, services.live), keys

    def report(self, actor: Actor) -> HTTPResponse:
        require_backend(actor)
        body = http.read_body()
        key = self._keys.of(actor, body)
        http.check_size(body)
        data, repaired = storable.read(body)
        if not isinstance(data, list):
            return http.answer({"non_field_errors": [f"expected a list of jobs, found {kind(data)}"]}, 400)
        jobs, problems, altered = read_jobs(data)
        if any(problems):
            return http.answer(problems, 400)
        written = self._reports.take(actor, jobs, "http", key)
        reply = {"status": "success", **_remarks(written.changes.result)}
        if repaired:
            reply["repaired"] = repaired
        if altered:
            reply["altered"] = dict(islice(altered.items(), _NAMED))
        return http.written(reply, written.commit)


def _remarks(result: Mapping[str, Any]) -> dict[str, Any]:
    """What the server did not record as the report has it."""
    remarks = {"ignored": result.get("ignored"), "skipped": result.get("skipped", [])[:_NAMED]}
    if ahead := result.get("ahead", timedelta()):
        remarks["clock"] = (
            f"{ahead.total_seconds():.0f} s ahead of the server's; times in the future were replaced by now"
        )
    return {key: value for key, value in remarks.items() if value}
