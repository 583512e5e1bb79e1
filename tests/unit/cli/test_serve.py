"""What is said at the start about where the server listens, and a supervisor without threads."""

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from jobserver.cli import serve
from jobserver.worker import STOP_SIGNALS


@pytest.mark.parametrize(
    ("host", "is_container", "expected"),
    [("127.0.0.1", True, True), ("::1", True, True), ("0.0.0.0", True, False), ("127.0.0.1", False, False)],
)
def test_a_container_that_listens_to_itself_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, is_container: bool, expected: bool
) -> None:
    monkeypatch.setattr(serve, "_CONTAINER", (tmp_path / "none", tmp_path if is_container else tmp_path / "none"))
    assert serve.unreachable(host) is expected


def test_a_supervisor_that_can_not_listen_to_signals_leaves_no_server_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python waits for its child processes at its end, and this one would wait for its supervisor's word for ever."""

    def no_thread(task: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(serve, "on_stop_signal", no_thread)
    ours, theirs = os.pipe()
    process = multiprocessing.get_context("fork").Process(target=_until_told, args=(ours, theirs), daemon=True)
    try:
        with pytest.raises(RuntimeError, match="new thread"):
            serve._supervise(process, ours, theirs)
        process.join(10)
        assert process.exitcode == -signal.SIGKILL
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        os.close(theirs)


def _until_told(ours: int, theirs: int) -> None:
    os.close(theirs)
    os.read(ours, 1)
