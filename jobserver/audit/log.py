"""Lists who did what and when, from the commits themselves: `jobserver audit log`, and the audit tabs of the pages."""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jobserver.audit.receipts import AuditRecord, read_audit_record
from jobserver.domain.base import layout
from jobserver.domain.record import Receipt
from jobserver.errors import Error
from jobserver.store.git.cat_file import PipedObjects, branches, first_parent_log
from jobserver.store.git.command import git
from jobserver.store.git.diff import diff
from jobserver.store.keys import key_walk
from jobserver.store.keys.signers import Signer, signature_fault
from jobserver.store.read.commits import Commit

_Judge = Callable[[Commit], bool]  # whether a commit is a server's


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One commit. ``actor``: whom the server authenticated, as ``user/alice``; empty if nothing says it.

    ``at``: the server's time. For a pushed commit, when the server received it.
    """

    commit: str
    branch: str
    at: datetime
    event: str
    actor: str
    subject: str
    requests: tuple[str, ...] = ()
    workspaces: tuple[str, ...] = ()
    via: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "at": self.at.isoformat().replace("+00:00", "Z")}


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which entries to show; an empty field allows everything. ``since`` and ``until`` are inclusive."""

    backend: str = ""
    workspace: str = ""
    request: str = ""
    actor: str = ""
    event: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def has(self, entry: LogEntry) -> bool:
        return (
            (not self.workspace or self.workspace in entry.workspaces)
            and (not self.request or self.request in entry.requests)
            and (not self.actor or entry.actor in (self.actor, f"user/{self.actor}", f"backend/{self.actor}"))
            and (not self.event or entry.event == self.event or entry.event.startswith(f"{self.event}."))
            and (self.since is None or entry.at >= self.since)
            and (self.until is None or entry.at <= self.until)
        )


def log(repository: Path, wanted: LogFilter, trusted: Iterable[Signer] | None = None) -> Iterator[LogEntry]:
    """The entries, newest first. ``trusted``: keys from elsewhere; by default, those that main's first commit leads to.

    Raises `Error` if the repository can't be read.
    """
    tips = branches(repository)
    signers = _signers(repository, tips, trusted)

    def ours(commit: Commit) -> bool:
        """Whether a server made the commit: one of the servers' keys has to have signed it."""
        return commit.is_servers and not signature_fault(commit, signers)

    receipts = _receipts(repository, tips, ours)
    chosen = [layout.backend_branch(wanted.backend)] if wanted.backend else list(tips)
    streams = [
        _entries(repository, branch, tips[branch], receipts.get(branch, {}), wanted, ours)
        for branch in chosen
        if branch in tips
    ]
    yield from heapq.merge(*streams, key=lambda entry: entry.at, reverse=True)


def _signers(repository: Path, tips: Mapping[str, str], trusted: Iterable[Signer] | None) -> Mapping[str, Signer]:
    try:
        return key_walk.main_keys(repository, trusted).signers
    except Error:  # main is damaged: its first keys still count, and somebody needs the log now
        first = git(repository, "rev-list", "--max-parents=0", "--first-parent", tips[layout.MAIN]).split()[-1]
        return key_walk.follow(repository, first, trusted or (), trusted is None).signers


def _entries(
    repository: Path,
    branch: str,
    tip: str,
    receipts: Mapping[str, Receipt],
    wanted: LogFilter,
    ours: _Judge,
) -> Iterator[LogEntry]:
    objects = PipedObjects(repository)
    receipt: Receipt | None = None
    try:
        for commit in first_parent_log(repository, tip):
            if receipt is not None and commit.sha == receipt.old:
                receipt = None
            receipt = receipts.get(commit.sha, receipt)
            is_ours = receipt is None and ours(commit)
            entry = _entry(objects, branch, commit, receipt, is_ours)
            # The server's times never go back. Times that others claim must not end the log.
            if wanted.since is not None and commit.committed_at < wanted.since and is_ours:
                return
            if wanted.has(entry):
                yield entry
    finally:
        objects.close()


def _entry(objects: PipedObjects, branch: str, commit: Commit, receipt: Receipt | None, is_ours: bool) -> LogEntry:
    if receipt is not None:
        touched = _touched(objects, branch, commit)
        received_at = receipt.received_at.replace(microsecond=0)
        return LogEntry(commit.sha, branch, received_at, "pushed", receipt.pusher, commit.subject, *touched, via="git")
    if not is_ours:
        return LogEntry(commit.sha, branch, commit.committed_at, "", "", commit.subject)
    trailers = commit.trailers()

    def all_of(key: str) -> tuple[str, ...]:
        return tuple(value for name, value in trailers if name == key)

    return LogEntry(
        commit.sha,
        branch,
        commit.committed_at,
        commit.trailer("Event"),
        commit.trailer("Actor"),
        commit.subject,
        all_of("Job-Request"),
        all_of("Workspace"),
        commit.trailer("Via"),
    )


def _touched(objects: PipedObjects, branch: str, commit: Commit) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(job requests, workspaces) that a pushed commit changes."""
    parent = objects.commit(commit.parents[0]).tree if commit.parents else None
    touched: dict[layout.Kind, dict[str, None]] = {}
    try:
        for file in diff(objects, parent, commit.tree):
            where = layout.parse_path(branch, file.path)
            if where is not None and where.place is not None:
                touched.setdefault(layout.Kind.REQUEST, {})[where.place.identifier] = None
            elif where is not None:
                touched.setdefault(where.kind, {})[where.name] = None
    except (Error, KeyError, ValueError):
        return (), ()
    return tuple(touched.get(layout.Kind.REQUEST, ())), tuple(touched.get(layout.Kind.WORKSPACE, ()))


def _receipts(repository: Path, tips: Mapping[str, str], ours: _Judge) -> dict[str, dict[str, Receipt]]:
    """branch -> last commit of a push -> its receipt."""
    if layout.AUDIT not in tips:
        return {}
    objects = PipedObjects(repository)
    try:
        record: AuditRecord = read_audit_record(objects, filter(ours, first_parent_log(repository, tips[layout.AUDIT])))
    except (Error, KeyError, ValueError):
        return {}
    finally:
        objects.close()
    receipts: dict[str, dict[str, Receipt]] = {}
    for receipt, _ in record.receipts:
        receipts.setdefault(receipt.branch, {})[receipt.new] = receipt
    return receipts
