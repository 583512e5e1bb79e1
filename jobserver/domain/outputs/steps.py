"""Helpers for the plans of releases: the release that stands, the time of a step, and the change of its document."""

from datetime import UTC, datetime, timedelta
from typing import Any

from jobserver.domain.base import layout
from jobserver.domain.base.layout import Kind
from jobserver.domain.base.planning import require
from jobserver.domain.base.state import Change, Changes, State
from jobserver.domain.outputs.documents import AirlockEvent, CheckedRelease, Deed, Review, Tombstone, unknown_paths
from jobserver.errors import conflict, invalid, some

_TICK = timedelta(microseconds=1)
_LAST = datetime(9999, 12, 31, tzinfo=UTC)


def newest_time(release: CheckedRelease) -> datetime:
    """When something last happened to the release, as its document says."""
    deeds: list[Deed | Tombstone | Review | AirlockEvent | None] = [
        *release.reviews,
        *release.airlock,
        release.withdrawn,
    ]
    deeds += [deed for file in release.files for deed in (file.uploaded, file.withdrawn)]
    for publication in release.publications:
        deeds += [publication.requested, publication.approved, publication.end_requested, publication.ended]
    return max([release.created_at, *(deed.at for deed in deeds if deed is not None)])


def stored_release(state: State, workspace: str, identifier: str) -> CheckedRelease | None:
    return state.release(workspace, identifier) if layout.is_release(workspace, identifier) else None


def standing_release(state: State, workspace: str, identifier: str, now: datetime) -> tuple[CheckedRelease, datetime]:
    """The release, and the time of its next step. Raises `Error` (not_found).

    What happens later has a later time, whatever clocks say.
    """
    release = require(stored_release(state, workspace, identifier), Kind.RELEASE, identifier)
    newest = newest_time(release)
    if newest > _LAST:
        raise conflict(f"release {identifier} says that something happened at {newest.isoformat()}: nothing is later")
    return release, max(now, newest + _TICK)


def write_release(
    state: State, before: CheckedRelease | None, after: CheckedRelease, verb: str, subject: str, **result: Any
) -> Changes:
    path = layout.release_path(after.workspace, after.identifier)
    change = (Change(path, before, after),)
    is_same = before == after
    return Changes(
        state.branch,
        f"release.{verb}",
        subject[:200],
        () if is_same else change,
        trailers=(("Workspace", after.workspace), ("Release", after.identifier)),
        result={"identifier": after.identifier, "workspace": after.workspace, **result},
        unchanged=change if is_same else (),
    )


def count_of(files: int) -> str:
    return "1 file" if files == 1 else f"{files} files"


def require_paths(release: CheckedRelease, paths: tuple[str, ...]) -> None:
    if unknown := unknown_paths(release, paths):
        raise invalid(f"release {release.identifier} has no file {some(unknown)}", "files", field="files")
