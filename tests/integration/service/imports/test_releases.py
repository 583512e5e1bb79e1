"""Released files of the old server: their files, their record, and those that can't be taken."""

from contextlib import closing
from pathlib import Path

import pytest

from jobserver import bootstrap
from jobserver.audit.verify import verify
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.imports.database import OldDatabase
from jobserver.service.imports.importer import Importer, ImportResult
from jobserver.store.release_files import ReleaseStore, StagedRelease
from tests.integration.service.imports.conftest import NewServer


def load(server: NewServer, source: str, old: Path, new: Path) -> ImportResult:
    with closing(OldDatabase(source)) as database, closing(PrivateStore(server.settings.private_store)) as private:
        folders = (old, ReleaseStore(new))
        return Importer(server.app.repo, server.app.gate, database, bootstrap.now, releases=folders).run(private)


def put_files(folder: Path) -> Path:
    for path in ("trends/x/metadata/manifest.json", "trends/x/output.txt", "trends/releases/01HZ/output.txt"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("one")
    return folder


def test_released_files_are_taken_with_their_record(server: NewServer, any_old: str, tmp_path: Path) -> None:
    old, new = put_files(tmp_path / "old-files"), tmp_path / "new-files"
    outcome = load(server, any_old, old, new)
    assert outcome.commits["release"] == 1
    assert verify(server.settings.state_repo, releases=new).problems == []
    (stored,) = ReleaseStore(new).of_workspace("trends", ["tpp"])
    assert stored.received_at.isoformat() == "2021-05-09T10:00:00.123456+00:00"
    assert (stored.release.user, stored.files[-1].path) == ("alice", "output.txt")
    assert load(server, any_old, old, new).commits == {}


def test_a_release_without_its_files_is_not_taken(server: NewServer, old: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    outcome = load(server, old, tmp_path / "empty", tmp_path / "new-files")
    assert "release" not in outcome.commits
    notes = [str(note) for note in outcome.notes.notes if note.table == "jobserver_release"]
    assert notes[-1] == f"jobserver_release {'0' * 32}: row has no files that can be taken: not taken"


def test_without_the_folder_a_release_gets_a_note(server: NewServer, old: str) -> None:
    notes = [str(note) for note in server.load(old).notes.notes if note.table == "jobserver_release"]
    assert notes == [
        f"jobserver_release {'0' * 32}: files are in the old server's folder: not taken without --releases"
    ]


def test_a_release_is_recorded_once(
    server: NewServer, old: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped between the commit and the last move: the next import finds the commit."""

    def stop(staged: StagedRelease, commit: str) -> bool:
        raise KeyboardInterrupt

    files = put_files(tmp_path / "old-files")
    with monkeypatch.context() as patched:
        patched.setattr(StagedRelease, "publish", stop)
        with pytest.raises(KeyboardInterrupt):
            load(server, old, files, tmp_path / "new-files")
    outcome = load(server, old, files, tmp_path / "new-files")
    assert "release" not in outcome.commits
    assert verify(server.settings.state_repo, releases=tmp_path / "new-files").problems == []
