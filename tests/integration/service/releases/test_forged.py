"""Releases that were changed afterwards, or recorded by who may not: each is noticed, and named."""

import pytest

from jobserver.audit.verify import verify
from jobserver.audit.vouched_release_check import recorded_releases
from jobserver.domain.admit import Admitted
from jobserver.domain.backends import AddBackend
from jobserver.domain.base.permissions import Actor
from jobserver.domain.base.state import Change, Changes
from jobserver.domain.releases import EVENT, RecordRelease, Release
from jobserver.domain.users import User
from jobserver.errors import Code, Error
from jobserver.store import incoming
from jobserver.store.read.snapshot import Snapshot
from jobserver.store.release_files import ReleaseStore
from tests.integration.service.releases.place import ID, Place
from tests.site import ADMIN, ALICE, SERVER, TPP


def test_files_that_are_not_what_was_uploaded(place: Place) -> None:
    place.take()
    folder = place.root / "trends" / "tpp" / ID
    table = folder / "files" / "output" / "table.csv"
    table.write_bytes(b"age,count\n40,8\n")
    (folder / "files" / "more.csv").write_bytes(b"1")
    found = "\n".join(place.problems())
    assert f"records release {ID} of trends: output/table.csv differs from the uploaded file" in found
    assert "more.csv was not uploaded" in found
    table.unlink()
    assert any("output/table.csv can't be read" in one for one in place.problems())
    record = folder / "release.json"
    record.write_text(record.read_text().replace("jane", "joan"))
    assert any("release.json differs" in one for one in place.problems())
    record.write_text(record.read_text().replace("table.csv", "../../../../etc/passwd"))
    assert any("differ from the uploaded ones" in one for one in place.problems())
    with pytest.raises(Error, match="contradicts itself"):
        place.releases.store.find("trends", "tpp", ID)
    folder.rename(folder.with_name("b" * 32))
    found = "\n".join(place.problems())
    assert "whose files are missing" in found
    assert f"no commit records the release trends/tpp/{'b' * 32}" in found


def test_a_damaged_release_is_left_out_or_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.take()
    store = ReleaseStore(place.root)
    (kept,) = store.of_workspace("trends", ["tpp", "emis"])
    path = next(iter(kept.files)).path
    file = place.root / "trends" / "tpp" / ID / "files" / path
    file.unlink()
    file.mkdir()
    with pytest.raises(Error, match="is not a regular file") as caught:
        store.open(kept, path)
    assert caught.value.code is Code.UNAVAILABLE
    (place.root / "trends" / "tpp" / ID / "release.json").write_bytes(b"{}")
    assert store.of_workspace("trends", ["tpp"]) == []


def test_beside_what_is_none_and_what_another_took(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file among the folders of uploads, and a folder that somebody took for abandoned before it was locked."""
    (place.root / ".incoming" / "a-file").write_bytes(b"")
    real, taken = incoming._Lock.holds, [False]
    monkeypatch.setattr(incoming._Lock, "holds", lambda lock: taken.pop() if taken else real(lock))
    assert place.take()[1]
    assert taken == []
    assert list(ReleaseStore(place.root).leftovers()) == []


def test_a_message_that_speaks_of_a_release_records_none(place: Place) -> None:
    tip = place.git("rev-parse", "backends/tpp").strip()
    tree = place.git("rev-parse", "backends/tpp^{tree}").strip()
    message = f"Of something else\n\nEvent: {EVENT}\nand no trailer"
    sha = place.git("-c", "user.name=x", "-c", "user.email=x@x", "commit-tree", tree, "-p", tip, "-m", message).strip()
    place.take()
    assert [one for one, _ in recorded_releases(place.path, sha)] == []


def release(**more: object) -> Release:
    values = {"workspace": "trends", "identifier": ID, "user": "eve", "files": 1, "size": 1, "sha256": "0" * 64}
    return Release.model_validate({**values, **more})


@pytest.mark.parametrize("actor", [ADMIN, ALICE, SERVER, Actor(TPP.kind, "emis")])
def test_only_the_backend_itself_releases(place: Place, actor: Actor) -> None:
    place.do(ADMIN, AddBackend("emis", "b" * 64))
    with pytest.raises(Error) as refused:
        place.do(actor, RecordRelease("tpp", release()))
    assert refused.value.code is Code.FORBIDDEN
    assert place.recorded() == 0


def test_a_workspace_that_is_not_there(place: Place) -> None:
    with pytest.raises(Error, match="workspace 'other' does not exist"):
        place.do(TPP, RecordRelease("tpp", release(workspace="other")))


def test_since_policy_2_a_release_needs_a_user_with_the_right_to_release(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was recorded by the rules before stays legal."""
    for user in ("eve", "alice", "bob"):
        with pytest.raises(Error, match=f"{user} is not an active user who can release files of trends") as refused:
            place.do(TPP, RecordRelease("tpp", release(user=user)))
        assert refused.value.code is Code.FORBIDDEN

    def decide(state: Snapshot) -> tuple[Admitted, dict[str, str]]:
        eves = release()
        changes = Changes("backends/tpp", EVENT, "x", trailers=eves.trailers(), release=eves)
        return Admitted(state.tip, changes, TPP, place.clock()), {}

    with monkeypatch.context() as old:
        old.setattr("jobserver.store.write.commit_builder.POLICY", 1)
        place.repo.writer.submit("backends/tpp", decide)
    assert verify(place.path).problems == []
    place.repo.writer.submit("backends/tpp", decide)
    assert [one.message for one in verify(place.path).problems] == [
        "Backend-User not valid: eve is not an active user who can release files of trends"
    ]


def test_a_forged_record_is_found(place: Place) -> None:
    """What a tricked server, or who has its key, could sign."""

    def illegal(actor: Actor, changes: Changes) -> None:
        def decide(state: Snapshot) -> tuple[Admitted, dict[str, str]]:
            return Admitted(state.tip, changes, actor, place.clock()), {}

        place.repo.writer.submit(changes.branch, decide)

    forged = release()
    illegal(ADMIN, Changes("backends/tpp", EVENT, "x", trailers=forged.trailers(), release=forged))
    illegal(TPP, Changes("backends/tpp", EVENT, "x", trailers=forged.trailers()[1:], release=forged))
    illegal(TPP, Changes("main", EVENT, "x", trailers=forged.trailers(), release=forged))
    eve = User(username="eve")
    change = Change("users/eve.yaml", None, eve)
    illegal(ADMIN, Changes("main", EVENT, "x", (change,), trailers=forged.trailers()))
    illegal(TPP, Changes("backends/tpp", "jobs.updated", "x", trailers=forged.trailers(), release=forged))
    found = "\n".join(str(one) for one in verify(place.path).problems)
    assert "admin cannot release files of trends on backends/tpp" in found
    assert "can't be read: workspace: required, and missing" in found
    assert "tpp cannot release files of trends on main" in found
    assert f"says Event: {EVENT}, but does something else" in found
    assert "says Event: jobs.updated, but does something else" in found
