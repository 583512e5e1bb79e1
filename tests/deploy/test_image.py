"""The Dockerfile's image, built and run without a container engine, read-only and without root."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.deploy.image import Image, tree
from tests.e2e.harness import free_port, until
from tests.samples import only_whole

pytestmark = [
    only_whole,
    pytest.mark.skipif(os.getuid() != 0 or shutil.which("debootstrap") is None, reason="needs root and debootstrap"),
]


@pytest.fixture
def state(tmp_path: Path, image: Image) -> Path:
    folder = tmp_path / "state"
    folder.mkdir()
    os.chown(folder, int(image.user), int(image.user))
    return folder


class Container:
    def __init__(self, image: Image, state: Path, port: int) -> None:
        self.image, self.state = image, state
        self.log = state.with_name("log")
        self.url = f"http://127.0.0.1:{port}"
        self.environment = {
            "SECRET_KEY": "0123456789abcdef",
            "BASE_URL": self.url,
            "ADMIN_USERS": "root",
            "HOST": "127.0.0.1",
            "PORT": str(port),
        }

    def start(self, *command: str) -> "subprocess.Popen[bytes]":
        volumes = {"/state": self.state}
        return self.image.start(*command, volumes=volumes, environment=self.environment, output=self.log)

    def run(self, *command: str) -> str:
        self.log.write_text("")
        assert self.start(*command).wait(60) == 0, self.log.read_text()
        return self.log.read_text()


@pytest.fixture
def container(image: Image, state: Path) -> Container:
    return Container(image, state, free_port())


@pytest.fixture
def serving(container: Container) -> Iterator["subprocess.Popen[bytes]"]:
    container.run("jobserver", "init")
    process = container.start()
    try:
        until(lambda: container.start(*container.image.health).wait(30) == 0, 60)
        yield process
    finally:
        for pid in tree(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait(30)


def test_it_serves_as_another_user_on_a_read_only_file_system(
    container: Container, serving: "subprocess.Popen[bytes]"
) -> None:
    assert httpx.get(f"{container.url}/login/").status_code == 200
    link = container.run("jobserver", "user", "login-link", "root").split()[-1]
    assert httpx.get(link).status_code == 200
    assert "is not a directory" not in container.run("sh", "-c", "id -u; touch /app/file 2>&1 || true")
    assert {path.stat().st_uid for path in container.state.rglob("*")} == {int(container.image.user)}


def test_it_ends_in_order_when_it_is_told_to_stop(container: Container, serving: "subprocess.Popen[bytes]") -> None:
    os.kill(tree(serving.pid)[1], signal.SIGTERM)  # the first process of the container, as `docker stop` does
    assert serving.wait(30) == 0
    assert "Traceback" not in container.log.read_text()


def test_nothing_of_the_tests_or_the_build_is_in_it(image: Image) -> None:
    for name in ("pytest", "setuptools", "tests"):
        assert not list((image.root / "opt/jobserver/lib").glob(f"python3.*/site-packages/{name}"))
    assert not (image.root / "src").exists()
