"""Somebody's commits as git's hook hands them over: objects in quarantine, refs not moved yet."""

import os
import subprocess
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from jobserver.domain.base import layout
from jobserver.domain.base.permissions import Actor
from jobserver.domain.job_requests.jobs import Job
from jobserver.domain.job_requests.requests import JobRequest
from jobserver.service.push.judge import PushedRef
from jobserver.service.push.receiver import GitPush, Receiver
from jobserver.store.git.packs import BLOB, object_id
from jobserver.store.yaml import codec
from tests.site import Site

ZERO = "0" * 40
BAD = "version: 1\nusername: eve\nroles: [Boss]\n"
EVE = "version: 1\nusername: eve\n"


@dataclass
class Push:
    """Somebody's commits on ``branch``, which the repository has in quarantine only."""

    site: Site
    branch: str
    tip: str = ""
    folder: Path = field(init=False)
    email: str = ""

    def __post_init__(self) -> None:
        self.folder = self.site.path.parent / "quarantine"
        self.folder.mkdir(exist_ok=True)
        slug = layout.branch_backend(self.branch)
        self.email = self.email or (f"{slug}@backends.jobs.example" if slug else "x@example.org")
        self.old = self.tip = self.tip or self.site.git("rev-parse", self.branch).strip()

    def git(self, *arguments: str, data: str = "", **environment: str) -> str:
        return subprocess.run(
            ["git", "-c", "user.name=x", "-c", f"user.email={self.email}", "-C", self.site.path, *arguments],
            input=data,
            env={
                **os.environ,
                "GIT_OBJECT_DIRECTORY": str(self.folder),
                "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(self.site.path / "objects"),
                "GIT_INDEX_FILE": str(self.folder.parent / "index"),
                **environment,
            },
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    def commit(self, *files: tuple[str, str | None], message: str = "x", at: str = "", mode: str = "100644") -> str:
        """One more commit; None takes a file away. Its id."""
        self.git("read-tree", self.tip)
        rows = [f"0 {ZERO}\t{path}" if text is None else f"{mode} {self.blob(text)}\t{path}" for path, text in files]
        if rows:
            self.git("update-index", "--index-info", data="\n".join([*rows, ""]))
        tree = self.git("write-tree", "--missing-ok")
        self.tip = self.tree(tree, self.tip, message=message, at=at)
        return self.tip

    def blob(self, text: str) -> str:
        """Its id. Written as `git hash-object -w` does, without a process for each file."""
        data = text.encode()
        sha = object_id(BLOB, data).hex()
        path = self.folder / sha[:2] / sha[2:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(zlib.compress(b"blob %d\0" % len(data) + data))
        return sha

    def tree(self, tree: str, *parents: str, message: str = "x", at: str = "") -> str:
        when = at or self.site.now.isoformat()  # not before what it stands on
        arguments = [part for parent in parents for part in ("-p", parent)]
        dates = {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
        self.tip = self.git("commit-tree", tree, *arguments, "-m", message, **dates)
        return self.tip

    def update(self) -> PushedRef:
        return PushedRef(self.old, self.tip, f"refs/heads/{self.branch}")

    def send(self, actor: Actor, quarantined: bool = True, receiver: Receiver | None = None) -> list[str]:
        receiver = receiver or Receiver(self.site.repo, self.site.gate, self.site.clock)
        return receiver.receive(GitPush([self.update()], self.folder if quarantined else None, actor))

    def land(self) -> None:
        """What git does once a push is taken."""
        objects = [path for path in self.folder.rglob("*") if path.is_file()]
        for path in objects:
            target = self.site.path / "objects" / path.relative_to(self.folder)
            target.parent.mkdir(exist_ok=True)
            path.rename(target)
        self.site.git("update-ref", f"refs/heads/{self.branch}", self.tip, self.old)


def text(document: Job | JobRequest) -> str:
    return codec.write(document).decode()


def folder_of(site: Site, identifier: str) -> str:
    return next(path for path in site.files() if identifier in path and path.endswith("request.yaml")).rsplit("/", 1)[0]
