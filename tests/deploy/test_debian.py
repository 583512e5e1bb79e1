"""docs/deploy/systemd.md and nginx.md, followed command by command on a new Debian that boots with systemd.

The commands are read from the documents. What the documents leave to the reader (the settings, the certificate, the
names) is done here as they say.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.image import PATH, debian, run_inside
from tests.e2e.harness import until
from tests.samples import only_whole

ROOT = Path(__file__).parents[2]
NAME = "jobs.example.org"
SOURCE = "/root/jobserver"
TLS = f"/etc/letsencrypt/live/{NAME}"
SETTINGS = {
    "SECRET_KEY": "0123456789abcdef",
    "BASE_URL": f"https://{NAME}",
    "ADMIN_USERS": "ada",
    "STATE_REPO": "/var/lib/jobserver/state.git",
    "TRUSTED_PROXIES": "127.0.0.1",
}

pytestmark = [
    only_whole,
    pytest.mark.skipif(
        os.getuid() != 0 or not all(map(shutil.which, ("debootstrap", "systemd-nspawn", "nsenter"))),
        reason="needs root, debootstrap and systemd-nspawn",
    ),
]


def commands(document: str, heading: str) -> str:
    """The first block of commands below a heading."""
    text = (ROOT / "docs" / "deploy" / document).read_text()
    match = re.search(rf"^## {heading}\n.*?```bash\n(.*?)```", text, re.DOTALL | re.MULTILINE)
    assert match, (document, heading)
    return match[1]


class Machine:
    """A Debian that has booted, with a network of its own in which nothing else is."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root.with_name("console")
        options = ["--quiet", "--boot", "--private-network", "--keep-unit", "--register=no", "--console=pipe"]
        with self.log.open("wb") as file:
            self._process = subprocess.Popen(
                ["systemd-nspawn", *options, f"--directory={root}"],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        until(lambda: self.try_("systemctl is-system-running").stdout.strip() in ("running", "degraded"), 60)

    def try_(self, command: str) -> "subprocess.CompletedProcess[str]":
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        if not children:
            return subprocess.CompletedProcess([], 1, "", "not started yet")
        enter = ["nsenter", f"--target={children[0]}", "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd"]
        environment = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8"}
        shell = ["/bin/bash", "-ec", f"cd {SOURCE}; {command}"]
        return subprocess.run([*enter, *shell], env=environment, capture_output=True, text=True, check=False)

    def run(self, command: str) -> str:
        done = self.try_(command)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}\n{self.journal()}"
        return done.stdout

    def journal(self) -> str:
        return self.try_("journalctl --unit jobserver --unit nginx --no-pager --lines 50").stdout

    def get(self, path: str) -> str:
        """The status of a page, as somebody at the public address gets it."""
        curl = f"curl --silent --max-time 30 --cacert {TLS}/fullchain.pem --resolve {NAME}:443:127.0.0.1"
        return self.run(f"{curl} --output /dev/null --write-out '%{{http_code}}' 'https://{NAME}{path}'")

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(60)


@pytest.fixture(scope="module")
def machine(machines: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    root = tmp_path_factory.mktemp("debian") / "root"
    subprocess.run(["cp", "--archive", str(debian("trixie", machines)), str(root)], check=True)
    environment = {"PATH": PATH, "HOME": "/root"}
    run_inside(
        root, "apt-get update; apt-get install --yes systemd systemd-sysv dbus curl openssl nginx sudo", environment
    )
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    archive = ["tar", "--create", "--null", "--files-from=-"]
    packed = subprocess.run(archive, cwd=ROOT, input=tracked, capture_output=True, check=True).stdout
    (root / SOURCE.lstrip("/")).mkdir()
    subprocess.run(["tar", "--extract", f"--directory={root}{SOURCE}"], input=packed, check=True)
    run_inside(root, commands("systemd.md", "Install"), environment, SOURCE)
    run_inside(root, commands("systemd.md", "Configure"), environment, SOURCE)
    with (root / "etc/jobserver/settings.env").open("a") as file:
        file.writelines(f"{name}={value}\n" for name, value in SETTINGS.items())
    run_inside(
        root,
        f"mkdir -p {TLS}; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={NAME}"
        f" -addext subjectAltName=DNS:{NAME} -keyout {TLS}/privkey.pem -out {TLS}/fullchain.pem",
        environment,
    )
    made = Machine(root)
    try:
        start = commands("systemd.md", "Start")
        made.run(start.replace("journalctl --unit jobserver --follow\n", ""))
        made.run(commands("nginx.md", "nginx"))
        # `systemctl reload nginx` returns before nginx listens at the new port.
        until(lambda: made.try_("ss --listening --tcp --numeric | grep -q ':443 '").returncode == 0)
        yield made
    finally:
        made.close()


def test_the_site_answers_over_https(machine: Machine) -> None:
    assert machine.get("/health-check/write/") == "200"
    assert machine.get("/login/") == "200"


def test_the_command_of_the_document_prints_a_link_that_logs_in(machine: Machine) -> None:
    text = (ROOT / "docs/deploy/systemd.md").read_text()
    match = re.search(r"^(sudo -u jobserver .*)$", text, re.MULTILINE)
    assert match
    link = machine.run(match[1].replace("ADMIN", "ada")).strip()
    assert machine.get(link.removeprefix(f"https://{NAME}")) == "200"


def test_a_restart_refuses_nobody(machine: Machine) -> None:
    machine.run("systemctl --no-block restart jobserver")
    assert {machine.get("/health-check/read/") for _ in range(20)} == {"200"}
    until(lambda: machine.run("systemctl is-active jobserver || true").strip() == "active")


def test_a_killed_server_starts_again_by_itself(machine: Machine) -> None:
    machine.run("systemctl kill --signal=KILL jobserver")
    until(lambda: machine.run("systemctl show --property=NRestarts --value jobserver").strip() == "1")
    assert machine.get("/health-check/write/") == "200"


def test_what_it_writes_is_in_its_own_folder(machine: Machine) -> None:
    others = "find / -xdev -user jobserver -not -path '/proc/*' -not -path '/var/lib/jobserver*'"
    assert machine.run(others).split() == []
    assert machine.run("stat --format=%a /var/lib/jobserver/state.git.key").strip() == "600"
