"""Files that people approved, through a real repository and a real folder: let out whole and once, and erased for good;
and what an auditor finds if somebody helps."""

from hashlib import sha256
from pathlib import Path

import pytest

from jobserver.audit.log import LogFilter, log
from jobserver.audit.verify import verify
from jobserver.domain.base.permissions import Actor, ActorKind, Role
from jobserver.domain.outputs.documents import CheckedFile, CheckedRelease
from jobserver.domain.users import AddUser, DisableUser
from jobserver.errors import Code, Error
from jobserver.service.copies import copy_releases
from jobserver.service.releases.checked import CheckedReleaseService, ReleaseName
from jobserver.store.checked_files import CheckedFileStore, StagedFile
from tests.integration.service.releases.place import Place
from tests.site import ADMIN, TPP

RELEASE = ReleaseName("tpp", "trends", "01J9ZQ4V8N6T3W5X7Y9A1B2C3D")
TABLE, CHART = "output/table.csv", "output/plots/chart.svg"
BYTES = {TABLE: b"a,b\n", CHART: b"<svg/>"}
FOLDER = ".checked/trends/tpp/01J9ZQ4V8N6T3W5X7Y9A1B2C3D"
FILES = tuple(CheckedFile(path=path, size=len(data), sha256=sha256(data).hexdigest()) for path, data in BYTES.items())


class Checked:
    """A release of alice's, and two who check."""

    def __init__(self, place: Place) -> None:
        self.place = place
        for name in ("carol", "dave"):
            place.do(ADMIN, AddUser(name, roles=(Role.OUTPUT_CHECKER,)))
        self.service = self.process()
        self.service.request(TPP, RELEASE, "alice", FILES, "http")

    def process(self) -> CheckedReleaseService:
        """As another process would have it."""
        store = CheckedFileStore(self.place.root)
        return CheckedReleaseService(store, self.place.repo, self.place.gate, self.place.clock)

    def approve(self, *names: str) -> None:
        for name in names or ("carol", "dave"):
            self.service.review(Actor(ActorKind.USER, name), RELEASE, name, "approved", "web")

    def upload(self, path: str = TABLE, body: bytes | None = None) -> CheckedFile:
        return self.service.upload_file(TPP, RELEASE, path, BYTES[path] if body is None else body, "carol", "http")

    def withdraw(self, *files: str) -> None:
        self.service.withdraw(Actor(ActorKind.USER, "carol"), RELEASE, "carol", "small numbers", "web", files)

    @property
    def release(self) -> CheckedRelease:
        release = self.service.find(RELEASE)
        assert release is not None
        return release

    def stored(self) -> dict[str, bytes]:
        root = self.place.root / FOLDER
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    def staged(self) -> list[Path]:
        return list((self.place.root / ".checked" / ".incoming").iterdir())

    def recorded(self) -> int:
        return len(
            self.place.git("log", "--grep=^Event: release.file-uploaded$", "--format=%H", "backends/tpp").split()
        )


@pytest.fixture
def checked(place: Place) -> Checked:
    return Checked(place)


def refused(checked: Checked, code: Code, text: str, path: str = TABLE, body: bytes | None = None) -> None:
    with pytest.raises(Error) as refusal:
        checked.upload(path, body)
    assert refusal.value.code is code, refusal.value
    assert text in str(refusal.value)
    assert checked.staged() == []


def test_approved_files_leave_and_are_erased(checked: Checked) -> None:
    checked.approve()
    for path in BYTES:
        assert checked.upload(path).uploaded is not None
    assert checked.stored() == BYTES
    assert all(path.stat().st_mode & 0o077 == 0 for path in (checked.place.root / ".checked").rglob("*"))
    with checked.service.open(checked.release, TABLE) as file:
        assert file.read() == BYTES[TABLE]
    refused(checked, Code.CONFLICT, "has already been uploaded")
    assert checked.place.problems() == []
    checked.withdraw(CHART)
    assert checked.stored() == {TABLE: BYTES[TABLE]}
    with pytest.raises(Error, match="no released file"):
        checked.service.open(checked.release, CHART)
    refused(checked, Code.CONFLICT, "was withdrawn", CHART)
    checked.withdraw()
    assert checked.stored() == {}
    assert not (checked.place.root / FOLDER).exists()
    assert [file.sha256 for file in checked.release.files] == [file.sha256 for file in FILES]
    result = verify(checked.place.path, releases=checked.place.root)
    assert result.problems == []
    assert result.released == {"files with the approvals of people": 2, "of them withdrawn": 2}


