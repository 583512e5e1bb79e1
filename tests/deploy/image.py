"""Builds the Dockerfile's image without a container engine, in folders, for tests of what is in it.

Instructions: the Dockerfile reference, https://docs.docker.com/reference/dockerfile/ ; those that our file uses. A base
image is a folder that debootstrap made; RUN is chroot; a container is `unshare` with the image mounted read-only.
"""

import fcntl
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SUITES = {"debian:13-slim": "trixie"}


@dataclass
class Image:
    """``root``: the file system. The rest is what a container of it is started with."""

    root: Path
    environment: dict[str, str] = field(
        default_factory=lambda: {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    )
    folder: str = "/"
    user: str = "0"
    command: Sequence[str] = ()
    health: Sequence[str] = ()

    def start(
        self, *command: str, volumes: dict[str, Path], environment: dict[str, str], output: Path
    ) -> subprocess.Popen[bytes]:
        """A container: read-only but for /tmp and the volumes, as the image's user, in a process tree of its own.

        It shares the network, so its ports are this machine's.
        """
        root = shlex.quote(str(self.root))
        script = [f"mount --bind {root} {root}"]
        for inside, outside in volumes.items():
            script.append(f"mount --bind {shlex.quote(str(outside))} {root}{inside}")
        script += [
            f"mount -o remount,bind,ro {root}",
            f"mount -t tmpfs tmpfs {root}/tmp",
            f"mount -t proc proc {root}/proc",
            f"mount --rbind /dev {root}/dev",
        ]
        run = ["chroot", f"--userspec={self.user}:{self.user}", str(self.root)]
        run += ["/bin/sh", "-c", f'cd {self.folder} && exec "$@"', "sh", *(command or self.command)]
        script.append(f"exec {shlex.join(run)}")
        with output.open("ab") as file:
            return subprocess.Popen(
                ["unshare", "--mount", "--pid", "--fork", "/bin/sh", "-ec", "\n".join(script)],
                env={**self.environment, **environment},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )


def build(context: Path, folder: Path, bases: Path) -> Image:
    """The last stage of ``context``'s Dockerfile, made below ``folder`` (as root, with the network).

    ``bases``: where `debian` makes the images that it begins with.
    """
    stages: dict[str, Image] = {}
    image: Image | None = None
    for keyword, rest in _instructions((context / "Dockerfile").read_text()):
        if keyword == "FROM":
            base, _, name = rest.partition(" AS ")
            name = name or "last"
            image = stages[name] = Image(folder / name)
            subprocess.run(["cp", "--archive", str(debian(SUITES[base], bases)), str(image.root)], check=True)
            continue
        assert image is not None, "the Dockerfile begins with FROM"
        match keyword:
            case "RUN":
                run_inside(image.root, rest, image.environment, image.folder)
            case "COPY":
                _copy(image, rest, context, stages)
            case "WORKDIR":
                image.folder = rest
                (image.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
            case "ENV":
                for name, value in (word.split("=", 1) for word in shlex.split(rest)):
                    image.environment[name] = Template(value).substitute(image.environment)
            case "USER":
                image.user = rest
            case "CMD":
                image.command = json.loads(rest)
            case "HEALTHCHECK":
                image.health = json.loads(rest[rest.index("CMD") + 3 :])
            case "VOLUME" | "EXPOSE" | "STOPSIGNAL":
                pass
            case _:
                raise AssertionError(f"{keyword} is not known here: teach it to this file")
    assert image is not None
    return image


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        keyword, _, rest = line.partition(" ")
        yield keyword, rest.strip()


def debian(suite: str, folder: Path) -> Path:
    """A minimal Debian below ``folder``, made once, also if several processes ask for it."""
    root = folder / suite
    with once(folder):
        if not root.exists():
            partial = folder / f"{suite}.partial"
            command = ["debootstrap", "--variant=minbase", "--include=ca-certificates", suite, str(partial)]
            subprocess.run(command, check=True, capture_output=True)
            partial.rename(root)
    return root


@contextmanager
def once(folder: Path) -> Iterator[None]:
    """Keeps other processes out of the block."""
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run_inside(root: Path, command: str, environment: dict[str, str], folder: str = "/") -> None:
    """A shell's command in ``root``, as root, with this machine's network. Raises where it fails."""
    shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
    run = shlex.join(["chroot", str(root), "/bin/sh", "-ec", f"cd {folder}; {command}"])
    inside = f"mount -t proc proc {root}/proc && exec {run}"
    # The certificates and the proxy of this machine count, as `docker build` has those of its daemon.
    environment = {**environment, "DEBIAN_FRONTEND": "noninteractive", **_network(root)}
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "/bin/sh", "-c", inside],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}"


def _network(root: Path) -> dict[str, str]:
    passed = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    if certificates := os.environ.get("SSL_CERT_FILE"):
        shutil.copy(certificates, root / "tmp" / "certificates.pem")
        passed |= dict.fromkeys(("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"), "/tmp/certificates.pem")
    return passed


def _copy(image: Image, rest: str, context: Path, stages: dict[str, Image]) -> None:
    words = rest.split()
    source = context
    if words[0].startswith("--from="):
        source = stages[words.pop(0).removeprefix("--from=")].root
    *names, target = words
    place = Path(
        os.path.normpath(
            f"{image.root}{image.folder}/{target}" if not target.startswith("/") else f"{image.root}{target}"
        )
    )
    for name in names:
        file = source / name.lstrip("/")
        if file.is_dir():
            shutil.copytree(
                file, place, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
            )
        elif target.endswith("/") or place.is_dir():
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, place)
        else:
            shutil.copy(file, place)


def tree(pid: int) -> list[int]:
    """The process and all below it; nothing of one that has ended."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:  # it has ended
        return []
    return [pid, *(descendant for child in children for descendant in tree(int(child)))]
