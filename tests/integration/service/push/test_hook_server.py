"""The socket that git's hook asks over, and what is said on it."""

import errno
import io
import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobserver import worker
from jobserver.cli import hook
from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.errors import conflict
from jobserver.service.push import hook_server
from jobserver.service.push.hook_server import PushSocket, answer_hook
from jobserver.service.push.judge import PushedRef
from jobserver.service.push.receiver import GitPush

LOCAL = Actor(ActorKind.USER, "admin")
ASKED = {"updates": [["0" * 40, "1" * 40, "refs/heads/main"]], "quarantine": "/q", "actor": "backend/tpp"}


class Receiver:
    """Judges nothing: says what it was asked, or raises."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked: list[GitPush] = []

    def receive(self, pushed: GitPush) -> list[str]:
        self.asked.append(pushed)
        if self.error is not None:
            raise self.error
        return ["recorded"]


def ask(receiver: Receiver, question: Any) -> dict[str, Any]:
    data = question if isinstance(question, bytes) else json.dumps(question).encode()
    return answer_hook(receiver, data, LOCAL)  # type: ignore[arg-type]


def test_the_hook_gets_the_receivers_verdict() -> None:
    receiver = Receiver()
    assert ask(receiver, ASKED) == {"ok": True, "lines": ["recorded"]}
    assert ask(receiver, {**ASKED, "quarantine": "", "actor": ""})["ok"]
    update = [PushedRef("0" * 40, "1" * 40, "refs/heads/main")]
    assert receiver.asked == [
        GitPush(update, Path("/q"), Actor(ActorKind.BACKEND, "tpp")),
        GitPush(update, None, LOCAL),  # somebody at the repository itself
    ]


def test_a_refusal_is_printed() -> None:
    assert ask(Receiver(conflict("the branch has moved")), ASKED) == {
        "ok": False,
        "lines": ["jobserver: fetch first: the branch has moved"],
    }


@pytest.mark.parametrize("question", [b"", b"{", b"[]", {}, {**ASKED, "actor": "x"}])
def test_a_push_that_can_not_be_judged_is_refused(question: Any, caplog: pytest.LogCaptureFixture) -> None:
    answer = ask(Receiver(), question)
    assert (answer["ok"], len(answer["lines"])) == (False, 1)
    assert "a bug in the server" in answer["lines"][0]
    assert "a push could not be judged" in caplog.text


def test_a_name_with_a_line_break_is_refused_in_words() -> None:
    """It was a traceback in the log."""
    for updates in ([["x"]], [*ASKED["updates"], ["refs/heads/x"]]):
        assert ask(Receiver(), {**ASKED, "updates": updates}) == {
            "ok": False,
            "lines": ["jobserver: refused: the name of a ref has a line break in it"],
        }


@pytest.fixture
def served(tmp_path: Path) -> Iterator[PushSocket]:
    made = PushSocket(tmp_path, Receiver(), LOCAL)  # type: ignore[arg-type]
    yield made
    made.close()
    assert list(tmp_path.iterdir()) == []


def connect(folder: Path) -> socket.socket:
    (path,) = folder.glob("jobserver-*.sock")
    assert path.stat().st_mode & 0o777 == 0o600
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(60)
    connection.connect(str(path))
    return connection


def answer(connection: socket.socket) -> bytes:
    with connection:
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_a_hook_asks_and_is_answered(served: PushSocket, tmp_path: Path) -> None:
    connection = connect(tmp_path)
    connection.sendall(json.dumps(ASKED).encode())
    connection.shutdown(socket.SHUT_WR)
    assert json.loads(answer(connection)) == {"ok": True, "lines": ["recorded"]}


def test_a_question_without_end_is_not_answered(
    served: PushSocket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook_server, "_MAX_QUESTION", 10)
    connection = connect(tmp_path)
    connection.sendall(b"x" * 11)
    assert answer(connection) == b""


def test_a_hook_that_says_nothing_holds_nobody_up(
    served: PushSocket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = connect(tmp_path)
    test_a_hook_asks_and_is_answered(served, tmp_path)
    silent.close()
    monkeypatch.setattr(hook_server, "_SECONDS", 0.01)
    assert answer(connect(tmp_path)) == b""


def test_a_machine_that_is_out_of_files_for_a_moment_answers_later_hooks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that accepts ended there: every later hook found the socket, and waited for ever."""
    real, failures = socket.socket.accept, [OSError(errno.EMFILE, "Too many open files")]

    def accept(listener: socket.socket) -> tuple[socket.socket, Any]:
        if failures:
            raise failures.pop()
        return real(listener)

    monkeypatch.setattr(worker, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(socket.socket, "accept", accept)
    made = PushSocket(tmp_path, Receiver(), LOCAL)  # type: ignore[arg-type]
    test_a_hook_asks_and_is_answered(made, tmp_path)
    made.close()


def test_sockets_of_servers_that_were_killed_are_swept_away(tmp_path: Path) -> None:
    """Whatever process has their number now: ids repeat in containers, and a name by the id stopped every start."""
    killed = tmp_path / f"jobserver-{os.getpid()}.sock"
    begun, starting = tmp_path / ".begun-jobserver-1.sock", tmp_path / ".begun-jobserver-2.sock"
    for path in (killed, begun, starting):
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(path))
    os.utime(begun, (0, 0))
    made = PushSocket(tmp_path, Receiver(), LOCAL)  # type: ignore[arg-type]
    made.close()
    assert list(tmp_path.iterdir()) == [starting]


