"""Releases that were interrupted, or that a disk had no room for: whole and recorded, or not there."""

import errno
import os
from pathlib import Path

import pytest

from jobserver.domain.backends import DeactivateBackend
from jobserver.errors import Code, Error
from jobserver.service.releases.upload import Upload
from tests.integration.service.releases.place import ID, WHOLE, Place
from tests.site import ADMIN, TPP
from tests.zips import GOOD, MANIFEST, zipped


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


def killed(place: Place, monkeypatch: pytest.MonkeyPatch, target: str, after: bool) -> None:
    """An upload that ends at a call of ``target``, before or after it is done."""
    module, _, name = target.rpartition(".")
    real = getattr(__import__(module.rpartition(".")[0], fromlist=["x"]), module.rpartition(".")[2])
    function = getattr(real, name)

    def ends(*args: object, **more: object) -> None:
        if after:
            function(*args, **more)
        raise Killed

    monkeypatch.setattr(target, ends)
    with pytest.raises(Killed):
        place.take()
    monkeypatch.undo()


RECORDING = "jobserver.service.writes.gate.Gate.submit"
NAMING = "jobserver.store.release_files.StagedRelease.publish"


@pytest.mark.parametrize(("target", "after"), [(RECORDING, False), (RECORDING, True), (NAMING, False), (NAMING, True)])
def test_an_interrupted_upload_is_finished(
    place: Place, monkeypatch: pytest.MonkeyPatch, target: str, after: bool
) -> None:
    """Whatever comes next, once: a new start, or the same upload again."""
    killed(place, monkeypatch, target, after)
    assert (place.stored() == WHOLE) is (target == NAMING and after)
    place.process().settle_interrupted()
    assert place.stored() == WHOLE
    assert place.recorded() == 1
    assert place.take() == (place.git("rev-parse", "backends/tpp").strip(), False)
    assert place.problems() == []


def test_an_upload_recorded_long_ago_is_finished_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer ago than idempotency keys are kept; and its backend was switched off since."""
    killed(place, monkeypatch, RECORDING, after=True)
    place.now = place.now.replace(year=place.now.year + 1)
    place.do(ADMIN, DeactivateBackend("tpp"))
    place.process().settle_interrupted()
    assert place.stored() == WHOLE
    assert place.recorded() == 1


def test_an_upload_that_may_not_be_recorded_any_more_is_deleted(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(place, monkeypatch, RECORDING, after=False)
    place.do(ADMIN, DeactivateBackend("tpp"))
    place.process().settle_interrupted()
    assert place.stored() == []
    assert place.recorded() == 0


def test_half_of_one_is_thrown_away(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(place, monkeypatch, RECORDING, after=False)
    next(place.root.rglob("plot.svg")).write_bytes(b"<sv")
    folder = place.root / ".incoming" / "ab"
    (folder / "files").mkdir(parents=True)
    (folder / "files" / "x").write_bytes(b"1")
    place.process().settle_interrupted()
    assert place.stored() == []
    assert place.recorded() == 0


def test_an_upload_that_another_process_writes_is_left_alone(place: Place) -> None:
    upload = Upload("trends", ID, "jane", zipped(GOOD))
    other = {"a": b"1", MANIFEST: b"{}"}
    submit = place.gate.submit

    def meanwhile(*args: object, **more: object) -> object:
        place.gate.submit = submit  # type: ignore[method-assign]
        place.process().settle_interrupted()
        assert place.take(other)[1]
        return submit(*args, **more)  # type: ignore[arg-type]

    place.gate.submit = meanwhile  # type: ignore[assignment,method-assign]
    assert place.releases.upload(TPP, upload, "test")[1]
    assert place.recorded() == 2
    assert place.problems() == []


def test_a_full_disk_leaves_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """At any write, sync or folder before the record has it."""
    real = {name: getattr(os, name) for name in ("write", "fsync", "mkdir")}
    at, calls = 0, 0

    def wrap(name: str) -> None:
        def call(*args: object, **more: object) -> object:
            nonlocal calls
            calls += 1
            if calls == at:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real[name](*args, **more)

        monkeypatch.setattr(os, name, call)

    for name in real:
        wrap(name)
    refused = 0
    while True:
        at, calls = at + 1, 0
        try:
            place.take()
            break
        except Error as error:
            assert error.code is Code.UNAVAILABLE
            assert "/" not in str(error) or place.recorded()
            refused += 1
        if place.recorded():
            break
        assert place.stored() == []
    assert refused > 15
    at = 0
    assert place.take() == (place.git("rev-parse", "backends/tpp").strip(), False)
    assert place.recorded() == 1
    assert place.problems() == []


def test_a_record_that_the_disk_did_not_confirm(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows whether it is there, so nothing is thrown away."""

    def fails(folder: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("jobserver.store.git.refs.sync_folder", fails)
    with pytest.raises(Error, match="look for Request-Id"):
        place.take()
    monkeypatch.undo()
    assert place.take()[1] is False
    assert place.recorded() == 1
    assert place.problems() == []


def test_a_disk_that_does_not_name_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.replace

    def refuse(path: Path, target: Path) -> Path:
        if target == place.root / "trends" / "tpp" / ID:
            raise OSError(errno.EIO, "Input/output error")
        return real(path, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(Error) as caught:
        place.take()
    assert caught.value.code is Code.UNAVAILABLE
    monkeypatch.undo()
    place.process().settle_interrupted()
    assert place.stored() == WHOLE
    assert (place.recorded(), place.problems()) == (1, [])
