"""Reads the branch `audit`: receipts of accepted pushes, and checkpoints of where branches were."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from jobserver.domain.base import layout
from jobserver.domain.base.permissions import Actor
from jobserver.domain.record import STATED, Checkpoint, ImportStatement, Receipt
from jobserver.store.git import trees
from jobserver.store.git.objects import Objects
from jobserver.store.read.commits import Commit
from jobserver.store.yaml import codec


@dataclass(frozen=True, slots=True)
class PushRecord:
    """Who pushed a commit that the server did not sign, when, and by which policy it was judged."""

    actor: Actor
    received_at: datetime
    policy: str


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """The receipts, each with the policy of its judgement, the checkpoints, and the statements of imports, in order."""

    receipts: list[tuple[Receipt, str]]
    checkpoints: list[Checkpoint]
    statements: list[ImportStatement] = field(default_factory=list)


def read_audit_record(objects: Objects, commits: Iterable[Commit]) -> AuditRecord:
    """Reads the commits of `audit`, oldest first. Raises `Error` (invalid) for one that can't be read."""
    record = AuditRecord([], [])
    for commit in commits:
        event = commit.trailer("Event")
        tree = {entry.name: entry.sha for entry in trees.entries(objects.tree(commit.tree))}
        if event == "push.received":
            data = objects.raw(tree[layout.RECEIPT_PATH.encode()])
            record.receipts.append((codec.read(Receipt, data, layout.RECEIPT_PATH), commit.trailer("Policy")))
        elif event == "tips.checkpointed":
            data = objects.raw(tree[layout.CHECKPOINT_PATH.encode()])
            record.checkpoints.append(codec.read(Checkpoint, data, layout.CHECKPOINT_PATH))
        elif event == STATED:
            data = objects.raw(tree[layout.IMPORT_PATH.encode()])
            record.statements.append(codec.read(ImportStatement, data, layout.IMPORT_PATH))
    return record


def pushed_commits(
    record: AuditRecord, branch: str, positions: Mapping[str, int], line: list[str]
) -> dict[str, PushRecord]:
    """Commit -> who pushed it, for the pushes that moved the branch. ``line``: the branch's commits, oldest first."""
    pushed: dict[str, PushRecord] = {}
    for receipt, policy in record.receipts:
        if receipt.branch != branch or receipt.new not in positions:
            continue
        first = positions.get(receipt.old, -1) + 1
        for sha in line[first : positions[receipt.new] + 1]:
            pushed[sha] = PushRecord(Actor.parse(receipt.pusher), receipt.received_at, policy)
    return pushed
