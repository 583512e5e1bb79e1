"""Releases through a real repository and a real folder: whole and recorded, or not there; judged by an auditor."""

import errno
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobserver.audit.kept import _recorded
from jobserver.audit.log import Wanted, log
from jobserver.audit.verify import verify
from jobserver.domain import commands as c
from jobserver.domain.admit import Admitted
from jobserver.domain.documents import User
from jobserver.domain.permissions import Actor
from jobserver.domain.releases import EVENT, Release
from jobserver.domain.state import Change, Changes
from jobserver.errors import Code, Error
from jobserver.service.gate import Gate
from jobserver.service.releases.upload import Releases, Upload
from jobserver.store import releases
from jobserver.store.releases import ReleaseStore
from jobserver.store.repo import StateRepo
from jobserver.store.snapshot import Snapshot
from tests.site import ADMIN, ALICE, SERVER, TEMPLATES, TPP, Site
from tests.zips import GOOD, MANIFEST, md5_of, zipped


class Place(Site):
    """With a folder for releases."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.root = folder / "releases"
        self.releases = self.process()

    def process(self) -> Releases:
        """As another process would have it."""
        return Releases(ReleaseStore(self.root), self.repo, self.gate, self.clock)

    def take(self, files: dict[str, bytes] = GOOD, user: str = "jane", actor: Actor = TPP) -> tuple[str, bool]:
        """(commit, whether it is new)."""
        upload = Upload("trends", md5_of(files), user, zipped(files))
        kept, is_new = self.releases.take(actor, upload, "test")
        return kept.commit, is_new

    def stored(self) -> list[str]:
        """Every file below the folder, hidden ones too."""
        return sorted(path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file())

    def recorded(self) -> int:
        return len(self.git("log", f"--grep=^Event: {EVENT}$", "--format=%H", "backends/tpp").split())

    def problems(self) -> list[str]:
        return [str(one) for one in verify(self.path, releases=self.root).problems]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.gate.close()
    made.repo.close()


ID = md5_of(GOOD)
WHOLE = sorted([f"trends/tpp/{ID}/{name}" for name in ("commit", "release.json", *(f"files/{path}" for path in GOOD))])


def test_a_release(place: Place) -> None:
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


def test_it_is_in_the_log(place: Place) -> None:
    commit, _ = place.take()
    (entry,) = log(place.path, Wanted(workspace="trends", event="release"))
    assert (entry.commit, entry.event, entry.actor, entry.subject) == (
        commit, EVENT, "backend/tpp", "tpp released 3 files of trends",
    )  # fmt: skip
    assert next(log(place.path, Wanted(workspace="trends", actor="tpp"))).commit == commit


def test_a_bad_one_leaves_nothing(place: Place) -> None:
    for body, identifier in ((zipped(GOOD), "0" * 32), (b"x", ID), (zipped({"../a": b"1", MANIFEST: b"{}"}), ID)):
        with pytest.raises(Error) as refused:
            place.releases.take(TPP, Upload("trends", identifier, "jane", body), "test")
        assert refused.value.code is Code.INVALID
    assert place.stored() == []
    assert [path.name for path in place.root.rglob("*")] == [".incoming"]
    assert place.recorded() == 0


def test_an_id_that_is_none_is_never_a_path(place: Place) -> None:
    place.take()
    for identifier in ("..", "../tpp", ".", "", ID.upper(), f"{ID}/files"):
        with pytest.raises(Error, match="the MD5 of the files' contents"):
            place.releases.take(TPP, Upload("trends", identifier, "jane", zipped(GOOD)), "test")


def test_another_backend_has_its_own(place: Place) -> None:
    """What a second backend is told must not depend on what the first one released."""
    place.do(ADMIN, c.AddBackend("emis", "b" * 64))
    place.take()
    assert place.take(actor=Actor(TPP.kind, "emis"))[1]
    assert [kept.backend for kept in place.releases.store.of_workspace("trends", ["emis", "tpp"])] == ["emis", "tpp"]
    assert place.problems() == []


@pytest.mark.parametrize("count", [2, 6])
def test_at_once_one_is_new(place: Place, count: int) -> None:
    """Of threads, and of processes with a repository and a store of their own."""
    other = StateRepo(place.path, place.key, "jobs.example", TEMPLATES)
    gate = Gate(other, place.clock)
    elsewhere = Releases(ReleaseStore(place.root), other, gate, place.clock)
    start, found = threading.Barrier(count), []

    def upload(releases: Releases) -> None:
        start.wait()
        found.append(releases.take(TPP, Upload("trends", ID, "jane", zipped(GOOD)), "test"))

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


# Interrupted


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


RECORDING = "jobserver.service.gate.Gate.submit"
NAMING = "jobserver.store.releases.Staged.publish"


@pytest.mark.parametrize(("target", "after"), [(RECORDING, False), (RECORDING, True), (NAMING, False), (NAMING, True)])
def test_what_was_interrupted_is_finished(
    place: Place, monkeypatch: pytest.MonkeyPatch, target: str, after: bool
) -> None:
    """Whatever comes next, once: a new start, or the same upload again."""
    killed(place, monkeypatch, target, after)
    assert (place.stored() == WHOLE) is (target == NAMING and after)
    place.process().settle()
    assert place.stored() == WHOLE
    assert place.recorded() == 1
    assert place.take() == (place.git("rev-parse", "backends/tpp").strip(), False)
    assert place.problems() == []


def test_what_was_recorded_long_ago_is_finished_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer ago than idempotency keys are kept; and its backend was switched off since."""
    killed(place, monkeypatch, RECORDING, after=True)
    place.now = place.now.replace(year=place.now.year + 1)
    place.do(ADMIN, c.DeactivateBackend("tpp"))
    place.process().settle()
    assert place.stored() == WHOLE
    assert place.recorded() == 1


