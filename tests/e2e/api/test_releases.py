"""PUT .../releases/<hash>, in job-server's order of checks: of all that is wrong, the first is answered."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.harness import TLS, Client, Site, until
from tests.samples import size
from tests.zips import GOOD, MANIFEST, md5_of, zipped

HASH = md5_of(GOOD)
JANE = {"Backend-User": "jane"}
URL = f"/api/v2/workspaces/plain/releases/{HASH}"
NO_HASH = "/api/v2/workspaces/plain/releases/" + "0" * 32
HEADERS = {"Content-Disposition": "attachment; filename=release.zip", **JANE}


def files(number: int) -> dict[str, bytes]:
    return {MANIFEST: b"{}", "output/n.csv": str(number).encode()}


def put(client: httpx.Client, made: dict[str, bytes], workspace: str = "plain", **headers: str) -> httpx.Response:
    url = f"/api/v2/workspaces/{workspace}/releases/{md5_of(made)}"
    return client.put(url, content=zipped(made), headers={**HEADERS, **headers})


def left(site: Site) -> list[str]:
    root = site.folder / "releases"
    return [path.relative_to(root).as_posix() for path in root.rglob("*") if ".incoming" in path.parts[:-1]]


# The order


def test_strangers_do_not_learn_which_workspaces_there_are(site: Site) -> None:
    """Whatever there is, they hear of their token; a backend hears of the workspace, before anything that it sent."""
    for who, status in ((None, 403), ("alice", 403), ("tpp", 404)):
        with site.client(who) as client:
            answer = client.put("/api/v2/workspaces/none/releases/x", content=b"x")
            assert answer.status_code == status
            if who != "tpp":
                assert answer.content == client.put(URL, content=b"x").content


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ({}, "Authorization header is missing"),
        ({"Authorization": ""}, "Authorization header is empty"),
        ({"Authorization": "nonsense"}, "Invalid token"),
    ],
)
def test_a_release_needs_a_backends_token(site: Site, headers: dict[str, str], detail: str) -> None:
    answer = httpx.put(f"{site.url}{URL}", headers=headers, verify=TLS)
    assert (answer.status_code, answer.json()) == (403, {"detail": detail})


def test_a_person_releases_nothing(site: Site) -> None:
    for who in ("alice", "root"):
        with site.client(who) as client:
            answer = client.put(URL, content=zipped(GOOD), headers=HEADERS)
        assert answer.status_code == 403
        assert answer.json() == {"detail": "This needs a backend's token, not a person's"}


@pytest.mark.parametrize("value", [None, b"", b"x" * 201, b"a\tb", "a\u2028Actor: user/root".encode()])
def test_a_release_needs_the_header_backend_user(tpp: Client, value: bytes | None) -> None:
    answer = tpp.put(URL, headers=[] if value is None else [(b"Backend-User", value)])
    assert (answer.status_code, answer.json()) == (403, {"detail": "Backend-User not valid"})


@pytest.mark.parametrize("user", ["nobody-known", "alice", "bob", "gone", "JANE"])
def test_a_release_needs_a_user_with_the_right_to_release(site: Site, tpp: Client, user: str) -> None:
    """alice runs jobs, bob checks the project's output: neither lets files out; gone may no longer."""
    if user == "gone":
        site.run("user", "add", "gone", "--role", "OutputChecker")
        site.run("user", "disable", "gone")
    before = site.count()
    answer = put(tpp, files(99), "grouped", **{"Backend-User": user})
    assert answer.status_code == 403
    assert answer.json()["detail"].startswith(f"Backend-User not valid: {user} is not an active user")
    assert (left(site), site.count()) == ([], before)


def test_a_new_line_in_the_user_is_none_to_http(site: Site) -> None:
    import socket

    with socket.create_connection(("127.0.0.1", site.port)) as connection:
        head = f"PUT {URL} HTTP/1.1\r\nHost: x\r\nAuthorization: {site.tokens['tpp']}\r\nConnection: close\r\n"
        connection.sendall(f"{head}Backend-User: jane\nPolicy: 9\r\nContent-Length: 1\r\n\r\nx".encode())
        answer = connection.makefile("rb").read()
    assert answer.split()[1] == b"400"
    assert site.git("log", "--format=%H", "--grep=Policy: 9", "backends/tpp") == ""