def test_each_step_is_in_the_audit_log(checked: Checked) -> None:
    checked.approve()
    checked.upload()
    checked.withdraw(TABLE)
    entries = list(log(checked.place.path, LogFilter(workspace="trends", event="release")))
    assert [(entry.event, entry.actor) for entry in entries][::-1] == [
        ("release.requested", "backend/tpp"),
        ("release.reviewed", "user/carol"),
        ("release.reviewed", "user/dave"),
        ("release.file-uploaded", "backend/tpp"),
        ("release.withdrawn", "user/carol"),
    ]
    assert checked.place.problems() == []


def test_bytes_that_may_not_leave_are_not_stored(checked: Checked) -> None:
    refused(checked, Code.FORBIDDEN, "has 0 of 2 approvals")
    checked.approve("carol")
    refused(checked, Code.FORBIDDEN, "has 1 of 2 approvals (carol)")
    checked.approve("dave")
    refused(checked, Code.INVALID, "4 were asked for", body=b"a,b")
    refused(checked, Code.INVALID, "is not the one that was asked for", body=b"a,c\n")
    refused(checked, Code.INVALID, "a released file has at most", body=b"x" * (16 * 1024 * 1024 + 1))
    with pytest.raises(Error, match="there is no file"):
        checked.service.upload_file(TPP, RELEASE, "../x", b"", "carol", "http")
    for name in (ReleaseName("tpp", "trends", "../../x"), ReleaseName("emis", *RELEASE.parts[1:])):
        with pytest.raises(Error, match="there is no release"):
            checked.service.upload_file(TPP, name, TABLE, BYTES[TABLE], "carol", "http")
    checked.place.do(ADMIN, DisableUser("dave"))
    refused(checked, Code.FORBIDDEN, "dave may not approve outputs here now")
    assert checked.stored() == {}
    assert checked.recorded() == 0
    assert checked.place.problems() == []


class Killed(BaseException):
    """The process ends here."""


def killed(checked: Checked, monkeypatch: pytest.MonkeyPatch, target: str, after: bool, step: str = "upload") -> None:
    owner, _, name = target.rpartition(".")
    module, _, cls = owner.rpartition(".")
    original = getattr(getattr(__import__(module, fromlist=[cls]), cls), name)

    def ends(*args: object, **more: object) -> object:
        if after:
            original(*args, **more)
        raise Killed

    monkeypatch.setattr(target, ends)
    with pytest.raises(Killed):
        getattr(checked, step)()
    monkeypatch.undo()


RECORDING = "jobserver.service.writes.gate.Gate.submit"
NAMING = "jobserver.store.checked_files.StagedFile.publish"
ERASING = "jobserver.store.checked_files.CheckedFileStore.erase"


@pytest.mark.parametrize(("target", "after"), [(RECORDING, False), (RECORDING, True), (NAMING, False), (NAMING, True)])
def test_an_interrupted_upload_is_finished(
    checked: Checked, monkeypatch: pytest.MonkeyPatch, target: str, after: bool
) -> None:
    checked.approve()
    killed(checked, monkeypatch, target, after)
    checked.process().settle_interrupted()
    assert checked.stored() == {TABLE: BYTES[TABLE]}
    assert checked.recorded() == 1
    refused(checked, Code.CONFLICT, "has already been uploaded")
    assert checked.place.problems() == []


