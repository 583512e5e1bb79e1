"""What happened to a release, in order and in words."""

from datetime import UTC, datetime, timedelta

from jobserver.domain.outputs.documents import (
    AirlockEvent,
    CheckedFile,
    CheckedRelease,
    Deed,
    Publication,
    Review,
    Tombstone,
)
from jobserver.web.pages.released.timeline import timeline


def at(minutes: int) -> datetime:
    return datetime(2026, 11, 27, 12, 0, tzinfo=UTC) + timedelta(minutes=minutes)


def file(path: str, uploaded: int, withdrawn: int | None = None) -> CheckedFile:
    stone = Tombstone(by="dave", at=at(withdrawn), reason="Small numbers") if withdrawn is not None else None
    return CheckedFile(path=path, size=1, sha256="0" * 64, uploaded=Deed(by="jane", at=at(uploaded)), withdrawn=stone)


def test_every_step_is_told_once_in_the_order_of_time() -> None:
    release = CheckedRelease(
        identifier="01J9ZQ4V8N6T3W5X7Y9A1B2C3D",
        workspace="trends",
        backend="tpp",
        author="bob",
        created_at=at(0),
        vouched_by="tpp",
        files=(file("a.csv", 10), file("b.csv", 11, 30), file("c.csv", 12, 30)),
        reviews=(
            Review(by="jane", at=at(3), decision="approved", vouched_by="tpp"),
            Review(by="dave", at=at(4), decision="approved", files=("a.csv",), comment="Rounded"),
        ),
        airlock=(
            AirlockEvent(step="submitted", by="bob", at=at(1)),
            AirlockEvent(step="partially-reviewed", by="jane", at=at(2), updates=("group 1",)),
            AirlockEvent(step="approved", by="jane", at=at(3)),  # is the review of that moment
        ),
        publications=(
            Publication(
                files=("a.csv",),
                requested=Deed(by="bob", at=at(20)),
                approved=Deed(by="pub", at=at(21)),
                end_requested=Deed(by="bob", at=at(40)),
                ended=Deed(by="pub", at=at(41), comment="An error"),
            ),
        ),
    )
    assert [f"{step.by} {step.action}" for step in timeline(release)] == [
        "bob asked to release 3 files",
        "bob submitted the request in Airlock",
        "jane reviewed the request in Airlock",
        "jane approved all files",
        "dave approved a.csv",
        "jane released 3 files",
        "bob asked to publish 1 file",
        "pub published 1 file",
        "dave withdrew 2 files",
        "bob asked to end the publication",
        "pub ended the publication",
    ]
    assert timeline(release)[2].comment == "group 1"
    assert timeline(release)[3].vouched_by == "tpp"
    assert timeline(release)[-1].comment == "An error"


def test_what_happened_between_uploads_is_between_them() -> None:
    release = CheckedRelease(
        identifier="01J9ZQ4V8N6T3W5X7Y9A1B2C3D",
        workspace="trends",
        backend="tpp",
        author="bob",
        created_at=at(0),
        files=(file("a.csv", 10), file("b.csv", 11, 20), file("c.csv", 30)),
        reviews=(Review(by="dave", at=at(12), decision="rejected", files=("c.csv",)),),
    )
    assert [step.action for step in timeline(release)] == [
        "asked to release 3 files",
        "released 2 files",
        "rejected c.csv",
        "withdrew b.csv",
        "released c.csv",
    ]


def test_a_publication_that_was_declined_was_never_ended() -> None:
    declined = Publication(files=("a",), requested=Deed(by="bob", at=at(1)), ended=Deed(by="pub", at=at(2)))
    release = CheckedRelease(
        identifier="01J9ZQ4V8N6T3W5X7Y9A1B2C3D",
        workspace="trends",
        backend="tpp",
        author="bob",
        created_at=at(0),
        publications=(declined,),
    )
    assert timeline(release)[-1].action == "declined to publish"
    assert timeline(release)[0].action == "asked to release files"