def test_a_release_without_data_is_refused(tpp: Client) -> None:
    answer = tpp.put(URL, headers=JANE)
    assert (answer.status_code, answer.json()) == (400, {"detail": "No data uploaded"})


def test_a_release_that_is_too_large_is_refused(tpp: Client) -> None:
    assert tpp.put(URL, headers=JANE, content=b" " * (10 * 1024 * 1024 + 1)).status_code == 413


def test_a_release_whose_zip_is_malformed_is_refused(site: Site, tpp: Client) -> None:
    before = site.count()
    for url, body, words in (
        (URL, b"no zip", "not a readable zip"),
        (URL, zipped({"a": b"1"}), "metadata/manifest.json is not in the zip"),
        (URL, zipped({MANIFEST: b"{"}), "metadata/manifest.json is not JSON"),
        (NO_HASH, zipped(GOOD), f"is {HASH}, not {'0' * 32}"),
        (URL.replace(HASH, HASH.upper()), zipped(GOOD), "the MD5 of the files' contents"),
        (URL, zipped({"../../../evil": b"1", MANIFEST: b"{}"}), "has an empty part"),
    ):
        answer = tpp.put(url, headers=HEADERS, content=body)
        assert answer.status_code == 400
        assert words in answer.json()["detail"]
    assert left(site) == []
    assert site.count() == before


def test_a_good_release_is_stored_and_recorded(site: Site, tpp: Client) -> None:
    made = files(1)
    answer = put(tpp, made)
    assert (answer.status_code, answer.content) == (201, b"")
    assert answer.headers["Release-Id"] == md5_of(made)
    assert answer.headers["Location"] == f"{site.url}/plain/releases/{md5_of(made)}"
    commit = answer.headers["X-Commit"]
    assert commit == site.git("rev-parse", "backends/tpp")
    trailers = site.git("log", "-1", "--format=%(trailers:only)", commit).splitlines()
    assert trailers[:5] == [
        "Event: release.uploaded", "Actor: backend/tpp", "Branch: backends/tpp", "Workspace: plain",
        f"Release: {md5_of(made)}",
    ]  # fmt: skip
    assert "Backend-User: jane" in trailers
    assert "tpp released 2 files of plain" in site.run("audit", "log", "--workspace", "plain", "--event", "release")
    again = tpp.put(f"/api/v2/workspaces/plain/releases/{md5_of(made)}", content=b"anything", headers=HEADERS)
    assert (again.status_code, again.content) == (303, b"")
    for name in ("Release-Id", "Location", "X-Commit"):
        assert again.headers[name] == answer.headers[name]
    assert left(site) == []


def test_the_same_files_of_another_workspace_are_another_release(tpp: Client) -> None:
    made = files(2)
    assert [put(tpp, made, workspace).status_code for workspace in ("plain", "grouped", "plain")] == [201, 201, 303]


def test_a_backend_learns_nothing_of_anothers(site: Site, tpp: Client) -> None:
    made = files(3)
    with site.client("emis") as emis:
        assert [put(client, made).status_code for client in (tpp, emis, emis)] == [201, 201, 303]


def test_a_user_beyond_ascii_is_refused_clearly(site: Site, tpp: Client) -> None:
    """The server below us hands on no other headers; what it makes of them must not be recorded as a name."""
    url = f"/api/v2/workspaces/plain/releases/{md5_of(files(4))}"
    answer = tpp.put(url, content=zipped(files(4)), headers=[(b"Backend-User", "Zoë Żak".encode())])
    assert (answer.status_code, answer.json()) == (403, {"detail": "Backend-User not valid"})


def test_a_release_is_uploaded_by_put_only(site: Site, tpp: Client) -> None:
    for method in ("POST", "DELETE"):
        answer = tpp.request(method, URL)
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, PUT")
    assert tpp.put(f"{URL}/", headers=HEADERS, content=zipped(GOOD)).status_code == 404


def test_a_release_may_come_in_chunks(tpp: Client) -> None:
    made = files(5)
    url = f"/api/v2/workspaces/plain/releases/{md5_of(made)}"
    body = zipped(made)
    assert tpp.put(url, content=iter([body[:50], body[50:]]), headers=HEADERS).status_code == 201


def test_a_report_does_not_wake_the_list(tpp: Client) -> None:
    """The list's bytes are the same."""
    etag = tpp.get("/api/v2/job-requests/").headers["ETag"]
    assert put(tpp, files(6)).status_code == 201
    assert tpp.get("/api/v2/job-requests/", headers={"If-None-Match": etag}).status_code == 304


