import os
import stat
from pathlib import Path

import pytest

from jobserver.errors import Error
from jobserver.store import hooks


def test_a_hook_is_whole_and_left_alone_when_it_says_so_already(tmp_path: Path) -> None:
    hooks.install(tmp_path, ["python", "a b"], {"KEY": "value"})
    hook = tmp_path / "hooks" / "pre-receive"
    assert hook.read_text().endswith("exec python 'a b'\n")
    assert stat.S_IMODE(hook.stat().st_mode) == 0o755
    assert hooks.settings(tmp_path) == {"KEY": "value"}
    number = hook.stat().st_ino
    hooks.install(tmp_path, ["python", "a b"], {"KEY": "value"})
    assert hook.stat().st_ino == number
    hook.chmod(0o644)  # git would not run it
    hooks.install(tmp_path, ["python", "a b"], {"KEY": "other"})
    assert stat.S_IMODE(hook.stat().st_mode) == 0o755
    assert hooks.settings(tmp_path) == {"KEY": "other"}
    assert {path.name for path in tmp_path.rglob("*")} == {"hooks", "pre-receive", "jobserver.json"}


def test_settings_with_a_password_are_never_readable_by_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes = []
    real = os.fchmod

    def look(descriptor: int, mode: int) -> None:
        modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        real(descriptor, mode)

    monkeypatch.setattr(os, "fchmod", look)
    before = os.umask(0)
    try:
        hooks.install(tmp_path, ["python"], {"STATE_REMOTE": "https://user:secret@host/state"})
    finally:
        os.umask(before)
    assert modes == [0o600, 0o600]
    assert stat.S_IMODE((tmp_path / "jobserver.json").stat().st_mode) == 0o600


def test_a_folder_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "hooks").write_text("a file")
    with pytest.raises(Error, match="the disk refused: File exists"):
        hooks.install(tmp_path, ["python"], {})
