"""The runner's side of git: it fetches its backend's branch, and pushes what its jobs are.

Nothing that the other side says is taken on trust: a request counts only if the commit that brought it is signed by
the server's key (`--signer`, see `vouched`), and a branch that is no line, or does not descend from what was seen
before, is refused, so that each runner is a witness. Imports errors, the store's readers of commits and documents, and
the system's git.

``url`` may also be a path: a bare repository that is fed by `git bundle` files (docs/runner-operator.md).
"""

import base64
import logging
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jobserver.domain.base import layout
from jobserver.domain.base.validation import checked
from jobserver.domain.base.values import timestamp
from jobserver.domain.job_requests.jobs import Job
from jobserver.domain.job_requests.lifecycle import FINISHED
from jobserver.domain.job_requests.requests import JobRequest
from jobserver.errors import Code, Error, conflict, invalid, unavailable
from jobserver.runner.model import Request
from jobserver.runner.transport.base import flags
from jobserver.runner.transport.signed_requests import Vouched, line, objects
from jobserver.store.git.command import environment_to_others, run
from jobserver.store.read.tree_changes import Commit, parse_commit
from jobserver.store.yaml import codec

_SEEN, _INCOMING, _WITNESS = "refs/jobserver/seen", "refs/jobserver/incoming", "refs/jobserver/witness"
_TRIES = 5
_SECONDS = 300
_UNKNOWN, _NOT_ITS = "it is nobody's, or no longer", "it may not read or write this branch"
_DENIED = {
    "Authentication failed": _UNKNOWN,
    "could not read Username": _UNKNOWN,
    "returned error: 401": _UNKNOWN,
    "returned error: 403": _NOT_ITS,
}
_log = logging.getLogger(__name__)