def test_a_release_that_is_uploaded_twice_at_once_is_recorded_once(site: Site) -> None:
    made, found = files(7), []
    start = threading.Barrier(4)

    def upload() -> None:
        with site.client("tpp") as client:
            start.wait()
            found.append(put(client, made))

    threads = [threading.Thread(target=upload) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in found) == [201, 303, 303, 303]
    assert len({answer.headers["X-Commit"] for answer in found}) == 1


def test_the_auditor_finds_all_of_them(site: Site, tpp: Client) -> None:
    assert put(tpp, files(8)).status_code == 201
    done = site.command("audit", "verify", "--releases", str(site.folder / "releases"))
    assert done.returncode == 0, done.stderr
    stored = next((site.folder / "releases" / "plain" / "tpp" / md5_of(files(8))).rglob("n.csv"))
    stored.write_bytes(b"9")
    done = site.command("audit", "verify", "--releases", str(site.folder / "releases"))
    assert done.returncode == 1
    assert "output/n.csv differs from the uploaded file" in done.stderr


# The server


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path / "own")
    yield made
    if made.server is not None:
        made.stop()


def test_without_release_storage_uploads_are_refused(own: Site) -> None:
    """Strangers learn nothing of it."""
    del own.env["RELEASE_STORAGE"]
    own.start()
    assert httpx.put(f"{own.url}{URL}").json() == {"detail": "Authorization header is missing"}
    with own.client("tpp") as tpp:
        assert tpp.put(URL, content=b"x").json() == {"detail": "Backend-User not valid"}
        answer = put(tpp, GOOD)
    assert answer.status_code == 503
    assert answer.json() == {"detail": "This server can't store releases: RELEASE_STORAGE is not set"}


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("state.git/releases", "expected a folder outside STATE_REPO"),
        ("no/such/folder", "expected a writable folder"),
        ("file", "is not a folder"),
    ],
)
def test_a_release_storage_that_can_not_be_used_stops_the_start(own: Site, where: str, reason: str) -> None:
    (own.folder / "file").touch()
    done = own.command("serve", "--port", str(own.port), RELEASE_STORAGE=str(own.folder / where))
    assert done.returncode == 1
    assert "RELEASE_STORAGE: " in done.stderr
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


def test_an_upload_that_was_answered_outlives_a_killed_server(own: Site) -> None:
    """Whatever got an answer is there; what did not is there whole, or not at all; then it can be sent again."""
    acknowledged: dict[int, str] = {}
    for number in range(size(2, 4)):
        own.start()
        killed = threading.Event()

        def upload(first: int, killed: threading.Event = killed) -> None:
            with own.client("tpp") as tpp:
                for at in range(first, first + 200, 4):
                    if killed.is_set():
                        return
                    try:
                        while (answer := put(tpp, files(at))).status_code == 503:
                            time.sleep(0.05)  # a lock of the killed server is young
                    except httpx.TransportError:
                        return
                    assert answer.status_code == 201, answer.text
                    acknowledged[at] = answer.headers["X-Commit"]

        threads = [threading.Thread(target=upload, args=(1000 * number + at,)) for at in range(4)]
        for thread in threads:
            thread.start()
        enough = len(acknowledged) + 5 + 4 * number
        until(lambda enough=enough: len(acknowledged) > enough)  # type: ignore[misc]
        own.kill()
        killed.set()
        for thread in threads:
            thread.join()
    own.start()
    root = own.folder / "releases"

    def settled() -> bool:
        """Each upload settles what is left; none can while a branch's lock of the killed server is young."""
        with own.client("tpp") as tpp:
            put(tpp, files(9999))
        return not list((root / ".incoming").iterdir())

    until(settled)
    stored = {path.name for path in (root / "plain" / "tpp").iterdir()}
    assert {md5_of(files(number)) for number in acknowledged} <= stored
    recorded = own.git("log", "--format=%(trailers:key=Release,valueonly,separator=)", "backends/tpp").split()
    assert sorted(recorded) == sorted(stored)  # each once
    assert own.command("audit", "verify", "--releases", str(root)).returncode == 0
    with own.client("tpp") as tpp:
        assert {put(tpp, files(number)).status_code for number in acknowledged} == {303}
