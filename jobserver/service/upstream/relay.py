"""Passes a push that this server accepted on to the hosted repository, before git moves the branches here."""

from contextlib import ExitStack
from pathlib import Path
from time import monotonic, sleep

from jobserver.errors import conflict
from jobserver.service.upstream.sync import Hosted
from jobserver.store.git.refs import Refs
from jobserver.store.upstream import NewTips, RefConflict
from jobserver.worker import start_task

_HOOK_SECONDS = 2.0  # for git to move its refs after the hook has accepted the push


def relay(hosted: Hosted, new_tips: NewTips, quarantine: Path | None) -> None:
    """Makes an accepted push on the host. Its receipts must be there already.

    Keeps the writer's turn until git has moved its refs here too: no other write may come between.

    Raises `Error`: conflict if a branch moved on the host, unavailable if the push failed or its result is unknown.
    """
    writer = hosted.repo.writer
    turn = ExitStack()
    try:
        turn.enter_context(writer.locked())
        hosted.permit()
        for branch in new_tips:
            if branch in hosted.frozen:
                raise hosted.frozen_error(branch)
        for branch, error in hosted.publisher.push(new_tips, quarantine).items():
            if isinstance(error, RefConflict):
                hosted.follower.hint()
                raise conflict("the branch has moved: fetch first", branch)
            raise error
    except BaseException:
        turn.close()
        raise
    start_task("pushed", lambda: _await_git(turn, writer.refs, new_tips))


def _await_git(turn: ExitStack, refs: Refs, new_tips: NewTips) -> None:
    with turn:
        ends = monotonic() + _HOOK_SECONDS
        while monotonic() < ends and any(refs.tip(branch) != new for branch, (_, new) in new_tips.items()):
            sleep(0.005)