def test_what_may_not_be_recorded_any_more_is_thrown_away(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(place, monkeypatch, RECORDING, after=False)
    place.do(ADMIN, c.DeactivateBackend("tpp"))
    place.process().settle()
    assert place.stored() == []
    assert place.recorded() == 0


def test_half_of_one_is_thrown_away(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(place, monkeypatch, RECORDING, after=False)
    next(place.root.rglob("plot.svg")).write_bytes(b"<sv")
    folder = place.root / ".incoming" / "ab"
    (folder / "files").mkdir(parents=True)
    (folder / "files" / "x").write_bytes(b"1")
    place.process().settle()
    assert place.stored() == []
    assert place.recorded() == 0


def test_what_another_process_is_writing_is_left_alone(place: Place) -> None:
    upload = Upload("trends", ID, "jane", zipped(GOOD))
    other = {"a": b"1", MANIFEST: b"{}"}
    submit = place.gate.submit

    def meanwhile(*args: object, **more: object) -> object:
        place.gate.submit = submit  # type: ignore[method-assign]
        place.process().settle()
        assert place.take(other)[1]
        return submit(*args, **more)  # type: ignore[arg-type]

    place.gate.submit = meanwhile  # type: ignore[assignment,method-assign]
    assert place.releases.take(TPP, upload, "test")[1]
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

    monkeypatch.setattr("jobserver.store.refs.sync_folder", fails)
    with pytest.raises(Error, match="look for Request-Id"):
        place.take()
    monkeypatch.undo()
    assert place.take()[1] is False
    assert place.recorded() == 1
    assert place.problems() == []


# Forged


def test_files_that_are_not_what_was_uploaded(place: Place) -> None:
    place.take()
    folder = place.root / "trends" / "tpp" / ID
    table = folder / "files" / "output" / "table.csv"
    table.write_bytes(b"age,count\n40,8\n")
    (folder / "files" / "more.csv").write_bytes(b"1")
    found = "\n".join(place.problems())
    assert f"records release {ID} of trends: output/table.csv is not what was uploaded" in found
    assert "more.csv was not uploaded" in found
    table.unlink()
    assert any("output/table.csv can't be read" in one for one in place.problems())
    record = folder / "release.json"
    record.write_text(record.read_text().replace("jane", "joan"))
    assert any("release.json says something else" in one for one in place.problems())
    record.write_text(record.read_text().replace("table.csv", "../../../../etc/passwd"))
    assert any("are not as they were uploaded" in one for one in place.problems())
    with pytest.raises(Error, match="does not agree with itself"):
        place.releases.store.find("trends", "tpp", ID)
    folder.rename(folder.with_name("b" * 32))
    found = "\n".join(place.problems())
    assert "whose files are gone" in found
    assert f"no commit records the release trends/tpp/{'b' * 32}" in found


def test_what_somebody_spoilt_is_left_out_or_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.take()
    store = ReleaseStore(place.root)
    (kept,) = store.of_workspace("trends", ["tpp", "emis"])
    path = next(iter(kept.files)).path
    file = place.root / "trends" / "tpp" / ID / "files" / path
    file.unlink()
    file.mkdir()
    with pytest.raises(Error, match="is no file") as caught:
        store.open(kept, path)
    assert caught.value.code is Code.UNAVAILABLE
    (place.root / "trends" / "tpp" / ID / "release.json").write_bytes(b"{}")
    assert store.of_workspace("trends", ["tpp"]) == []


def test_beside_what_is_none_and_what_another_took(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file among the folders of uploads, and a folder that somebody took for abandoned before it was locked."""
    (place.root / ".incoming" / "a-file").write_bytes(b"")
    real, taken = releases._Lock.holds, [False]
    monkeypatch.setattr(releases._Lock, "holds", lambda lock: taken.pop() if taken else real(lock))
    assert place.take()[1]
    assert taken == []
    assert list(ReleaseStore(place.root).leftovers()) == []


def test_a_disk_that_does_not_name_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if target == place.root / "trends" / "tpp" / ID:
            raise OSError(errno.EIO, "Input/output error")
        return real(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(Error) as caught:
        place.take()
    assert caught.value.code is Code.UNAVAILABLE
    monkeypatch.undo()
    place.process().settle()
    assert place.stored() == WHOLE
    assert (place.recorded(), place.problems()) == (1, [])


def test_a_message_that_speaks_of_a_release_records_none(place: Place) -> None:
    tip = place.git("rev-parse", "backends/tpp").strip()
    tree = place.git("rev-parse", "backends/tpp^{tree}").strip()
    message = f"Of something else\n\nEvent: {EVENT}\nand no trailer"
    sha = place.git("-c", "user.name=x", "-c", "user.email=x@x", "commit-tree", tree, "-p", tip, "-m", message).strip()
    place.take()
    assert [one for one, _ in _recorded(place.path, sha)] == []


def release(**more: object) -> Release:
    values = {"workspace": "trends", "identifier": ID, "user": "eve", "files": 1, "size": 1, "sha256": "0" * 64}
    return Release.model_validate({**values, **more})


@pytest.mark.parametrize("actor", [ADMIN, ALICE, SERVER, Actor(TPP.kind, "emis")])
def test_only_the_backend_itself_releases(place: Place, actor: Actor) -> None:
    place.do(ADMIN, c.AddBackend("emis", "b" * 64))
    with pytest.raises(Error) as refused:
        place.do(actor, c.RecordRelease("tpp", release()))
    assert refused.value.code is Code.FORBIDDEN
    assert place.recorded() == 0


def test_a_workspace_that_is_not_there(place: Place) -> None:
    with pytest.raises(Error, match="there is no workspace 'other'"):
        place.do(TPP, c.RecordRelease("tpp", release(workspace="other")))


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
    assert "admin may not release files of trends on backends/tpp" in found
    assert "can't be read: workspace: required, and missing" in found
    assert "tpp may not release files of trends on main" in found
    assert f"says Event: {EVENT}, and does something else" in found
    assert "says Event: jobs.updated, and does something else" in found