def test_an_interrupted_upload_that_may_not_leave_any_more_is_deleted(
    checked: Checked, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked.approve()
    killed(checked, monkeypatch, RECORDING, after=False)
    checked.place.do(ADMIN, DisableUser("dave"))
    checked.process().settle_interrupted()
    assert (checked.stored(), checked.staged(), checked.recorded()) == ({}, [], 0)


def test_half_of_an_upload_is_thrown_away(checked: Checked, monkeypatch: pytest.MonkeyPatch) -> None:
    checked.approve()
    killed(checked, monkeypatch, RECORDING, after=False)
    (folder,) = checked.staged()
    (folder / "bytes").write_bytes(b"a,")
    (folder.parent / "ab").mkdir()
    checked.process().settle_interrupted()
    assert (checked.stored(), checked.staged(), checked.recorded()) == ({}, [], 0)


@pytest.mark.parametrize("after", [False, True])
def test_an_interrupted_withdrawal_is_finished(checked: Checked, monkeypatch: pytest.MonkeyPatch, after: bool) -> None:
    checked.approve()
    for path in BYTES:
        checked.upload(path)
    killed(checked, monkeypatch, ERASING, after, "withdraw")
    assert checked.stored() != {}
    assert any("its bytes are still there" in problem for problem in checked.place.problems())
    with pytest.raises(Error, match="no released file"):
        checked.service.open(checked.release, CHART)
    checked.process().settle_withdrawn()
    assert checked.stored() == {}
    assert checked.place.problems() == []


def test_a_file_that_is_withdrawn_while_it_comes_is_erased(checked: Checked, monkeypatch: pytest.MonkeyPatch) -> None:
    checked.approve()
    publish = StagedFile.publish

    def withdrawn_before(staged: StagedFile) -> None:
        checked.withdraw()
        publish(staged)

    monkeypatch.setattr(StagedFile, "publish", withdrawn_before)
    checked.upload()
    assert checked.stored() == {}
    assert checked.place.problems() == []


def test_bytes_that_the_disk_lost_can_be_sent_again(checked: Checked) -> None:
    checked.approve()
    checked.upload()
    (checked.place.root / FOLDER / TABLE).unlink()
    refused(checked, Code.CONFLICT, "has already been uploaded")
    assert checked.stored() == {TABLE: BYTES[TABLE]}
    assert checked.place.problems() == []


def test_an_auditor_finds_what_was_changed_on_the_disk(checked: Checked) -> None:
    checked.approve()
    for path in BYTES:
        checked.upload(path)
    checked.withdraw(CHART)
    root = checked.place.root / FOLDER
    (root / TABLE).write_bytes(b"a,c\n")
    (root / CHART).parent.mkdir()
    (root / CHART).write_bytes(BYTES[CHART])
    (root / "more.csv").write_bytes(b"x")
    name = f"release {RELEASE.identifier} of trends"
    assert checked.place.problems() == [
        f"backends/tpp: {TABLE} of {name} differs from the file that was approved",
        f"backends/tpp: {CHART} of {name} was withdrawn, and its bytes are still there",
        f"backends/tpp: no document says that {RELEASE.identifier}/more.csv of trends left the backend",
    ]
    (root / TABLE).unlink()
    assert "was released, and can't be read: No such file or directory" in checked.place.problems()[0]


def test_an_auditor_finds_a_file_that_left_without_its_approvals(
    checked: Checked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the server itself had been changed."""
    checked.approve("carol")
    monkeypatch.setattr("jobserver.domain.outputs.commands.missing_approval", lambda *args: "")
    monkeypatch.setattr("jobserver.domain.outputs.rules._unapproved", lambda *args: [])
    checked.upload()
    monkeypatch.undo()
    (problem,) = checked.place.problems()
    assert "may not be released: 'output/table.csv' has 1 of 2 approvals (carol)" in problem


def test_a_copy_has_the_files_and_loses_what_was_withdrawn(checked: Checked, tmp_path: Path) -> None:
    checked.approve()
    for path in BYTES:
        checked.upload(path)
    target = tmp_path / "copy"
    assert copy_releases(checked.place.root, target, checked.place.path) == 2
    assert copy_releases(checked.place.root, target, checked.place.path) == 0
    assert verify(checked.place.path, releases=target).problems == []
    checked.withdraw(TABLE)
    assert verify(checked.place.path, releases=target).problems != []
    assert copy_releases(checked.place.root, target, checked.place.path) == 0
    assert verify(checked.place.path, releases=target).problems == []
