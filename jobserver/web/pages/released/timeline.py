"""What happened to a release, in order, in words: who asked, decided, let files out, published and withdrew. Pure."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from jobserver.domain.outputs.airlock import in_words
from jobserver.domain.outputs.documents import CheckedRelease, Publication, Review
from jobserver.domain.outputs.steps import count_of


@dataclass(frozen=True, slots=True)
class Step:
    """``action``: follows the name of ``by``. ``style``: `good`, `bad` or empty. ``vouched_by``: the backend that
    speaks for the person."""

    time: datetime
    by: str
    action: str
    comment: str = ""
    style: str = ""
    vouched_by: str = ""


def timeline(release: CheckedRelease) -> list[Step]:
    """Oldest first."""
    asked = Step(
        release.created_at,
        release.author,
        f"asked to release {count_of(len(release.files)) if release.files else 'files'}",
        release.comment or "",
        vouched_by=release.vouched_by or "",
    )
    steps = [asked, *_reviews(release), *_airlock(release), *_withdrawals(release)]
    for publication in release.publications:
        steps += _publication(publication)
    steps += _uploads(release, sorted(step.time for step in steps))
    return sorted(steps, key=lambda step: step.time)


def _reviews(release: CheckedRelease) -> Iterator[Step]:
    for review in release.reviews:
        yield Step(
            review.at,
            review.by,
            f"{review.decision} {_which(release, review)}",
            review.comment or "",
            {"approved": "good", "rejected": "bad"}.get(review.decision, ""),
            review.vouched_by or "",
        )


def _which(release: CheckedRelease, review: Review) -> str:
    if review.decision == "returned":
        return "the request to its author"
    if not review.files:
        return "all files" if len(release.files) != 1 else "the file"
    return review.files[0] if len(review.files) == 1 else count_of(len(review.files))


def _airlock(release: CheckedRelease) -> Iterator[Step]:
    decided = {(review.by, review.at) for review in release.reviews}
    for event in release.airlock:
        if (event.by, event.at) not in decided:
            comment = "; ".join(event.updates)
            yield Step(event.at, event.by, f"{in_words(event.step)} the request in Airlock", comment)


def _uploads(release: CheckedRelease, others: Sequence[datetime]) -> Iterator[Step]:
    """One step for files that one person let out one after the other. ``others``: the times of the other steps."""
    uploads = sorted((file.uploaded.at, file.uploaded.by, file.path) for file in release.files if file.uploaded)
    for (by, _), group in groupby(uploads, key=lambda upload: (upload[1], bisect_right(others, upload[0]))):
        files = list(group)
        subject = files[0][2] if len(files) == 1 else count_of(len(files))
        yield Step(files[-1][0], by, f"released {subject}", style="good")


def _withdrawals(release: CheckedRelease) -> Iterator[Step]:
    if (stone := release.withdrawn) is not None:
        yield Step(stone.at, stone.by, "withdrew the release", stone.reason, "bad", stone.vouched_by or "")
    stones = [(file.withdrawn, file.path) for file in release.files if file.withdrawn is not None]
    for stone, group in groupby(stones, key=lambda pair: pair[0]):
        paths = [path for _, path in group]
        subject = paths[0] if len(paths) == 1 else count_of(len(paths))
        yield Step(stone.at, stone.by, f"withdrew {subject}", stone.reason, "bad", stone.vouched_by or "")


def _publication(publication: Publication) -> Iterator[Step]:
    files = count_of(len(publication.files))
    asked = publication.requested
    yield Step(asked.at, asked.by, f"asked to publish {files}", asked.comment or "")
    if (deed := publication.approved) is not None:
        yield Step(deed.at, deed.by, f"published {files}", style="good")
    if (deed := publication.end_requested) is not None:
        yield Step(deed.at, deed.by, "asked to end the publication", deed.comment or "")
    if (deed := publication.ended) is not None:
        action = "ended the publication" if publication.approved else "declined to publish"
        yield Step(deed.at, deed.by, action, deed.comment or "", "bad")
