"""compose.yaml's services, started by their own words in the image, and one job from request to result."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.deploy.image import Image, tree
from tests.e2e.harness import free_port, until
from tests.samples import only_whole

ROOT = Path(__file__).parents[2]

pytestmark = [
    only_whole,
    pytest.mark.skipif(os.getuid() != 0 or shutil.which("debootstrap") is None, reason="needs root and debootstrap"),
]


class Compose:
    """Of what compose does: commands, volumes, the environment, and the order in which services start."""

    def __init__(self, image: Image, folder: Path) -> None:
        self.services: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
        self._image, self._folder = image, folder
        self.port = free_port()  # all services share this machine's network here
        self.url = f"http://127.0.0.1:{self.port}"
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, name: str) -> "subprocess.Popen[bytes]":
        service = self.services[name]
        volumes = dict(self._volume(volume) for volume in service["volumes"])
        environment = {key: self._here(value) for key, value in service["environment"].items()}
        command = [self._here(word) for word in service.get("command", self._image.command)]
        process = self._image.start(
            *command,
            volumes=volumes,
            environment={**environment, "HOST": "127.0.0.1", "PORT": str(self.port)},
            output=self.log(name),
        )
        self._started.append(process)
        return process

    def log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def close(self) -> None:
        for process in self._started:
            for pid in tree(process.pid):
                os.kill(pid, signal.SIGKILL)
            process.wait(30)

    def _here(self, text: str) -> str:
        """``$$`` is compose's way to write ``$``."""
        for address in ("http://server:8000", "http://localhost:8000"):
            text = text.replace(address, self.url)
        return text.replace("$$", "$")

    def _volume(self, text: str) -> tuple[str, Path]:
        source, target = text.removesuffix(":ro").split(":")
        if source.startswith("./"):
            (self._image.root / target.lstrip("/")).touch()
            return target, ROOT / source
        folder = self._folder / source
        if not folder.exists():  # a new volume is as the image's folder is
            folder.mkdir()
            owner = (self._image.root / target.lstrip("/")).stat()
            os.chown(folder, owner.st_uid, owner.st_gid)
        return target, folder


@pytest.fixture
def compose(image: Image, tmp_path: Path) -> Iterator[Compose]:
    made = Compose(image, tmp_path)
    yield made
    made.close()


def test_what_the_evaluator_sees(compose: Compose) -> None:
    for _ in range(2):  # `up` again runs it again
        assert compose.start("setup").wait(120) == 0, compose.log("setup").read_text()
    compose.start("server")
    until(lambda: _status(f"{compose.url}/health-check/read/") == 200, 60)
    compose.start("runner")
    link = compose.log("setup").read_text().split()[-1]
    with httpx.Client(base_url=compose.url, timeout=30) as admin:
        form = _form(admin.get(link))
        assert admin.post(link, data={"form": form}).status_code == 303
        page = admin.get("/admissions/")
        assert page.status_code == 200
        answer = admin.post(
            "/admissions/", data={"form": _form(page), "backend": "demo", "requested_actions": "run_all"}
        )
        assert answer.status_code == 303, answer.text
        request = answer.headers["Location"]
        until(lambda: "Succeeded" in admin.get(request).text, 90)


def _status(url: str) -> int:
    try:
        return httpx.get(url, timeout=5).status_code
    except httpx.TransportError:
        return 0


def _form(page: httpx.Response) -> str:
    return page.text.partition('name="form" value="')[2].partition('"')[0]