class GitTransport:
    """See `jobserver.runner.transport.base.Transport`. ``root`` is the runner's folder.

    ``interval``: seconds between fetches.
    ``signer``: the fingerprint of the server's key, ``SHA256:...``; empty: requests are not verified.
    """

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
        is_http = url.startswith(("http://", "https://"))
        self._url = f"{url.rstrip('/').removesuffix('/state.git')}/state.git" if is_http else str(Path(url).absolute())
        host = urlsplit(url).hostname if is_http else None
        domain = f"backends.{host}" if host else "backends"
        self._who = f"{backend} <{backend}@{domain}>"
        self._backend, self._branch = backend, layout.backend_branch(backend)
        self._now, self._signer, self._interval = now, signer, interval
        self._folder = root.resolve() / "state.git"
        self._guard = threading.Lock()
        self._stop = threading.Event()
        self._listed: list[Any] | None = None
        self._at = ""  # the tip that the list is of
        self._blobs: dict[str, bytes] = {}
        self.refused: Mapping[str, str] = {}
        self._refused_at = ""
        self._token = token if is_http else ""
        if not signer:
            _log.warning("no --signer: nothing says that requests come from the server")
        if not is_http and not (Path(url) / "HEAD").is_file():
            raise invalid(f"expected http(s)://... or the path of a bare repository, and got {url!r}", "--url")
        if not (self._folder / "HEAD").exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            self._git("init", "--quiet", "--bare", "--template=", ".")
            self._git("config", "gc.auto", "0")
        self._vouched = Vouched(self._run, self._folder, self._branch, signer, self._deepen) if signer else None

    def close(self) -> None:
        self._stop.set()

    def fetch(self, wait: float) -> list[Any] | None:
        ends = time.monotonic() + wait
        while True:
            with self._guard:
                try:
                    tip = self._fetch()
                except Error as error:
                    if error.code is Code.CONFLICT:  # nothing of the branch is run
                        self.refused = {self._branch: error.message}
                        self._tell_refused()
                    raise
                items = self._listed if tip == self._at else self._items(tip)
                self._at = tip
                self._tell_refused()
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
        raise unavailable("the branch moved again and again while this was pushed", self._branch)

    # What is there

    def _fetch(self) -> str:
        """The branch's tip, which is now known here. Raises `Error` (conflict) if it was rewritten."""
        known = self._tip(_SEEN)
        depth = () if known else ("--depth=1",)
        self._git(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", *depth,
            self._url, f"+refs/heads/{self._branch}:{_INCOMING}",
        )  # fmt: skip
        tip = self._tip(_INCOMING)
        assert tip is not None
        if tip != known:
            witness = (self._vouched and self._vouched.at) or self._tip(_WITNESS) or known
            if witness and self._ask("merge-base", "--is-ancestor", witness, tip) is None:
                raise conflict(
                    f"the branch does not descend from {witness}, which this runner saw: it was rewritten, "
                    "and nothing of it is run. If that is right, remove the runner's folder",
                    self._branch,
                )
            line(self._run, tip, witness or "")
            self._look(tip, self._active(tip))
            self._git("update-ref", _SEEN, tip)
            # What is insisted on: the runner's own commits may be rebased on the way, the server's not.
            if signed := self._vouched.at if self._vouched else tip:
                self._git("update-ref", _WITNESS, signed)
        return tip

    def _look(self, tip: str, files: Mapping[str, str]) -> None:
        if self._vouched is not None:
            self._vouched.look(tip, {path: blob for path, blob in files.items() if path.endswith("/request.yaml")})

    def _deepen(self, commits: int) -> None:
        self._git("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", f"--deepen={commits}", self._url,
                  f"refs/heads/{self._branch}")  # fmt: skip

    def _items(self, tip: str) -> list[Any]:
        files = self._active(tip)
        self._read(files.values())
        self._look(tip, files)
        items = []
        refused: dict[str, str] = {}
        for path, blob in files.items():
            where = layout.parse_path(self._branch, path)
            if where is None or where.kind is not layout.Kind.REQUEST:
                continue
            try:
                request = codec.read(JobRequest, self._blob(blob), path)
                folder = path.removesuffix("request.yaml")
                jobs = [codec.read(Job, self._blob(sha), name) for name, sha in _jobs(files, folder).items()]
            except Error as error:
                _log.error("%s is left alone: %s", path, error)
                continue
            if jobs and all(job.status in FINISHED for job in jobs):
                continue
            if problem := self._doubt(path, blob):
                refused[request.identifier] = problem
                if request.identifier not in self.refused:
                    _log.error("%s is left alone: %s", path, problem)
                continue
            items.append(_item(request))
        self.refused = refused
        return items

    def _doubt(self, path: str, blob: str) -> str:
        """Why nobody vouches for this very request.yaml; empty if the server does."""
        found = self._vouched.view if self._vouched is not None else None
        if found is None or found.requests.get(path) == blob:
            return ""
        commit, reason = found.doubts.get(path, ("", "is not to be found"))
        return f"commit {commit[:10] or 'that brought it'} {reason}, by what --signer {self._signer} leads to"

    def _tell_refused(self) -> None:
        """With the Flags of the next call, which is now where that is news."""
        told, self._refused_at = self._refused_at, (self._refused_at or timestamp(self._now())) if self.refused else ""
        if self._token and bool(told) != bool(self._refused_at):
            self._ask("ls-remote", "--quiet", self._url, f"refs/heads/{self._branch}")

    def _active(self, tip: str) -> dict[str, str]:
        """path -> blob of everything in active/ but pipelines: this runner reads the study's own."""
        said = self._git("ls-tree", "-r", "-z", "--full-tree", tip, "active/")
        rows = (row.partition("\t") for row in said.split("\0") if row)
        files = {path: head.split(" ")[2] for head, _, path in rows}
        return {path: blob for path, blob in files.items() if not path.endswith(layout.PIPELINE_FILE)}

    def _commit_of(self, sha: str) -> Commit:
        return parse_commit(sha, self._run("cat-file", "commit", sha))

    def _blob(self, sha: str) -> bytes:
        return self._blobs[sha]

    def _read(self, shas: Iterable[str]) -> None:
        """Has these blobs at hand, and no others."""
        wanted = set(shas)
        kept = {sha: data for sha, data in self._blobs.items() if sha in wanted}
        self._blobs = kept | objects(self._run, sorted(wanted - kept.keys()))

    def _tip(self, ref: str) -> str | None:
        found = self._ask("rev-parse", "--verify", "--quiet", ref)
        return found.strip() if found else None

    # What is told

    def _commit(self, tip: str, jobs: Sequence[dict[str, Any]]) -> tuple[str | None, list[str]]:
        """(a commit on ``tip`` that says this, None if ``tip`` does already; ids of requests that are not active)."""
        files = self._active(tip)
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
                if path not in stored or self._blob(stored[path]) != data
            ]
        if not edits:
            return None, list(ignored)
        return self._import(tip, edits), list(ignored)

    def _import(self, tip: str, edits: Sequence[tuple[str, bytes | None]]) -> str:
        """By fast-import, which does not read the archive's folders to change one in active/."""
        when = max(int(self._now().timestamp()), self._commit_of(tip).time)
        message = f"{self._backend} reported {len(edits)} job{'s' if len(edits) > 1 else ''}\n".encode()
        parts = [
            f"commit {_INCOMING}\ncommitter {self._who} {when} +0000\ndata {len(message)}\n".encode(),
            message,
            f"from {tip}\n".encode(),
        ]
        for path, data in edits:
            if data is None:
                parts.append(f"D {path}\n".encode())
            else:
                parts += [f"M 100644 inline {path}\ndata {len(data)}\n".encode(), data, b"\n"]
        self._run("fast-import", "--quiet", "--force", stdin=b"".join(parts))
        new = self._tip(_INCOMING)
        assert new is not None
        return new

    def _push(self, tip: str, new: str) -> bool:
        """False if the branch has moved meanwhile. What the server says is only for people: where the branch stands
        afterwards is what counts."""
        with self._failing() as failed:
            self._git("push", "--quiet", self._url, f"{new}:refs/heads/{self._branch}")
        if not failed:
            self._git("update-ref", _SEEN, new)
            return True
        now = self._fetch()
        if self._ask("merge-base", "--is-ancestor", new, now) is not None:
            return True
        if now != tip:
            return False
        said = [line for line in failed[0].message.splitlines() if "jobserver: refused: " in line]
        if said:
            raise invalid("; ".join(line.partition("jobserver: refused: ")[2].strip() for line in said))
        raise failed[0]

    @contextmanager
    def _failing(self) -> Iterator[list[Error]]:
        failed: list[Error] = []
        try:
            yield failed
        except Error as error:
            if error.code in (Code.UNAUTHENTICATED, Code.FORBIDDEN):
                raise
            failed.append(error)

    # git

    def _git(self, *arguments: str) -> str:
        return self._run(*arguments).decode("utf-8", "surrogateescape")

    def _ask(self, *arguments: str) -> str | None:
        """None where git says no."""
        try:
            return self._git(*arguments)
        except Error:
            return None

    def _run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        try:
            variables = _environment(self._token, flags(self._now(), self.refused, self._refused_at))
            done = run(arguments, variables, repository=self._folder, input=stdin, timeout=_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise unavailable(f"git {arguments[0]} can't be run: {error}") from None
        if done.returncode == 0:
            return done.stdout
        said = done.stderr.decode("utf-8", "replace").strip()
        for words, reason in _DENIED.items():
            if words in said:
                raise Error(Code.UNAUTHENTICATED, reason, self._url)
        raise unavailable(f"git {arguments[0]} failed: {said or done.returncode}")


def _environment(token: str, flags: str) -> dict[str, str]:
    """Nobody is asked anything, no one else's settings count, and the token stands in no argument list."""
    basic = base64.b64encode(f"runner:{token}".encode()).decode()
    own = [
        ("credential.helper", ""),
        ("http.extraHeader", f"Authorization: Basic {basic}"),
        ("http.extraHeader", f"Flags: {flags}"),
    ]
    return environment_to_others(own if token else ())


def _jobs(files: Mapping[str, str], folder: str) -> dict[str, str]:
    prefix = f"{folder}jobs/"
    return {path: blob for path, blob in files.items() if path.startswith(prefix)}


def _item(request: JobRequest) -> dict[str, Any]:
    """As `Request.from_item` reads it."""
    workspace = request.workspace
    return {
        **Request(
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
    }


def _document(payload: Mapping[str, Any]) -> Job:
    values = {key: value for key, value in payload.items() if key != "job_request_id" and value is not None}
    for key in ("created_at", "updated_at", "started_at", "completed_at"):
        value = payload[key]
        values[key] = datetime.fromisoformat(value) if value else None
    return checked(Job, values)
