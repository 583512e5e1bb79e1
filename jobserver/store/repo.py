"""The state repository as a whole: creates, opens and maintains it."""

import contextlib
import os
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from jobserver.domain.base import layout
from jobserver.errors import invalid, unavailable
from jobserver.store.fs import check_owner, disk_errors, sync_folder, sync_tree
from jobserver.store.git import locks
from jobserver.store.git.command import commit_of, git
from jobserver.store.git.refs import Refs
from jobserver.store.git.repack import repack
from jobserver.store.init import check_place, init_repository
from jobserver.store.keys.signing import KeyFile, SigningKey
from jobserver.store.write.compactor import maintaining
from jobserver.store.write.writer import Writer

_MAINTENANCE = "jobserver.maintenance"  # the lock of maintenance; its mtime is when maintenance last ended
PRINCIPAL = "jobserver"
SIGNERS = "allowed_signers"
GONE = "the branch is gone, and jobserver does not create it again: restore it from a copy (docs/operations.md)"
IF_LOST = "or see docs/operations.md if it is lost"


class StateRepo:
    """An open state repository. ``templates``: the folder of new branches' first files (``main/``, ``backend/``)."""

    def __init__(self, path: Path, key_path: Path, host: str, templates: Path) -> None:
        # Without a HEAD, git would search the folders above for a repository.
        parts = (path / "objects" / "pack", path / "refs")
        if not all(part.is_dir() for part in parts) or not (path / "HEAD").is_file():
            raise invalid("is not a git repository: `jobserver init` creates one", str(path))
        check_owner(path)
        self.path = path
        self.writer = Writer(path, host, KeyFile(key_path, PRINCIPAL))
        self._templates = templates

    @classmethod
    def create(
        cls,
        path: Path,
        key_path: Path,
        host: str,
        templates: Path,
        now: datetime,
        join: Callable[["StateRepo"], None] = lambda repo: None,
    ) -> "StateRepo":
        """Creates the repository with its ``main`` and its key. Raises `Error` (invalid) if something else is there.

        ``join`` sets the writer's authority before anything is written. After an interruption, a second call continues
        where the first one stopped.
        """
        check_place(path)
        if path.exists():
            check_owner(path)
        with disk_errors():
            if (
                Refs(path).tip(layout.MAIN) is not None and not key_path.exists()
            ):  # a new key would not be one of the repository's
                raise invalid(f"{key_path} does not exist: copy the key of {path} there, {IF_LOST}", "SIGNING_KEY")
            path.mkdir(parents=True, exist_ok=True)
            if not locks.clear_all(path):
                raise unavailable("another git process is running there; try again", str(path))
            init_repository(path)
            sync_tree(path)  # git's commands sync nothing
            sync_folder(path.parent)
            with contextlib.suppress(FileExistsError):
                SigningKey.create(key_path, PRINCIPAL)
            repo = cls(path, key_path, host, templates)
            try:
                join(repo)
                repo.check_branches(is_new=True)
                repo.create_branch(layout.MAIN, "main", now)
                repo.create_branch(layout.AUDIT, "audit", now)
            except BaseException:
                repo.close()
                raise
            return repo

    def close(self) -> None:
        self.writer.close()

    def check_branches(self, *, is_new: bool = False) -> None:
        """Raises `Error` (invalid) if main or audit is gone: creating them again would hide that.

        ``is_new``: `create` calls this, so audit may be missing after an interruption.
        """
        tips = self.writer.refs.branches()
        if layout.MAIN not in tips:
            if tips:
                raise invalid(GONE, layout.MAIN)
        elif layout.AUDIT not in tips:
            is_begun = len(tips) == 1 and commit_of(self.path, f"{tips[layout.MAIN]}~1") is None
            if not is_begun:
                raise invalid(GONE, layout.AUDIT)
            if not is_new:
                raise invalid("is incomplete: run `jobserver init` again", str(self.path))

    def create_branch(self, branch: str, template: str, now: datetime) -> bool:
        """Creates ``branch`` with its template's files and the server's public key; False if it exists."""
        files: Mapping[str, bytes] = {
            path.relative_to(self._templates / template).as_posix(): path.read_bytes()
            for path in sorted((self._templates / template).rglob("*"))
            if path.is_file()
        } | {"allowed_signers": self._signers()}
        return self.writer.create_branch(branch, files, f"jobserver opened {branch}", "branch.opened", now)

    def _signers(self) -> bytes:
        """The ``allowed_signers`` of main, which is the first branch to get a new key."""
        known = None
        if self.writer.refs.tip(layout.MAIN) is not None:
            known = self.writer.read(layout.MAIN, lambda state: state.read_file(SIGNERS))
        return known if known is not None else self.writer.keys.current().allowed_signer.encode()

    def maintain(self) -> None:
        """Joins packs, packs refs and writes the commit-graph, while writes go on.

        Packs whose commits no ref has yet have a ``.keep`` file, and a repack moves all objects of a pack before it
        deletes the pack. So only removing leftovers and packing refs need the writer's turn.
        """
        mark = self.path / _MAINTENANCE
        with disk_errors(), maintaining(mark):
            with self.writer.locked():
                locks.clear_all(self.path)
                locks.sweep(self.path / "objects" / "pack")
            repack(self.path)
            with self.writer.locked():
                git(self.path, "pack-refs", "--all")
            git(self.path, "commit-graph", "write", "--reachable", "--split", gently=True)
            os.utime(mark)

    def maintained_at(self) -> float:
        """When maintenance last ended, or the repository was created: seconds since 1970, by the disk's clock."""
        mark = self.path / _MAINTENANCE
        return (mark if mark.exists() else self.path / "HEAD").stat().st_mtime

    def pack_count(self) -> int:
        return sum(1 for _ in (self.path / "objects" / "pack").glob("pack-*.idx"))

    def pack_sizes(self) -> list[int]:
        """The bytes of each pack. Packs that are deleted meanwhile are left out."""
        sizes = []
        for path in (self.path / "objects" / "pack").glob("pack-*.pack"):
            with contextlib.suppress(FileNotFoundError):
                sizes.append(path.stat().st_size)
        return sizes
