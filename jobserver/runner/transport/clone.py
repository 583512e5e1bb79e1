"""The runner's own bare repository, with its backend's branch, and the git commands that work on it.

From a server, it fetches active requests only (`layout.ACTIVE_ONLY`), so no command here may read the archive.
"""

import base64
import logging
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from jobserver.domain.base import layout
from jobserver.errors import Code, Error, invalid, unavailable
from jobserver.store.git.command import environment_to_others, run

SEEN = "refs/jobserver/seen"
"""The tip that was accepted last."""
WITNESS = "refs/jobserver/witness"
"""The newest commit that must stay part of the branch."""
_INCOMING = "refs/jobserver/incoming"
_SECONDS = 300
_SERVER = "server"  # the remote's name: git notes with it who promised what is not here
_MAX_PACKS, _JOINED_BYTES = 50, 20 * 1024 * 1024
_log = logging.getLogger(__name__)
_UNKNOWN = "the server does not know this token, or no longer"
_NOT_ALLOWED = "this token cannot read or write this branch"
_DENIED = {
    "Authentication failed": _UNKNOWN,
    "could not read Username": _UNKNOWN,
    "returned error: 401": _UNKNOWN,
    "returned error: 403": _NOT_ALLOWED,
}


class RunnerClone:
    """``branch``: the backend's branch. ``is_http``: the server is reached by HTTP, and not by a path."""

    def __init__(self, url: str, token: str, backend: str, folder: Path, flags: Callable[[], str]) -> None:
        """``flags`` returns the header that goes with each call, see `base.flags`. Raises `Error` (invalid)."""
        self.is_http = url.startswith(("http://", "https://"))
        if not self.is_http and not (Path(url) / "HEAD").is_file():
            raise invalid(f"expected http(s)://... or the path of a bare repository, and got {url!r}", "--url")
        self.branch, self.folder = layout.backend_branch(backend), folder
        self._url = (
            f"{url.rstrip('/').removesuffix('/state.git')}/state.git" if self.is_http else str(Path(url).absolute())
        )
        self._token = token if self.is_http else ""
        host = urlsplit(url).hostname if self.is_http else None
        domain = f"backends.{host}" if host else "backends"
        self._author = f"{backend} <{backend}@{domain}>"
        self._flags = flags
        if not (folder / "HEAD").exists():
            folder.mkdir(parents=True, exist_ok=True)
            self.git("init", "--quiet", "--bare", "--template=", ".")
            self.git("config", "gc.auto", "0")
        self._from: Sequence[str] = (self._url,)
        if self.is_http:
            self._from = (f"--filter={layout.ACTIVE_ONLY}", _SERVER)

    def git(self, *arguments: str) -> str:
        """git's stdout. Raises `Error` (unauthenticated, unavailable)."""
        return self.run(*arguments).decode("utf-8", "surrogateescape")

    def ask(self, *arguments: str) -> str | None:
        """git's stdout; None if it failed."""
        try:
            return self.git(*arguments)
        except Error:
            return None

    def run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """As `git`, as bytes."""
        try:
            variables = _environment(self._token, self._flags(), self._url if self.is_http else "")
            done = run(arguments, variables, repository=self.folder, input=stdin, timeout=_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise unavailable(f"git {arguments[0]} can't be run: {error}") from None
        if done.returncode == 0:
            return done.stdout
        message = done.stderr.decode("utf-8", "replace").strip()
        for words, reason in _DENIED.items():
            if words in message:
                raise Error(Code.UNAUTHENTICATED, reason, self._url)
        raise unavailable(f"git {arguments[0]} failed: {message or done.returncode}")

    def tip(self, ref: str) -> str | None:
        commit = self.ask("rev-parse", "--verify", "--quiet", ref)
        return commit.strip() if commit else None

    def descends(self, commit: str, ancestor: str) -> bool:
        return self.ask("merge-base", "--is-ancestor", ancestor, commit) is not None

    def mark(self, ref: str, commit: str) -> None:
        self.git("update-ref", ref, commit)

    def fetch(self, *, is_first: bool) -> str:
        """The tip of the branch on the server. The first fetch brings only that commit."""
        depth = ("--depth=1",) if is_first else ()
        self._fetch(f"+refs/heads/{self.branch}:{_INCOMING}", *depth)
        return self._incoming()

    def deepen(self, commits: int) -> None:
        """Fetches this many more commits before the oldest."""
        self._fetch(f"refs/heads/{self.branch}", f"--deepen={commits}")

    def _fetch(self, refspec: str, *options: str) -> None:
        self.git("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", *options, *self._from, refspec)
        try:
            self._join_packs()
        except (OSError, Error) as error:  # what was fetched is here
            _log.warning("packs of %s were not joined: %s", self.folder, error)

    def _join_packs(self) -> None:
        """Joins small packs: git keeps each fetch with a filter as a pack, and searches all packs for an object.

        A pack without an index is one that git does not know, because something was killed.
        """
        folder = self.folder / "objects" / "pack"
        small = [pack for pack in folder.glob("*.pack") if pack.stat().st_size < _JOINED_BYTES]
        small = [pack for pack in small if pack.with_suffix(".promisor").exists() and pack.with_suffix(".idx").exists()]
        if len(small) <= _MAX_PACKS:
            return
        shas = [self.run("show-index", stdin=pack.with_suffix(".idx").read_bytes()) for pack in small]
        listing = b"".join(b"%s\n" % line.split(b" ")[1] for line in b"".join(shas).splitlines())
        name = self.run("pack-objects", "--quiet", str(folder / "pack"), stdin=listing).decode().strip()
        joined = folder / f"pack-{name}.pack"
        joined.with_suffix(".promisor").touch()
        for pack in small:
            if pack != joined:
                for suffix in (".idx", ".pack", ".rev", ".promisor"):
                    pack.with_suffix(suffix).unlink(missing_ok=True)

    def send_flags(self) -> None:
        """Makes a call that does nothing but carry the flags."""
        if self.is_http:
            self.ask("ls-remote", "--quiet", self._url, f"refs/heads/{self.branch}")

    def active_files(self, tip: str) -> dict[str, str]:
        """Path -> blob of all files in active/ but the pipelines: the runner reads those of the studies."""
        listing = self.git("ls-tree", "-r", "-z", "--full-tree", tip, "active/")
        rows = (row.partition("\t") for row in listing.split("\0") if row)
        files = {path: head.split(" ")[2] for head, _, path in rows}
        return {path: blob for path, blob in files.items() if not path.endswith(layout.PIPELINE_FILE)}

    def commit(self, parent: str, edits: Sequence[tuple[str, bytes | None]], subject: str, seconds: int) -> str:
        """A new commit on ``parent``. ``edits``: path -> content, None to remove it. ``seconds``: its time.

        Uses fast-import, which does not read the archive's folders to change a file in active/.
        """
        message = f"{subject}\n".encode()
        parts = [
            f"commit {_INCOMING}\ncommitter {self._author} {seconds} +0000\ndata {len(message)}\n".encode(),
            message,
            f"from {parent}\n".encode(),
        ]
        for path, data in edits:
            if data is None:
                parts.append(f"D {path}\n".encode())
            else:
                parts += [f"M 100644 inline {path}\ndata {len(data)}\n".encode(), data, b"\n"]
        self.run("fast-import", "--quiet", "--force", stdin=b"".join(parts))
        return self._incoming()

    def push(self, commit: str) -> None:
        self.git("push", "--quiet", self._url, f"{commit}:refs/heads/{self.branch}")

    def _incoming(self) -> str:
        tip = self.tip(_INCOMING)
        assert tip is not None
        return tip


def _environment(token: str, flags: str, url: str) -> dict[str, str]:
    """No prompts and no configuration of other people. The token is in no argument list, which others could read, and
    the server's URL, which may have credentials, in no file."""
    basic = base64.b64encode(f"runner:{token}".encode()).decode()
    own = [
        ("credential.helper", ""),
        ("http.extraHeader", f"Authorization: Basic {basic}"),
        ("http.extraHeader", f"Flags: {flags}"),
    ]
    server = [(f"remote.{_SERVER}.url", url)] if url else []
    return environment_to_others([*server, *(own if token else [])])
