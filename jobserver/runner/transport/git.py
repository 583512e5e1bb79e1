"""The transport by git: fetches the backend's branch, and pushes jobs to it.

Does not trust the other side. A request counts only if the server's key (`--signer`) signed the commit that brought it
(`signed_requests`). A branch with a merge, or one that does not descend from what was seen before, is refused, so each
runner is a witness of its branch.

``url`` may also be the path of a bare repository that `git bundle` files update (docs/runner-operator.md).
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from jobserver.domain.base import layout
from jobserver.domain.base.validation import checked
from jobserver.domain.base.values import timestamp
from jobserver.domain.job_requests.jobs import Job
from jobserver.domain.job_requests.lifecycle import FINISHED
from jobserver.domain.job_requests.requests import JobRequest
from jobserver.errors import Code, Error, conflict, invalid, unavailable
from jobserver.runner.model import RunnerRequest
from jobserver.runner.transport.base import flags
from jobserver.runner.transport.clone import SEEN, WITNESS, RunnerClone
from jobserver.runner.transport.signed_requests import SignedRequests, blobs_of, line_of
from jobserver.store.read.commits import parse_commit
from jobserver.store.yaml import codec

_TRIES = 5
_REFUSED = "jobserver: refused: "
_log = logging.getLogger(__name__)


class GitTransport:
    """See `jobserver.runner.transport.base.Transport`."""

    def __init__(
        self,
        url: str,
        token: str,
        backend: str,
        root: Path,
        now: Callable[[], datetime],
        signer: str = "",
        interval: float = 5.0,
    ) -> None:
        """``root``: the runner's folder. ``interval``: seconds between fetches.

        ``signer``: the fingerprint of the server's key, ``SHA256:...``; empty: requests are not verified.
        """
        self._backend, self._now, self._signer, self._interval = backend, now, signer, interval
        self._guard = threading.Lock()
        self._stop = threading.Event()
        self._listed: list[Any] | None = None
        self._listed_tip = ""
        self._blobs: dict[str, bytes] = {}
        self.refused: Mapping[str, str] = {}
        self._refused_since = ""
        if not signer:
            _log.warning("no --signer: anybody who can write to the branch can request jobs")
        self._clone = RunnerClone(url, token, backend, root.resolve() / "state.git", self._flags)
        self._branch = self._clone.branch
        self._signed: SignedRequests | None = None
        if signer:
            clone = self._clone
            self._signed = SignedRequests(clone.run, clone.folder, clone.branch, signer, clone.deepen)

    def close(self) -> None:
        self._stop.set()

    def fetch(self, wait: float) -> list[Any] | None:
        ends = time.monotonic() + wait
        while True:
            with self._guard:
                try:
                    tip = self._fetch()
                except Error as error:
                    if error.code is Code.CONFLICT:  # no request of the branch is run
                        self.refused = {self._branch: error.message}
                        self._report_refused()
                    raise
                items = self._listed if tip == self._listed_tip else self._items(tip)
                self._listed_tip = tip
                self._report_refused()
            if items != self._listed:
                self._listed = items
                return items
            left = ends - time.monotonic()
            if left <= 0 or self._stop.wait(min(left, self._interval)):
                return None

    def report(self, jobs: Sequence[dict[str, Any]]) -> Sequence[str]:
        with self._guard:
            for _ in range(_TRIES):
                tip = self._fetch()
                new, ignored = self._commit(tip, jobs)
                if new is None or self._push(tip, new):
                    return ignored
        raise unavailable("could not push, because the branch kept moving", self._branch)

    # Fetching

    def _fetch(self) -> str:
        """Fetches and checks the branch; returns its tip. Raises `Error` (conflict) if it was rewritten."""
        known = self._clone.tip(SEEN)
        tip = self._clone.fetch(is_first=known is None)
        if tip != known:
            witness = (self._signed and self._signed.signed_tip) or self._clone.tip(WITNESS) or known
            if witness and not self._clone.descends(tip, witness):
                raise conflict(
                    f"the branch was rewritten: it does not descend from {witness}, which this runner has seen, so no"
                    " request is run. If the change is right, remove the runner's folder",
                    self._branch,
                )
            line_of(self._clone.run, tip, witness or "")
            self._verify(tip, self._clone.active_files(tip))
            self._clone.mark(SEEN, tip)
            # The runner's own commits may be rebased on the way to the server; the server's must stay.
            if signed := self._signed.signed_tip if self._signed else tip:
                self._clone.mark(WITNESS, signed)
        return tip

    def _verify(self, tip: str, files: Mapping[str, str]) -> None:
        if self._signed is not None:
            self._signed.update(tip, {path: blob for path, blob in files.items() if path.endswith("/request.yaml")})

    def _items(self, tip: str) -> list[Any]:
        """The active requests at ``tip`` as items of the server's list. Updates ``refused``."""
        files = self._clone.active_files(tip)
        self._read(files.values())
        self._verify(tip, files)
        items = []
        refused: dict[str, str] = {}
        for path, blob in files.items():
            if not _is_request(self._branch, path):
                continue
            try:
                request = codec.read(JobRequest, self._blobs[blob], path)
                folder = path.removesuffix("request.yaml")
                jobs = [codec.read(Job, self._blobs[sha], name) for name, sha in _jobs(files, folder).items()]
            except Error as error:
                _log.error("ignoring %s: %s", path, error)
                continue
            if jobs and all(job.status in FINISHED for job in jobs):
                continue
            if problem := self._signature_problem(path, blob):
                refused[request.identifier] = problem
                if request.identifier not in self.refused:
                    _log.error("ignoring %s: %s", path, problem)
                continue
            items.append(_item(request))
        self.refused = refused
        return items

    def _signature_problem(self, path: str, blob: str) -> str:
        """Why the server did not sign this request.yaml; empty if it did."""
        findings = self._signed.findings if self._signed is not None else None
        if findings is None or findings.requests.get(path) == blob:
            return ""
        commit, reason = findings.doubts.get(path, ("", "is missing"))
        return f"commit {commit[:10] or 'that brought it'} {reason}, by what --signer {self._signer} leads to"

    def _flags(self) -> str:
        return flags(self._now(), self.refused, self._refused_since)

    def _report_refused(self) -> None:
        """The flags go with the next call; if they have changed, makes one now."""
        before = self._refused_since
        self._refused_since = (before or timestamp(self._now())) if self.refused else ""
        if bool(before) != bool(self._refused_since):
            self._clone.send_flags()

    def _read(self, shas: Iterable[str]) -> None:
        """Keeps the contents of these blobs, and drops all others."""
        wanted = set(shas)
        kept = {sha: data for sha, data in self._blobs.items() if sha in wanted}
        self._blobs = kept | blobs_of(self._clone.run, sorted(wanted - kept.keys()))

    # Reporting

    def _commit(self, tip: str, jobs: Sequence[dict[str, Any]]) -> tuple[str | None, list[str]]:
        """(a commit on ``tip`` with these jobs, None if ``tip`` has them; ids of requests that are not active)."""
        files = self._clone.active_files(tip)
        self._read(files.values())
        folders = {
            where.name: path.removesuffix("request.yaml")
            for path in files
            if (where := layout.parse_path(self._branch, path)) and where.kind is layout.Kind.REQUEST
        }
        wanted: dict[str, dict[str, bytes]] = {}
        ignored: dict[str, None] = {}
        for payload in jobs:
            folder = folders.get(payload["job_request_id"])
            if folder is None:
                ignored[payload["job_request_id"]] = None
                continue
            document = _document(payload)
            wanted.setdefault(folder, {})[f"{folder}jobs/{document.identifier}.yaml"] = codec.write(document)
        edits: list[tuple[str, bytes | None]] = []
        for folder, documents in wanted.items():
            stored = _jobs(files, folder)
            edits += [(path, None) for path in stored if path not in documents]
            edits += [
                (path, data)
                for path, data in documents.items()
                if path not in stored or self._blobs[stored[path]] != data
            ]
        if not edits:
            return None, list(ignored)
        time_of_tip = parse_commit(tip, self._clone.run("cat-file", "commit", tip)).time
        subject = f"{self._backend} reported {len(edits)} job{'s' if len(edits) > 1 else ''}"
        return self._clone.commit(tip, edits, subject, max(int(self._now().timestamp()), time_of_tip)), list(ignored)

    def _push(self, tip: str, new: str) -> bool:
        """False if the branch has moved. After an error only the branch tells whether the push landed.

        Raises `Error`: invalid with the server's reasons if it refused, or else git's error.
        """
        try:
            self._clone.push(new)
        except Error as error:
            if error.code in (Code.UNAUTHENTICATED, Code.FORBIDDEN):
                raise
            now = self._fetch()
            if self._clone.descends(now, new):
                return True
            if now != tip:
                return False
            reasons = [line.partition(_REFUSED)[2].strip() for line in error.message.splitlines() if _REFUSED in line]
            if reasons:
                raise invalid("; ".join(reasons)) from None
            raise
        self._clone.mark(SEEN, new)
        return True


def _is_request(branch: str, path: str) -> bool:
    where = layout.parse_path(branch, path)
    return where is not None and where.kind is layout.Kind.REQUEST


def _jobs(files: Mapping[str, str], folder: str) -> dict[str, str]:
    prefix = f"{folder}jobs/"
    return {path: blob for path, blob in files.items() if path.startswith(prefix)}


def _item(request: JobRequest) -> dict[str, Any]:
    """As `RunnerRequest.from_item` reads it."""
    workspace = request.workspace
    return RunnerRequest(
        request.identifier,
        request.backend,
        workspace.name,
        workspace.repo,
        workspace.branch,
        request.sha,
        request.requested_actions,
        request.cancelled_actions,
        request.force_run_dependencies,
    ).as_item()


def _document(payload: Mapping[str, Any]) -> Job:
    values = {key: value for key, value in payload.items() if key != "job_request_id" and value is not None}
    for key in ("created_at", "updated_at", "started_at", "completed_at"):
        value = payload[key]
        values[key] = datetime.fromisoformat(value) if value else None
    return checked(Job, values)
