import errno
import os
import threading
from pathlib import Path

import pytest
from watchdog.observers.inotify import InotifyObserver

from jobserver.store import watch as watching
from jobserver.store.watch import Watch


def test_a_ref_that_git_moves_is_told(tmp_path: Path) -> None:
    heads = tmp_path / "refs" / "heads"
    heads.mkdir(parents=True)
    told = threading.Event()
    watch = Watch(tmp_path, told.set)
    try:
        (heads / "main.lock").write_text("0" * 40)
        (heads / "main.lock").rename(heads / "main")
        assert told.wait(30)
    finally:
        watch.close()


@pytest.mark.parametrize("reason", [errno.EMFILE, errno.ENOSPC])
def test_refs_are_looked_at_where_the_kernel_can_not_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, reason: int
) -> None:
    """As many servers, editors and containers share the few inotify instances of a user: it was a traceback."""

    def refuse(self: object) -> None:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(InotifyObserver, "start", refuse)
    monkeypatch.setattr(watching, "_POLL_SECONDS", 0.01)
    test_a_ref_that_git_moves_is_told(tmp_path)
    assert "polling refs every second" in caplog.text
