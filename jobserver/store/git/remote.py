"""A hosted repository: reads its tips, fetches from it and pushes to it. Does not interpret the results.

Each call is one `git` process with a time limit. git's message after a failure is for the log only: hosts word it as
they like, and a lost answer does not say whether the push was made. Callers read the tips to find out.
"""

import base64
import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from jobserver import steps
from jobserver.domain.base import urls
from jobserver.errors import invalid, unavailable
from jobserver.store.git.command import environment_to_others, run, start
from jobserver.store.upstream import NewTips

_HEADS = "refs/heads/"
_READ_SECONDS = 15.0
_MOVE_SECONDS = 30.0
_SCHEMES = ("https", "http", "ssh", "git", "file")
_BY_SSH = re.compile(r"(?:[\w.-]+@)?([^@:/\s]+):(?!:|//)\S+")  # git@host:org/state, which is not a URL


class RemoteRef:
    """One ref of a hosted repository that is no branch: its objects are texts."""

    def __init__(self, repository: Path, remote: "Remote", name: str) -> None:
        self._repository, self._remote, self._name = repository, remote, name

    def object_of(self, text: str) -> str:
        """Writes the object to the repository here. Raises `Error` (unavailable)."""
        done = run(["hash-object", "-w", "--stdin"], repository=self._repository, input=text.encode())
        if done.returncode:
            raise unavailable(f"git hash-object: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout.decode().strip()

    def read(self) -> str:
        return self._remote.read_ref(self._name)

    def move(self, old: str, new: str) -> None:
        self._remote.move_ref(self._name, old, new)


def check_url(text: str) -> str:
    """Returns a URL or an absolute path. Raises `Error` (invalid) for anything else."""
    if not _is_url(text) and not text.startswith("/"):
        raise invalid(
            "expected the URL of a git repository, such as https://github.com/org/state, or the absolute path of one"
            " on this machine",
            "STATE_REMOTE",
        )
    return text


def _is_url(text: str) -> bool:
    parts = urls.url_parts(text)
    if parts is None:
        return False
    if parts.scheme in _SCHEMES:
        is_there = parts.scheme == "file" or urls.is_host(parts.hostname or "")
        return is_there and bool(parts.path.strip("/"))
    by_ssh = _BY_SSH.fullmatch(text)
    return by_ssh is not None and urls.is_host(by_ssh[1])


class Remote:
    """``url`` may contain credentials (``https://user:token@host/...``). They appear nowhere, also not in `ps`."""

    def __init__(self, repository: Path, url: str, patience: float = 1.0) -> None:
        """``patience``: a factor on all time limits. Raises `Error` (invalid) for a malformed URL."""
        parts = urlsplit(check_url(url))
        self._repository, self._patience = repository, patience
        self._config = {"http.postBuffer": str(32 * 1024 * 1024), "protocol.version": "2", "gc.auto": "0"}
        self.url = url
        if parts.scheme in ("http", "https") and parts.username is not None:
            place = parts.netloc.rpartition("@")[2]
            self.url = urlunsplit(parts._replace(netloc=place))
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            self._config["credential.helper"] = ""  # use only these credentials
            self._config[f"http.{parts.scheme}://{place}/.extraHeader"] = (
                f"Authorization: Basic {base64.b64encode(pair).decode()}"
            )

    def tips(self) -> dict[str, str]:
        """Branch -> tip, as of now. Raises `Error` (unavailable)."""
        listing = self._git(["ls-remote", "--quiet", "--heads", self.url], _READ_SECONDS, anywhere=True)
        rows = (line.split("\t", 1) for line in listing.splitlines())
        return {row[1].removeprefix(_HEADS): row[0] for row in rows if len(row) == 2}

    def fetch(self, branches: Iterable[str]) -> None:
        """Fetches the objects of these branches; moves no ref here. Raises `Error` (unavailable)."""
        refs = [f"{_HEADS}{branch}" for branch in branches]
        self._git(["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", self.url, *refs], _MOVE_SECONDS)

    def push(self, new_tips: NewTips, quarantine: Path | None = None) -> str:
        """Pushes these tips. Returns an empty text if the host says that it took all of them, else a text for the log.

        ``quarantine``: the folder of objects that the repository itself does not have yet.
        """
        leases = [f"--force-with-lease={_HEADS}{branch}:{old or ''}" for branch, (old, _) in new_tips.items()]
        refs = [f"{new}:{_HEADS}{branch}" for branch, (_, new) in new_tips.items()]
        atomic = ["--atomic"] if quarantine is not None and len(new_tips) > 1 else []
        objects = self._repository / "objects"
        more = (
            {"GIT_OBJECT_DIRECTORY": str(quarantine), "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(objects)}
            if quarantine is not None
            else {}
        )
        try:
            self._git(["push", "--quiet", "--no-verify", *atomic, *leases, self.url, *refs], _MOVE_SECONDS, more)
        except Exception as error:  # noqa: BLE001 - callers look at the host to see what was done
            return str(error) or type(error).__name__
        return ""

    def read_ref(self, name: str) -> str:
        """The object of this ref, as of now; empty if there is none. Raises `Error` (unavailable)."""
        listing = self._git(["ls-remote", "--quiet", self.url, name], _READ_SECONDS, anywhere=True)
        rows = (line.split("\t", 1) for line in listing.splitlines())
        return next((row[0] for row in rows if row[1:] == [name]), "")

    def move_ref(self, name: str, old: str, new: str) -> str:
        """Moves a ref that is no branch from ``old`` to ``new``; empty: there is none. Returns as `push`."""
        lease = f"--force-with-lease={name}:{old}"
        try:
            self._git(["push", "--quiet", "--no-verify", lease, self.url, f"{new}:{name}"], _READ_SECONDS)
        except Exception as error:  # noqa: BLE001 - callers look at the host to see what was done
            return str(error) or type(error).__name__
        return ""

    def _git(
        self, command: list[str], seconds: float, more: Mapping[str, str] | None = None, anywhere: bool = False
    ) -> str:
        place = [] if anywhere else ["--git-dir", str(self._repository)]
        process = start(
            [*place, *command],
            environment_to_others(self._config.items(), **(more or {})),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # so that git's helpers end with git
        )
        try:
            with steps.timed("git", command[0]):
                out, err = process.communicate(timeout=seconds * self._patience)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise unavailable(f"{self.url} did not answer within {seconds * self._patience:.0f} s") from None
        if process.returncode:
            lines = [line for line in err.decode(errors="replace").splitlines() if line.strip()]
            raise unavailable(f"{self.url}: {' / '.join(lines[-4:]) if lines else f'git {command[0]} failed'}")
        return out.decode(errors="surrogateescape")
