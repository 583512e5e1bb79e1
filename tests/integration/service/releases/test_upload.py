"""Releases through a real repository and a real folder: taken whole, recorded once, and judged by an auditor."""

import subprocess
import threading
from pathlib import Path

import pytest

from jobserver.audit.log import LogFilter, log
from jobserver.domain.backends import AddBackend
from jobserver.domain.base.permissions import Actor
from jobserver.domain.releases import EVENT
from jobserver.errors import Code, Error
from jobserver.service.releases.upload import ReleaseService, Upload
from jobserver.service.writes.gate import Gate
from jobserver.store.release_files import ReleaseStore
from jobserver.store.repo import StateRepo
from tests.integration.service.releases.place import ID, WHOLE, Place
from tests.site import ADMIN, TEMPLATES, TPP
from tests.zips import GOOD, MANIFEST, zipped


def test_a_release_is_stored_and_recorded_once(place: Place) -> None:
    commit, is_new = place.take()
    assert is_new
    assert commit == place.git("rev-parse", "backends/tpp").strip()
    assert place.stored() == WHOLE
    folder = place.root / "trends" / "tpp" / ID
    assert {path: (folder / "files" / path).read_bytes() for path in GOOD} == GOOD
    assert all(path.stat().st_mode & 0o077 == 0 for path in place.root.rglob("*"))
    assert place.git("rev-parse", "backends/tpp^{tree}") == place.git("rev-parse", "backends/tpp~1^{tree}")
    assert place.take(user="somebody else") == (commit, False)
    assert place.recorded() == 1
    assert place.problems() == []


def test_the_record_can_be_checked_with_coreutils(place: Place) -> None:
    commit, _ = place.take()
    done = subprocess.run(
        "find * -type f | LC_ALL=C sort | xargs -d '\\n' sha256sum | sha256sum",
        shell=True, capture_output=True, text=True, check=True, cwd=place.root / "trends" / "tpp" / ID / "files",
    )  # fmt: skip
    said = place.git("log", "-1", "--format=%(trailers:key=Sha256,valueonly)", commit).strip()
    assert done.stdout.split()[0] == said


def test_a_release_is_in_the_audit_log(place: Place) -> None:
    commit, _ = place.take()
    (entry,) = log(place.path, LogFilter(workspace="trends", event="release"))
    assert (entry.commit, entry.event, entry.actor, entry.subject) == (
        commit, EVENT, "backend/tpp", "tpp released 3 files of trends",
    )  # fmt: skip
    assert next(log(place.path, LogFilter(workspace="trends", actor="tpp"))).commit == commit


def test_a_bad_one_leaves_nothing(place: Place) -> None:
    for body, identifier in ((zipped(GOOD), "0" * 32), (b"x", ID), (zipped({"../a": b"1", MANIFEST: b"{}"}), ID)):
        with pytest.raises(Error) as refused:
            place.releases.upload(TPP, Upload("trends", identifier, "jane", body), "test")
        assert refused.value.code is Code.INVALID
    assert place.stored() == []
    assert [path.name for path in place.root.rglob("*")] == [".incoming"]
    assert place.recorded() == 0


def test_an_id_that_is_none_is_never_a_path(place: Place) -> None:
    place.take()
    for identifier in ("..", "../tpp", ".", "", ID.upper(), f"{ID}/files"):
        with pytest.raises(Error, match="the MD5 of the files' contents"):
            place.releases.upload(TPP, Upload("trends", identifier, "jane", zipped(GOOD)), "test")


def test_another_backend_has_its_own(place: Place) -> None:
    """What a second backend is told must not depend on what the first one released."""
    place.do(ADMIN, AddBackend("emis", "b" * 64))
    place.take()
    assert place.take(actor=Actor(TPP.kind, "emis"))[1]
    assert [kept.backend for kept in place.releases.store.of_workspace("trends", ["emis", "tpp"])] == ["emis", "tpp"]
    assert place.problems() == []


def test_a_new_folder_that_another_process_takes_for_abandoned_is_made_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by uploads in memory: between its making and its lock, the folder is nobody's."""
    make, taken = Path.mkdir, list[Path]()

    def make_and_lose(folder: Path, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        make(folder, mode, parents, exist_ok)
        if folder.parent.name == ".incoming" and not taken:
            taken.append(folder)
            folder.rmdir()

    monkeypatch.setattr(Path, "mkdir", make_and_lose)
    assert place.take()[1]
    assert taken
    assert place.stored() == WHOLE


@pytest.mark.parametrize("count", [2, 6])
def test_of_uploads_at_once_one_is_new(place: Place, count: int) -> None:
    """Of threads, and of processes with a repository and a store of their own."""
    other = StateRepo(place.path, place.key, "jobs.example", TEMPLATES)
    gate = Gate(other, place.clock)
    elsewhere = ReleaseService(ReleaseStore(place.root), other, gate, place.clock)
    start, found = threading.Barrier(count), []

    def upload(releases: ReleaseService) -> None:
        start.wait()
        found.append(releases.upload(TPP, Upload("trends", ID, "jane", zipped(GOOD)), "test"))

    threads = [threading.Thread(target=upload, args=((place.releases, elsewhere)[n % 2],)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gate.close()
    other.close()
    assert sorted(is_new for _, is_new in found) == [False] * (count - 1) + [True]
    assert len({kept.commit for kept, _ in found}) == 1
    assert place.recorded() == 1
    assert place.stored() == WHOLE
    assert place.problems() == []
