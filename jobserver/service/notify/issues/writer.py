"""Writes what is to become of the issue of each request to release files."""

from collections.abc import Mapping

from jobserver.domain.base import layout
from jobserver.domain.outputs.documents import AirlockStep
from jobserver.domain.workspaces import Workspace
from jobserver.service.accounts.private_store import Statement
from jobserver.service.notify.issues.change import PENDING, UNDER_REVIEW, WITH_REQUESTER, IssueChange
from jobserver.service.notify.news import News
from jobserver.service.notify.outbox import Message
from jobserver.service.notify.release_events import ReleaseEvent
from jobserver.store.repo import StateRepo

_LABELS: dict[AirlockStep, str] = {
    "submitted": PENDING,
    "resubmitted": PENDING,
    "partially-reviewed": UNDER_REVIEW,
    "reviewed": UNDER_REVIEW,
    "returned": WITH_REQUESTER,
}
_ADVICE = "**When you start a review, react to this message with :eyes:. When you have finished it, add a :thumbsup:.**"
_CLOSING = frozenset({"withdrawn", "rejected", "released"})


def repository_of(repositories: Mapping[str, str], project: str | None, named: str | None) -> str:
    """The repository with the issues of this project (``org/slug``): the one that Airlock named if it is one of
    OUTPUT_CHECKING_REPOS, the organisation's own, or that of all others. Empty if there is none.

    A backend does not choose freely where the server's token writes.
    """
    if named is not None and named in repositories.values():
        return named
    return repositories.get((project or "").partition("/")[0]) or repositories.get("", "")


class IssueWriter:
    """``repositories``: OUTPUT_CHECKING_REPOS."""

    def __init__(self, repo: StateRepo, repositories: Mapping[str, str], base_url: str) -> None:
        self._repo, self._repositories, self._base_url = repo, repositories, base_url

    def is_needed(self) -> bool:
        return bool(self._repositories)

    def about(self, news: News) -> list[Message]:
        return [change.queued() for event in news.releases if (change := self._change(event)) is not None]

    def periodic(self) -> tuple[list[Message], list[Statement]]:
        return [], []

    def _change(self, event: ReleaseEvent) -> IssueChange | None:
        release, step = event.release, event.event.step
        repository = repository_of(self._repositories, release.project, event.event.repository)
        if not repository:
            return None
        is_closed = step in _CLOSING
        lines = "\n".join(f"- {_plain(line)}" for line in event.lines())
        return IssueChange(
            repository=repository,
            release=f"{release.backend}/{release.identifier}",  # another backend may choose the same id
            event=event.mark,
            title=f"{release.workspace} {release.identifier}",
            body=self._body(event),
            comment="" if step == "submitted" else f"Release request {'closed' if is_closed else 'updated'}:\n{lines}",
            label=_LABELS.get(step, ""),
            is_closed=is_closed,
        )

    def _body(self, event: ReleaseEvent) -> str:
        release = event.release
        workspace: Workspace | None = self._repo.writer.read(
            layout.MAIN, lambda state: state.workspace(release.workspace)
        )
        study = [f"Study: {workspace.repo}"] if workspace is not None else []
        return "\n".join(
            [
                f"Requested by: {release.author}",
                f"Release request: [{release.identifier}]({event.url(self._base_url)})",
                f"Workspace: [{release.workspace}]({self._base_url}/{release.workspace}/)",
                *study,
                "",
                _ADVICE,
            ]
        )


def _plain(text: str) -> str:
    """Text of Airlock's users that notifies nobody and is no HTML."""
    return text.replace("@", "@\u200b").replace("<", "&lt;")
