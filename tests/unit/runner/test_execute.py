"""How a job's command is read, run and ended, and which of its files are its outputs."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from jobserver.domain.pipeline.reader import Action
from jobserver.errors import Error
from jobserver.runner.execute import Executor, Limits, Task, collect, command_line
from jobserver.runner.process import MARK, kill_marked, run_command
from jobserver.runner.state import StateFolder
from jobserver.runner.study import source


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ("python:latest python a.py --x 'b c'", [sys.executable, "a.py", "--x", "b c"]),
        ("python a.py", [sys.executable, "a.py"]),
        ("echo hello", ["echo", "hello"]),
    ],
)
def test_a_run_line_becomes_the_local_command(run: str, expected: list[str]) -> None:
    assert command_line(run) == expected


@pytest.mark.parametrize("run", ["", "python:latest", "r:latest analysis.R", "echo 'unclosed", "stata-mp:latest x.do"])
def test_command_lines_that_this_runner_refuses(run: str) -> None:
    with pytest.raises(Error):
        command_line(run)


def action(**patterns: str) -> Action:
    return Action((), "x", {"moderately_sensitive": patterns} if patterns else {})


def test_declared_outputs_are_matched_part_by_part(tmp_path: Path) -> None:
    (tmp_path / "out" / "deep").mkdir(parents=True)
    for name in ("out/a.csv", "out/deep/b.csv", "c.csv"):
        (tmp_path / name).write_text("x")
    (tmp_path / "out" / "link.csv").symlink_to("/etc/passwd")
    assert collect(tmp_path, action(table="out/*.csv"), {}) == ({"out/a.csv"}, [])
    assert collect(tmp_path, action(table="no/*.csv"), {}) == (set(), ["no/*.csv"])
    for pattern in ("../*", "/etc/*"):
        with pytest.raises(Error, match="inside the study"):
            collect(tmp_path, action(table=pattern), {})


def test_without_declared_outputs_every_new_file_is_one(tmp_path: Path) -> None:
    (tmp_path / "old.py").write_text("x")
    status = (tmp_path / "old.py").stat()
    before = {"old.py": (status.st_mtime_ns, status.st_ino)}
    (tmp_path / "new.txt").write_text("y")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "x.pyc").write_text("z")
    assert collect(tmp_path, action(), before) == ({"new.txt"}, [])


def run(tmp_path: Path, *command: str, stop: threading.Event | None = None, timeout: float | None = None) -> object:
    return run_command(
        command,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], MARK: "unit-test"},
        log=tmp_path / "log",
        log_limit=100,
        stop=stop or threading.Event(),
        timeout=timeout,
        grace=0.3,
    )


def test_a_log_is_cut_at_its_limit(tmp_path: Path) -> None:
    ended = run(tmp_path, sys.executable, "-c", "print('x' * 1000)")
    assert (ended.code, ended.reason) == (0, "exited")  # type: ignore[attr-defined]
    text = (tmp_path / "log").read_text()
    assert text.startswith("x" * 100 + "\n[the log ends here")


def test_a_command_that_ignores_sigterm_is_killed_with_its_children(tmp_path: Path) -> None:
    script = "trap '' TERM; sleep 60 & echo $! > child; while true; do sleep 0.1; done"
    started = time.monotonic()
    ended = run(tmp_path, "sh", "-c", script, timeout=0.5)
    assert ended.reason == "timeout"  # type: ignore[attr-defined]
    assert time.monotonic() - started < 10
    child = int((tmp_path / "child").read_text())
    for _ in range(100):
        try:
            state = Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            break
        if state == "Z":
            break
        time.sleep(0.05)
    else:
        raise AssertionError("the child still runs")


def test_a_stopped_runner_stops_its_job(tmp_path: Path) -> None:
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    assert run(tmp_path, "sleep", "60", stop=stop).reason == "stopped"  # type: ignore[attr-defined]


def test_processes_that_a_killed_runner_left_are_found_by_their_mark(tmp_path: Path) -> None:
    import subprocess

    with subprocess.Popen(["sleep", "60"], env={**os.environ, MARK: "left-behind"}) as process:
        assert kill_marked("left-behind") == 1
        assert process.wait(5) == -9
    assert kill_marked("left-behind") == 0


@pytest.mark.parametrize(
    "repo",
    [
        "-oProxyCommand=x",
        "ext::sh -c x",
        "file:///etc",
        "http://example.org/x",
        "git@host:x",
        "../outside",
        ".",
        "/etc",
    ],
)
def test_repositories_that_are_never_fetched(tmp_path: Path, repo: str) -> None:
    with pytest.raises(Error):
        source(repo, tmp_path)


def test_a_study_comes_from_its_url_or_the_local_folder(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    assert source("https://github.com/org/study", None) == "https://github.com/org/study"
    assert source("study", tmp_path) == str((tmp_path / "study").resolve())
    with pytest.raises(Error, match="STUDY_REPOS"):
        source("study", None)


def executor(tmp_path: Path) -> Executor:
    return Executor(tmp_path / "root", StateFolder(tmp_path / "root"), Limits())


def task(name: str, run: str, *needs: str) -> Task:
    outputs = {"moderately_sensitive": {"all": "output/*.txt"}}
    return Task("r" * 16, f"job-{name}", "trends", "0" * 40, name, Action(needs, run, outputs))


@pytest.mark.parametrize("link", ["output", "output/.made.txt.partial"])
def test_inputs_are_never_written_through_a_link_of_the_study(tmp_path: Path, link: str) -> None:
    runner = executor(tmp_path)
    study = runner.study("r" * 16)
    study.mkdir(parents=True)
    make = "sh -c 'mkdir -p output; echo made > output/made.txt'"
    assert runner.run(task("make", make), threading.Event()).status == "succeeded"
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    (study / link).parent.mkdir(exist_ok=True)
    (study / link).symlink_to(outside if link == "output" else outside / "kept")
    outcome = runner.run(task("use", "true", "make"), threading.Event())
    if link == "output":
        assert "the study has a link at output" in outcome.message
    assert [path.name for path in outside.iterdir()] == ["kept"]
    assert (outside / "kept").read_text() == "kept"


def test_the_runner_s_folder_is_for_its_user_only(tmp_path: Path) -> None:
    assert executor(tmp_path).root.stat().st_mode & 0o777 == 0o700


def test_a_secret_that_was_taken_is_nowhere_in_the_environment(tmp_path: Path) -> None:
    script = (
        "import os, pathlib\n"
        "from jobserver.runner.process import take_secret\n"
        "assert take_secret('JOB_SERVER_TOKEN') == 'very-secret'\n"
        "assert 'JOB_SERVER_TOKEN' not in os.environ\n"
        "assert os.environ['AFTER'] == 'kept'\n"
        "import ctypes; ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)\n"  # so that the test may look
        "assert b'very-secret' not in pathlib.Path('/proc/self/environ').read_bytes()\n"
        "assert take_secret('JOB_SERVER_TOKEN') == ''\n"
    )
    env = os.environ | {"JOB_SERVER_TOKEN": "very-secret", "AFTER": "kept"}
    subprocess.run([sys.executable, "-c", script], env=env, check=True)
