"""The files that others' tools read, judged by these tools."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SERVICE = ROOT / "deploy" / "systemd" / "jobserver.service"
EXPOSURE = 2.0  # of 10; systemd-analyze calls up to 2.0 "OK" and is content


def run(*command: str) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "PATH": path}, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


def test_the_dockerfile_has_no_fault_that_hadolint_knows() -> None:
    # DL3008: Debian's packages are not pinned, so that a rebuilt image has their security updates.
    run("hadolint", "--ignore", "DL3008", "Dockerfile")


def test_the_compose_file_is_what_compose_expects() -> None:
    run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml")


def test_everything_that_the_compose_file_mounts_is_there() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    folders = [volume.split(":")[0] for service in services.values() for volume in service.get("volumes", ())]
    assert [folder for folder in folders if folder.startswith("./") and not (ROOT / folder).exists()] == []


@needs("systemd-analyze")
def test_systemd_knows_every_line_of_the_units(tmp_path: Path) -> None:
    for unit in SERVICE.parent.iterdir():
        # The command is where the document installs it, which is not here.
        (tmp_path / unit.name).write_text(unit.read_text().replace("/opt/jobserver/bin/jobserver", "/bin/true"))
    assert run("systemd-analyze", "verify", *map(str, tmp_path.iterdir())) == ""


@needs("systemd-analyze")
def test_the_unit_leaves_the_server_little_that_it_does_not_need() -> None:
    line = run("systemd-analyze", "security", "--offline=true", str(SERVICE)).splitlines()[-1]
    assert float(line.split(":")[1].split()[0]) <= EXPOSURE, line


@needs("caddy")
def test_caddy_takes_its_file() -> None:
    run("caddy", "validate", "--adapter", "caddyfile", "--config", "deploy/caddy/Caddyfile")


def test_what_an_image_installs_is_what_the_tests_install() -> None:
    def packages(name: str) -> set[str]:
        lines = (ROOT / name).read_text().splitlines()
        return {line for line in lines if line and not line.startswith("#")}

    for name in ("deploy/requirements.lock", "deploy/requirements-build.lock"):
        ours = {line.removesuffix(" \\") for line in packages(name)}
        assert ours <= {line.removesuffix(" \\") for line in packages("requirements.lock")}, name
