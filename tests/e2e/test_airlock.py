"""Airlock and a real server, over a kill -9: what Airlock was answered with 201 is not lost, and large files arrive."""

import hashlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.harness import Client, Site, until
from tests.receiver import Receiver, receiving
from tests.samples import only_whole

RELEASE, OTHER = "01J9ZQ4V8N6T3W5X7Y9A1B2C3D", "01J9ZQ4V8N6T3W5X7Y9A1B2C3E"
NAME = "output/größe.csv"
LARGE = bytes(range(256)) * 4096 * 12  # 12 MiB: more than other calls may send


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("airlock") / "site")
    made.env["WEBHOOK_NETWORKS"] = "127.0.0.1"
    made.run("user", "add", "john", "--role", "OutputChecker")
    made.start()
    yield made
    made.stop()
    made.check_record()
    verified = made.command("audit", "verify", "--releases", made.env["RELEASE_STORAGE"])
    assert verified.returncode == 0, verified.stderr


def tell(tpp: Client, event: str, user: str) -> None:
    data = {"event_type": f"request_{event}", "workspace": "grouped", "request": RELEASE, "request_author": "bob",
            "user": user, "updates": None}  # fmt: skip
    reply = tpp.post("/api/v2/airlock/events/", json=data)
    assert (reply.status_code, reply.json()) == (201, {"status": "ok"})


def ask(tpp: Client, files: dict[str, bytes], release: str = RELEASE) -> None:
    listed: list[dict[str, Any]] = [
        {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "review": None}
        for name, data in files.items()
    ]
    body = {"files": listed, "metadata": {"tool": "airlock", "airlock_id": release}, "review": None}
    asked = tpp.post("/api/v2/releases/workspace/grouped", json=body, headers={"OS-User": "jane"})
    assert (asked.status_code, asked.headers["Release-Id"]) == (201, release)


def upload(tpp: Client, name: bytes, data: bytes, release: str = RELEASE) -> httpx.Response:
    headers = [
        (b"OS-User", b"jane"),
        (b"Content-Disposition", b'attachment; filename="' + name + b'"'),
        (b"Content-Type", b"application/octet-stream"),
    ]
    return tpp.post(f"/api/v2/releases/release/{release}", content=data, headers=headers)


@only_whole
def test_a_release_survives_kills(site: Site) -> None:
    with receiving(Receiver(status=204)) as receiver:
        site.run("webhook", "add", receiver.url, "--all", "--event", "release.updated")
        with site.client("tpp") as tpp:
            for event, user in (("submitted", "bob"), ("partially_reviewed", "jane"), ("reviewed", "john")):
                tell(tpp, event, user)
        site.kill()
        site.start()
        small = b"a,b\n"
        with site.client("tpp") as tpp:
            ask(tpp, {NAME: small, "large.csv": LARGE})
            tell(tpp, "approved", "jane")
            first = upload(tpp, NAME.encode(), small)  # UTF-8, as many clients send it
            assert first.status_code == 201, first.text
            site.kill()
            site.start()
            again = upload(tpp, NAME.encode("latin-1"), small)  # as HTTP has it
            assert f"This version of '{NAME}' has already been uploaded" in again.json()["detail"]
            other = upload(tpp, NAME.encode(), b"other bytes")
            assert "Content-Disposition is not ASCII" in other.json()["detail"]
            large = upload(tpp, b"large.csv", LARGE)
            assert large.status_code == 201, large.text
            tell(tpp, "released", "jane")
        with site.client("bob") as bob:
            assert bob.get(f"/api/v2/releases/file/{large.headers['File-Id']}").content == LARGE
        until(lambda: len(receiver.calls) == 5)
    assert len({headers["webhook-id"] for headers, _ in receiver.calls}) == 5


def test_an_upload_that_is_too_large_is_refused_before_it_is_read(site: Site) -> None:
    with site.client("tpp") as tpp:
        ask(tpp, {"large.csv": LARGE}, OTHER)
        reply = upload(tpp, b"large.csv", b"x" * (16 * 1024 * 1024 + 1), OTHER)
    assert (reply.status_code, reply.json()) == (400, {"detail": "File is too large, it must be below 16.0Mb"})
