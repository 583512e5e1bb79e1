"""What Airlock told about requests to release files, found in the commits of a backend's branch, and how it reads."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from jobserver.domain.base import layout
from jobserver.domain.base.layout import Kind
from jobserver.domain.outputs.airlock import in_words
from jobserver.domain.outputs.documents import AirlockEvent, CheckedRelease
from jobserver.store.read.snapshot import Snapshot
from jobserver.store.repo import StateRepo


@dataclass(frozen=True, slots=True)
class ReleaseEvent:
    """``number``: of the event in the document of the release, from 0."""

    release: CheckedRelease
    number: int

    @property
    def event(self) -> AirlockEvent:
        return self.release.airlock[self.number]

    @property
    def mark(self) -> str:
        """Different for each event, whoever finds it and how often."""
        return f"{self.release.backend}/{self.release.workspace}/{self.release.identifier}/{self.number}"

    def summary(self) -> str:
        return f"request {in_words(self.event.step)} by {self.event.by}"

    def lines(self) -> list[str]:
        return [self.summary(), *self.event.updates]

    def url(self, base_url: str) -> str:
        return f"{base_url}/{self.release.workspace}/releases/{self.release.identifier}"


def new_events(repo: StateRepo, branch: str, old: str, new: str, paths: Iterable[str]) -> list[ReleaseEvent]:
    """The events that came between these commits, in the order in which they happened."""
    names = [
        where.name
        for path in paths
        if (where := layout.parse_path(branch, path)) is not None and where.kind is Kind.RELEASE
    ]
    if not names:
        return []

    def read(state: Snapshot) -> dict[str, CheckedRelease]:
        releases = {name: state.release(*name.split("/")) for name in names}
        return {name: release for name, release in releases.items() if release is not None}

    before = repo.writer.read(branch, read, commit=old)
    after = repo.writer.read(branch, read, commit=new)
    events = [event for name, release in after.items() for event in _added(before.get(name), release)]
    return sorted(events, key=lambda event: event.event.at)


def _added(before: CheckedRelease | None, after: CheckedRelease) -> Iterator[ReleaseEvent]:
    first = len(before.airlock) if before is not None else 0
    return (ReleaseEvent(after, number) for number in range(first, len(after.airlock)))
