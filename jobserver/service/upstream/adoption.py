"""Accepts commits that somebody made on the hosted repository itself, past every server."""

from jobserver.domain.base.permissions import Actor
from jobserver.errors import conflict
from jobserver.service.push.receiver import Receiver
from jobserver.service.upstream.sync import Hosted
from jobserver.store.git.command import is_ancestor


def adopt(hosted: Hosted, receiver: Receiver, branch: str, actor: Actor) -> tuple[str, str]:
    """Accepts a frozen branch's commits as if ``actor`` had pushed them. Returns the tips (before, after).

    Raises `Error`: conflict if the branch is not frozen, or has to go back on the host; with every fault if the commits
    could not have been pushed.
    """
    old, new = pending(hosted, branch)
    receiver.adopt(branch, old, new, actor)
    with hosted.repo.writer.locked():
        hosted.refresh()
    if problem := hosted.frozen.get(branch):
        raise conflict(f"the hosted repository {problem}", branch)
    return old, new


def pending(hosted: Hosted, branch: str) -> tuple[str, str]:
    """The tips (here, on the host) of a frozen branch. Raises `Error` (conflict) as `adopt` does."""
    with hosted.repo.writer.locked():
        hosted.refresh()
        different = {name: (old, new) for name, old, new in hosted.branches.different(hosted.branches.tips())}
    old, new = different.get(branch, (None, None))
    if branch not in hosted.frozen or old is None or new is None:
        frozen = ", ".join(different) or "none"
        raise conflict(f"is not frozen by commits that could be adopted (frozen branches: {frozen})", branch)
    if not is_ancestor(hosted.repo.path, old, new):
        raise conflict(f"the hosted repository {hosted.frozen[branch]}: reset the branch there to {old}", branch)
    return old, new
