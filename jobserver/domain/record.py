"""What the server itself records: receipts, checkpoints, finished requests moved away. Part of `plan`; see there."""

from datetime import datetime

from jobserver.domain import commands as c
from jobserver.domain.base import names
from jobserver.domain.base.names import Area
from jobserver.domain.base.state import Change, Changes, Move, State
from jobserver.domain.documents import Checkpoint, Receipt
from jobserver.domain.job_requests import lifecycle


def push(state: State, command: c.RecordPush, now: datetime) -> Changes:
    before = state.receipt()
    receipt = Receipt(
        number=before.number + 1 if before else 1,
        branch=command.branch,
        old=command.old,
        new=command.new,
        pusher=command.pusher,
        received_at=now,
    )
    return Changes(
        names.AUDIT,
        "push.received",
        f"{command.pusher} pushed {command.new[:10]} to {command.branch}",
        (Change(names.RECEIPT_PATH, before, receipt),),
        trailers=(
            ("Number", str(receipt.number)),
            ("Pusher", command.pusher),
            ("Ref", f"refs/heads/{command.branch}"),
            ("Old", command.old),
            ("New", command.new),
        ),
    )


def checkpoint(state: State, command: c.RecordCheckpoint, now: datetime) -> Changes:
    before = state.checkpoint()
    # Another server may have written one since, of later tips than these: then the next look compares with that.
    if (before.number if before else 0) != command.after or (before and before.tips == dict(command.tips)):
        return Changes(names.AUDIT, "tips.checkpointed", "")
    after = Checkpoint(number=before.number + 1 if before else 1, tips=dict(sorted(command.tips.items())), made_at=now)
    return Changes(
        names.AUDIT,
        "tips.checkpointed",
        f"jobserver saw {len(after.tips)} branches",
        (Change(names.CHECKPOINT_PATH, before, after),),
        trailers=(("Number", str(after.number)),),
    )


def archive(state: State) -> Changes:
    moves = [
        Move(stored.place, Area.ARCHIVE)
        for stored in state.active()
        if lifecycle.finished(state.jobs(stored.place).values())
    ]
    identifiers = [move.place.identifier for move in moves]
    said = ", ".join(identifiers) if len(identifiers) <= 3 else f"{len(identifiers)} job requests"
    return Changes(
        state.branch,
        "job-requests.archived",
        f"jobserver archived {said}",
        moves=tuple(moves),
        trailers=tuple(("Job-Request", identifier) for identifier in identifiers),
    )