def test_the_socket_of_a_server_that_lives_stays_although_its_process_can_not_be_seen(tmp_path: Path) -> None:
    """As in another container: it was swept away."""
    first, second = (PushSocket(tmp_path, Receiver(), LOCAL) for _ in range(2))  # type: ignore[arg-type]
    try:
        hook_server.remove_stale_sockets(tmp_path)
        assert len(list(tmp_path.glob("jobserver-*.sock"))) == 2
    finally:
        first.close()
        second.close()


def test_a_folder_with_a_long_name(tmp_path: Path) -> None:
    """A socket's own name may have 107 bytes."""
    folder = tmp_path / ("long" * 40)
    folder.mkdir()
    PushSocket(folder, Receiver(), LOCAL).close()  # type: ignore[arg-type]


def test_a_socket_that_can_not_be_made_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        PushSocket(tmp_path / "none", Receiver(), LOCAL)  # type: ignore[arg-type]


# What git runs


def hook_says(monkeypatch: pytest.MonkeyPatch, folder: Path, said: bytes) -> int:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(said)))
    monkeypatch.setenv("JOBSERVER_ACTOR", "backend/tpp")
    monkeypatch.setenv("GIT_QUARANTINE_PATH", "objects/incoming")
    return hook.main()


def test_the_hook_asks_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also of a ref whose name has what Python takes for the end of a line, and bytes that are no text."""
    receiver = Receiver()
    server = PushSocket(tmp_path, receiver, LOCAL)  # type: ignore[arg-type]
    try:
        name = "refs/heads/a\u2028b\x85"
        old, new = b"0" * 40, b"1" * 40
        said = (
            b" ".join((old, new, name.encode() + b"\xff")) + b"\n" + b" ".join((old, new, b"refs/heads/main")) + b"\n"
        )
        assert hook_says(monkeypatch, tmp_path, said) == 0
        assert capsys.readouterr().err == "recorded\n"
        (pushed,) = receiver.asked
        assert [update.ref for update in pushed.updates] == [name + "\udcff", "refs/heads/main"]
        assert pushed.quarantine == tmp_path / "objects" / "incoming"
        receiver.error = conflict("the branch has moved")
        assert hook_says(monkeypatch, tmp_path, said) == 1
        assert "fetch first" in capsys.readouterr().err
    finally:
        server.close()


def test_the_hook_where_no_server_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "jobserver-1.sock"))
    listening.listen()
    said = b"%s %s refs/heads/main\n" % (b"0" * 40, b"1" * 40)
    thread = threading.Thread(target=lambda: listening.accept()[0].close())
    thread.start()
    assert hook_says(monkeypatch, tmp_path, said) == 1
    thread.join()
    listening.close()
    assert "the server stopped before it answered: push again" in capsys.readouterr().err
    for name in (
        "STATE_REPO",
        "SECRET_KEY",
        "BASE_URL",
    ):  # nobody listens there: a process of its own, without settings
        monkeypatch.delenv(name, raising=False)
    assert hook_says(monkeypatch, tmp_path, said) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("jobserver: ")
