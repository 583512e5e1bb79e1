"""The wheel is the product: installed elsewhere, for any user, it has every command, page and file."""

import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.e2e.harness import free_port, until
from tests.samples import only_whole

ROOT = Path(__file__).parents[2]
PYTHONS = ("3.11", "3.12", "3.13")
NOBODY = 65534

pytestmark = only_whole


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that every user can read: pytest's own are for one user."""
    folder = Path(tempfile.mkdtemp(prefix="jobserver-wheel-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    for path in folder.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def wheel(place: Path) -> Path:
    """Built from a copy, so that the checkout gets no `build/`."""
    source = place / "source"
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_symlink() or (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name, follow_symlinks=False)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", place]
    subprocess.run([*build, source], check=True, capture_output=True)
    (built,) = place.glob("*.whl")
    return built


def interpreter(version: str) -> str | None:
    """A Python of this version, of the system or of pyenv."""
    names = [shutil.which(f"python{version}", path="/usr/bin:/usr/local/bin")]
    names += sorted(
        str(path) for path in (Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python") if readable(path)
    )
    names += [shutil.which(f"python{version}")]
    for name in filter(None, names):
        probe = [name, "-c", "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"]
        done = subprocess.run(probe, capture_output=True, text=True)
        if done.returncode == 0 and done.stdout.strip() == version:
            return name
    return None


def readable(path: Path) -> bool:
    return os.access(path, os.X_OK)


@pytest.fixture(scope="module", params=PYTHONS)
def installed(request: pytest.FixtureRequest, place: Path, wheel: Path) -> Path:
    """The folder `bin` of a fresh environment with the locked dependencies and the wheel, which nobody can write."""
    python = interpreter(request.param)
    if python is None:
        pytest.skip(f"there is no Python {request.param}")
    venv = place / request.param
    subprocess.run([python, "-m", "venv", venv], check=True)
    pip = [venv / "bin/python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--require-hashes", "-r", ROOT / "deploy/requirements.lock"], check=True)
    subprocess.run([*pip, "--no-deps", wheel], check=True)
    for path in venv.rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    return venv / "bin"


def environment(**more: str) -> dict[str, str]:
    """Neither HOME nor a language of people."""
    return {"PATH": "/usr/bin:/bin", "LANG": "C", **more}


def user_of(binaries: Path) -> dict[str, object]:
    """The user nobody, where this process may become them, and they can run the interpreter."""
    real = (binaries / "python").resolve()
    if os.getuid() != 0 or any(not parent.stat().st_mode & stat.S_IXOTH for parent in real.parents):
        return {}
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []}


def work_folder(place: Path, name: str, user: Mapping[str, object]) -> Path:
    folder = place / name
    folder.mkdir()
    if user:
        os.chown(folder, NOBODY, NOBODY)
    return folder


@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_the_demo_runs_from_the_wheel(installed: Path, place: Path, umask: int) -> None:
    user = user_of(installed)
    folder = work_folder(place, f"demo-{installed.parent.name}-{umask:03o}", user)
    command = [installed / "jobserver", "demo", "--once", "--folder", folder / "demo", "--port", str(free_port())]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        umask=umask,
        **user,  # type: ignore[call-overload]
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ada requested run_all on admissions" in done.stdout
    state = folder / "demo/state.git"
    assert [path for path in [state, *state.rglob("*")] if path.stat().st_mode & stat.S_IWOTH] == []
    with serving(installed, folder, user, umask) as client:
        home = client.get("/").text
        for link in re.findall(r'(?:href|src)="(/static/[^"]+)"', home):
            assert client.get(link).status_code == 200
        for path in ("/jobs/", "/admissions/", "/status/", "/schemas/workspace.json", "/api/v2/openapi.json"):
            assert client.get(path).status_code == 200, path


@contextmanager
def serving(binaries: Path, folder: Path, user: Mapping[str, object], umask: int) -> Iterator[httpx.Client]:
    """A server on the demo's repository, with open pages."""
    port = free_port()
    settings = {
        "SECRET_KEY": "not-a-secret-but-long",
        "BASE_URL": f"http://127.0.0.1:{port}",
        "STATE_REPO": str(folder / "demo/state.git"),
        "ADMIN_USERS": "admin",
        "PUBLIC_READ": "on",
    }
    command = [binaries / "jobserver", "serve", "--port", str(port)]
    server = subprocess.Popen(command, cwd=folder, env=environment(**settings), umask=umask, **user)  # type: ignore[call-overload]
    try:
        with httpx.Client(base_url=settings["BASE_URL"], trust_env=False) as client:
            until(lambda: answers(client), 60)
            yield client
    finally:
        server.terminate()
        server.wait(30)


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/health-check/").status_code == 200
    except httpx.TransportError:
        return False


def test_every_command_has_its_help(installed: Path, place: Path) -> None:
    def run(*arguments: str) -> str:
        command = [installed / "jobserver", *arguments, "--help"]
        return subprocess.run(command, cwd=place, env=environment(), capture_output=True, text=True, check=True).stdout

    commands = re.findall(r"^  ([a-z-]+) ", run().partition("Commands:")[2], re.MULTILINE)
    assert len(commands) > 15
    for command in commands:
        assert run(command).startswith(f"Usage: jobserver {command}")


def test_git_can_run_the_hook_of_an_installed_wheel(installed: Path, place: Path) -> None:
    user = user_of(installed)
    folder = work_folder(place, f"hook-{installed.parent.name}", user)
    (module,) = installed.parent.glob("lib/*/site-packages/jobserver/web/git/active_pack.py")
    options = {"cwd": folder, "env": environment(), "capture_output": True, "check": True, **user}

    def git(*arguments: str) -> bytes:
        return subprocess.run(["git", *arguments], **options).stdout  # type: ignore[call-overload, no-any-return]

    git("init", "--quiet")
    git("-c", "user.name=x", "-c", "user.email=x@x", "commit", "--quiet", "--allow-empty", "--message=x")
    wanted = git("rev-parse", "HEAD") + b"--not\n\n"
    command = [installed / "python", "-I", "-S", module, "git", "pack-objects", "--stdout"]
    done = subprocess.run(command, input=wanted, **options)  # type: ignore[call-overload]
    assert done.stdout[:12] == b"PACK\0\0\0\2\0\0\0\2"


def test_the_wheel_has_the_files_that_are_no_modules(place: Path, wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    source = place / "source"
    package = [path.relative_to(source).as_posix() for path in (source / "jobserver").rglob("*") if path.is_file()]
    template = [
        f"jobserver/{path.relative_to(source).as_posix()}"
        for path in (source / "state_repo_template").rglob("*")
        if path.is_file()
    ]
    assert {*package, *template} - set(names) == set()
