"""Releases by Airlock's calls, as its own client makes them: asked for, uploaded with enough approvals, and read."""

import hashlib
from typing import Any

import httpx
import pytest

from jobserver.domain.base.permissions import Actor, ActorKind, Role
from jobserver.domain.outputs.airlock import RecordAirlockEvent
from jobserver.domain.outputs.commands import ReviewRelease
from jobserver.domain.projects import SetProjectMember
from jobserver.domain.users import ChangeUser, SetUserRoles
from jobserver.web.server.stream import UNREADABLE
from tests.integration.web.airlock.conftest import Place

TABLE, CHART = "output/table.csv", "output/chart.png"
CONTENTS = {TABLE: b"a,b\n1,2\n", CHART: b"\x89PNG"}


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def file(path: str, **values: Any) -> dict[str, Any]:
    """As Airlock's `FileMetadata`."""
    data = CONTENTS.get(path, b"")
    metadata = {"tool": "airlock", "airlock_id": "x"}
    date = "2026-11-24T09:00:00.123456+01:00"
    return {"name": path, "url": path, "size": len(data), "sha256": sha(data), "date": date, "metadata": metadata,
            "review": None, **values}  # fmt: skip


def ask(place: Place, release: str, *files: dict[str, Any], user: str = "dave", token: str = "token of tpp",
        workspace: str = "trends") -> httpx.Response:  # fmt: skip
    listed = list(files) or [file(TABLE), file(CHART)]
    data = {"files": listed, "metadata": {"tool": "airlock", "airlock_id": release}, "review": None}
    return place.call("POST", f"/releases/workspace/{workspace}", token, json=data, headers={"OS-User": user})


def upload(place: Place, release: str, path: str = TABLE, data: bytes | None = None, user: str = "dave",
           token: str = "token of tpp") -> httpx.Response:  # fmt: skip
    headers = {
        "OS-User": user,
        "Content-Disposition": f'attachment; filename="{path}"',
        "Content-Type": "application/octet-stream",
    }
    body = CONTENTS[path] if data is None else data
    return place.call("POST", f"/releases/release/{release}", token, content=body, headers=headers)


def reviewed(place: Place) -> str:
    """A request that carol and dave have reviewed in Airlock."""
    release = place.new_id()
    for event, person in (("submitted", "alice"), ("partially_reviewed", "carol"), ("reviewed", "dave")):
        assert place.tell(release, event, person).json() == {"status": "ok"}
    return release


def released(place: Place) -> str:
    release = reviewed(place)
    assert ask(place, release).status_code == 201
    place.tell(release, "approved", "dave")
    for path in CONTENTS:
        assert upload(place, release, path).status_code == 201
    place.tell(release, "released", "dave")
    return release


def listed(place: Place, path: str, token: str = "token of alice") -> list[dict[str, Any]]:
    reply = place.call("GET", path, token)
    assert reply.status_code == 200, reply.text
    files: list[dict[str, Any]] = reply.json()["files"]
    return files


def test_a_request_of_airlock_is_released(place: Place) -> None:
    release = reviewed(place)
    reply = ask(place, release)
    assert (reply.status_code, reply.headers["Release-Id"]) == (201, release)
    assert reply.json() == {
        "release_id": release,
        "release_url": f"http://jobs.example/trends/releases/{release}",
    }
    assert place.tell(release, "approved", "dave").json() == {"status": "ok"}
    first = upload(place, release)
    assert first.status_code == 201
    assert first.headers["Location"] == f"http://jobs.example/api/v2/releases/file/{first.headers['File-Id']}"
    assert upload(place, release, CHART).status_code == 201
    assert place.call("GET", f"/releases/file/{first.headers['File-Id']}", "token of alice").content == CONTENTS[TABLE]
    document = place.document(release)
    assert document.count("decision: approved") == 2  # of those who reviewed; dave once
    assert document.count("vouched_by: tpp") == 3
    assert "author: alice" in document
    assert "date: 2026-11-24T08:00:00.123456Z" in document


def test_everything_may_be_said_again(place: Place) -> None:
    release = released(place)
    tip = place.git("rev-parse", "backends/tpp")
    assert ask(place, release).json()["release_id"] == release
    again = upload(place, release)
    assert (again.status_code, again.json()) == (
        400,
        {"detail": f"This version of '{TABLE}' has already been uploaded from backend 'tpp'"},
    )
    place.tell(release, "released", "dave")
    assert place.git("rev-parse", "backends/tpp") == tip


def test_one_approval_is_not_enough(place: Place) -> None:
    release = place.new_id()
    place.tell(release, "submitted", "alice")
    place.tell(release, "partially_reviewed", "dave")
    ask(place, release)
    reply = upload(place, release)
    assert reply.status_code == 403
    assert "has 1 of 2 approvals (dave)" in reply.json()["detail"]
    place.tell(release, "reviewed", "carol")  # the event came late
    place.tell(release, "approved", "dave")
    assert upload(place, release).status_code == 201


def test_the_author_does_not_count_and_nobody_who_is_no_checker(place: Place) -> None:
    release = place.new_id()
    for event, person in (("submitted", "alice"), ("partially_reviewed", "alice"), ("reviewed", "bob")):
        place.tell(release, event, person)
    assert ask(place, release).status_code == 201
    assert "has 1 of 2 approvals (dave)" in upload(place, release).json()["detail"]


def test_a_checker_who_lost_the_role_counts_no_longer(place: Place) -> None:
    release = reviewed(place)
    ask(place, release)
    place.do(SetUserRoles("carol", ()))
    assert "carol may not approve outputs here now" in upload(place, release).json()["detail"]
    place.do(SetUserRoles("carol", (Role.OUTPUT_CHECKER,)))
    assert upload(place, release).status_code == 201


def test_who_may_not_use_the_backend_lets_nothing_out(place: Place) -> None:
    release = reviewed(place)
    ask(place, release)
    place.do(ChangeUser("dave", {"backends": ("emis",)}))
    for reply in (upload(place, release), ask(place, place.new_id())):
        assert (reply.status_code, reply.json()) == (403, {"detail": "dave may not use backend tpp: expected emis"})
    place.do(ChangeUser("dave", {"backends": None}))
    assert upload(place, release).status_code == 201


def test_a_release_without_events_is_that_of_who_lets_it_out(place: Place) -> None:
    release = place.new_id()
    assert ask(place, release).status_code == 201
    assert "author: dave" in place.document(release)
    assert "has 0 of 2 approvals" in upload(place, release).json()["detail"]


def test_a_call_without_an_id_gets_one(place: Place) -> None:
    data = {"files": [file(TABLE)], "metadata": {"tool": "osrelease"}, "review": None}
    reply = place.call("POST", "/releases/workspace/trends", json=data, headers={"OS-User": "dave"})
    assert reply.status_code == 201
    assert TABLE in place.document(reply.headers["Release-Id"])


def test_reviews_in_the_call_count_for_their_files(place: Place) -> None:
    release = reviewed(place)
    rejected = file(CHART, review={"status": "REJECTED", "comments": {"chart": "counts below 7"}})
    approved = file(TABLE, review={"status": "APPROVED", "comments": {}})
    assert ask(place, release, approved, rejected, user="erin").status_code == 201
    assert upload(place, release).status_code == 201
    assert "is rejected by erin" in upload(place, release, CHART).json()["detail"]
    assert "chart: counts below 7" in place.document(release)


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"path": "output/other.csv", "data": b"x"}, "File output/other.csv not requested in release {release}"),
        ({"data": b"other byt"}, "Contents of uploaded file does not match the file which a review was requested for"),
        ({"data": b"shorter"}, "Contents of uploaded file does not match the file which a review was requested for"),
        ({"data": b""}, "No data uploaded"),
        ({"token": "token of emis"}, "Release is from backend tpp not emis"),
        ({"data": b"x" * (16 * 1024 * 1024 + 1)}, "File is too large, it must be below 16.0Mb"),
    ],
)
def test_a_wrong_upload_is_400_with_job_servers_words(place: Place, change: dict[str, Any], detail: str) -> None:
    release = reviewed(place)
    ask(place, release)
    reply = upload(place, release, **change)
    assert (reply.status_code, reply.json()) == (400, {"detail": detail.format(release=release)})
    assert "uploaded:" not in place.document(release)


@pytest.mark.parametrize("header", ["", "attachment; filename*=idna''a"])
def test_the_name_of_an_upload_is_needed(place: Place, header: str) -> None:
    release = reviewed(place)
    ask(place, release)
    headers = {"OS-User": "dave", **({"Content-Disposition": header} if header else {})}
    reply = place.call("POST", f"/releases/release/{release}", content=b"x", headers=headers)
    assert (reply.status_code, "Content-Disposition is missing" in reply.json()["detail"]) == (400, True)


@pytest.mark.parametrize("user", ["", "ghost", "alice"])
def test_who_uploads_must_be_a_user_with_the_permission(place: Place, user: str) -> None:
    release = reviewed(place)
    ask(place, release)
    for reply in (ask(place, place.new_id(), user=user), upload(place, release, user=user)):
        assert reply.status_code == 403
        assert "OS-User not valid" in reply.json()["detail"]


def test_unknown_things_are_404_with_a_detail(place: Place) -> None:
    assert ask(place, place.new_id(), workspace="nowhere").status_code == 404
    assert upload(place, "01J0000000000000000000NONE").json()["detail"] == (
        "Release 01J0000000000000000000NONE does not exist"
    )
    for path in ("/releases/release/x", "/releases/file/x-0", "/releases/file/x", "/releases/workspace/nowhere"):
        reply = place.call("GET", path, "token of alice")
        assert (reply.status_code, "does not exist" in reply.json()["detail"]) == (404, True)


def test_other_files_for_the_same_release_are_refused(place: Place) -> None:
    release = reviewed(place)
    ask(place, release)
    for other in (
        [file(TABLE)],
        [file(TABLE), file(CHART), file("more.csv")],
        [file(TABLE, sha256="0" * 64), file(CHART)],
    ):
        reply = ask(place, release, *other)
        assert (reply.status_code, reply.json()) == (
            400,
            {"detail": f"Requested files do not match files in existing release {release}"},
        )


@pytest.mark.parametrize(
    ("files", "detail"),
    [
        ([], "expected a list of files"),
        ([{}], "files[0].name: required; files[0].sha256: required"),
        ([file("../x")], "has an empty part, . or .."),
        ([file("/etc/passwd")], "is not relative"),
        ([file("a\\b")], "is not relative, or has a backslash"),
        ([file("C:/x")], "is not relative"),
        ([file("a"), file("a")], "files[1].name: 'a' is in the list twice"),
        ([file("a/b"), file("a/B")], "are the same file on some systems"),
        ([file(TABLE, sha256="x")], "files[0].sha256: expected a SHA-256"),
        ([file(TABLE, size=-1)], "files[0].size: expected at least 0"),
        ([file(TABLE, size="7")], "files[0].size"),
        ([file(TABLE, size=17 * 1024 * 1024)], f"files[0].size: File size should be <16Mb. {TABLE} is 17.0Mb"),
        ([file(TABLE, date="yesterday")], "files[0].date: expected a time such as"),
        ([file(TABLE, date="2026-11-24T09:00:00")], "files[0].date: a time needs a time zone"),
        ([file(TABLE, review={"status": "MAYBE", "comments": {}})], "expected one of: APPROVED, REJECTED"),
        ([file(f"f{number}") for number in range(10_001)], "10001 files, and the limit is 10000"),
        ("all", "expected a list of files, found text"),
    ],
)
def test_a_wrong_list_of_files_is_refused_with_every_fault(place: Place, files: Any, detail: str) -> None:
    release = place.new_id()
    data = {"files": files, "metadata": {"airlock_id": release}, "review": None}
    reply = place.call("POST", "/releases/workspace/trends", json=data, headers={"OS-User": "dave"})
    assert (reply.status_code, detail in reply.json()["detail"]) == (400, True), reply.text
    assert release not in place.git("ls-tree", "-r", "--name-only", "backends/tpp")


def test_files_are_listed_as_job_server_does(place: Place) -> None:
    first, second = released(place), reviewed(place)
    assert ask(place, second, file(TABLE), file("later.csv")).status_code == 201
    assert upload(place, second).status_code == 201
    files = listed(place, f"/releases/release/{first}")
    assert [item["name"] for item in files] == [TABLE, CHART]
    assert files[0] == {
        "name": TABLE,
        "id": f"{first}-0",
        "url": f"http://jobs.example/api/v2/releases/file/{first}-0",
        "user": "dave",
        "date": files[0]["date"],
        "sha256": sha(CONTENTS[TABLE]),
        "size": len(CONTENTS[TABLE]),
        "is_deleted": False,
        "backend": "tpp",
        "metadata": {"airlock_id": first},
        "review": None,
    }
    newest = {item["name"]: item["id"] for item in listed(place, "/releases/workspace/trends")}
    assert newest[f"tpp/{TABLE}"] == f"{second}-0"
    assert newest[f"tpp/{CHART}"] == f"{first}-1"
    assert "tpp/later.csv" not in newest
    reply = place.call("GET", f"/releases/file/{second}-1", "token of alice")
    assert (reply.status_code, reply.json()) == (404, {"detail": "File not yet uploaded"})


def test_people_read_with_a_token_or_their_name_and_token(place: Place) -> None:
    release = released(place)
    url = f"/releases/file/{release}-0"
    assert place.call("GET", url, "alice:token of alice").content == CONTENTS[TABLE]
    assert place.call("GET", url, "bob:token of alice").status_code == 403
    assert place.call("GET", url, "ghost:token of alice").status_code == 403
    assert place.call("GET", url, "token of bob").status_code == 403  # not a member of the project
    assert place.call("GET", url, "token of tpp").status_code == 403
    reply = place.call("GET", url, "token of alice")
    assert reply.headers["Content-Disposition"].startswith('attachment; filename="table.csv"')
    assert reply.headers["Content-Type"] == "application/octet-stream"


def test_a_person_reviews_by_the_call_of_job_server(place: Place) -> None:
    release = place.new_id()
    place.tell(release, "submitted", "alice")
    ask(place, release, user="dave")
    approved = file(TABLE, review={"status": "APPROVED", "comments": {"a": "fine"}})
    data = {"files": [approved], "metadata": {}, "review": {"all": "well done"}}
    path = f"/releases/release/{release}/reviews"
    assert place.call("POST", path, "token of carol", json=data).status_code == 200
    assert place.call("POST", path, "token of carol", json=data).status_code == 200
    assert place.document(release).count("by: carol") == 1
    assert upload(place, release).status_code == 201
    for item, detail in (
        (file("other", review={"status": "APPROVED", "comments": {}}), "Unknown file other"),
        (file(TABLE, sha256="0" * 64, review={"status": "APPROVED", "comments": {}}), "Expected sha "),
    ):
        reply = place.call("POST", path, "token of carol", json={"files": [item], "metadata": {}, "review": None})
        assert (reply.status_code, detail in reply.json()["detail"]) == (400, True)
    assert place.call("POST", path, "token of alice", json=data).status_code == 403
    assert place.call("POST", path, "token of tpp", json=data).status_code == 403


def test_who_may_not_review_learns_nothing_of_the_files(place: Place) -> None:
    release = reviewed(place)
    ask(place, release)
    wrong = file(TABLE, sha256="0" * 64, review={"status": "APPROVED", "comments": {}})
    for data in ({"files": [wrong], "metadata": {}, "review": None}, {}, {"files": [file("other")]}):
        for person in ("alice", "bob"):
            reply = place.call("POST", f"/releases/release/{release}/reviews", f"token of {person}", json=data)
            assert (reply.status_code, reply.json()) == (
                403,
                {"detail": f"{person} may not approve outputs of trends"},
            )


def test_a_snapshot_asks_for_publication_once(place: Place) -> None:
    release = released(place)
    ids = {"file_ids": [f"{release}-0"]}
    for path in ("/workspaces/trends/snapshots/create", "/workspaces/trends/snapshots"):
        reply = place.call("POST", path, "token of alice", json=ids)
        assert (reply.status_code, reply.json()) == (
            201,
            {"url": f"http://jobs.example/trends/releases/{release}"},
        )
    assert place.document(release).count("requested:") == 1
    path = "/workspaces/trends/snapshots/create"
    assert place.call("POST", path, "token of bob", json=ids).status_code == 403
    unknown = {"file_ids": [f"{release}-9", "x"]}
    assert place.call("POST", path, "token of alice", json=unknown).json() == {
        "detail": f"Unknown file IDs: {release}-9, x"
    }
    assert place.call("POST", path, "token of alice", json={"file_ids": []}).status_code == 400
    other = released(place)
    several = {"file_ids": [f"{release}-0", f"{other}-0"]}
    assert "several releases" in place.call("POST", path, "token of alice", json=several).json()["detail"]


def test_a_collaborator_may_look_but_not_ask(place: Place) -> None:
    place.do(SetProjectMember("lab/trends", "bob", (Role.PROJECT_COLLABORATOR,)))
    release = released(place)
    assert len(listed(place, f"/releases/release/{release}", "token of bob")) == 2
    reply = place.call(
        "POST", "/workspaces/trends/snapshots/create", "token of bob", json={"file_ids": [f"{release}-0"]}
    )
    assert reply.status_code == 403
    place.do(SetProjectMember("lab/trends", "bob", ()))


def test_a_name_that_http_cannot_carry_is_known_by_its_contents(place: Place) -> None:
    """Headers are ASCII: the HTTP server passes no other on."""
    release, names = place.new_id(), ("output/größe.csv", "output/größe 2.csv")
    for event, person in (("submitted", "alice"), ("partially_reviewed", "carol"), ("reviewed", "dave")):
        assert place.tell(release, event, person).json() == {"status": "ok"}
    same = [file(name, size=3, sha256=sha(b"abc")) for name in names]
    assert ask(place, release, *same, file("output/über.csv", size=1, sha256=sha(b"x"))).status_code == 201
    headers = {"OS-User": "dave", "Authorization": "token of tpp"}

    def send(data: bytes) -> httpx.Response:
        def passed(environ: dict[str, Any], start: Any) -> Any:
            return place.server.wsgi({**environ, "HTTP_CONTENT_DISPOSITION": UNREADABLE}, start)

        with httpx.Client(transport=httpx.WSGITransport(app=passed), base_url="http://jobs.example") as airlock:
            return airlock.post(f"/api/v2/releases/release/{release}", content=data, headers=headers)

    assert [send(b"abc").headers["File-Id"] for _ in names] == [f"{release}-0", f"{release}-1"]
    assert "already been uploaded" in send(b"abc").json()["detail"]
    assert send(b"x").headers["File-Id"] == f"{release}-2"
    assert send(b"y").json() == {"detail": "Content-Disposition is not ASCII: send the name as filename*=UTF-8''..."}


def test_another_backend_does_not_get_the_address_of_a_release(place: Place) -> None:
    """By asking for one with the same id, it would take a published file from its readers."""
    release = released(place)
    upload(place, release)
    taken = ask(place, release, token="token of emis")
    assert (taken.status_code, taken.json()) == (400, {"detail": f"Release {release} is from backend tpp not emis"})
    event = RecordAirlockEvent("emis", "trends", release, "submitted", "alice", "alice")
    place.do(event, Actor(ActorKind.BACKEND, "emis"))  # as if it had come to a server that did not know the other yet
    assert "backend: emis" in place.document(release, "emis")
    files = place.call("GET", f"/releases/release/{release}", "token of carol").json()["files"]
    assert {file["backend"] for file in files} == {"tpp"}
    got = place.call("GET", f"/releases/file/{release}-0", "token of carol")
    assert (got.status_code, got.content) == (200, CONTENTS[TABLE])


def test_what_a_person_decides_on_the_server_outlasts_a_repeated_call(place: Place) -> None:
    release = reviewed(place)
    ask(place, release)
    name = ("tpp", "trends", release)
    place.do(ReviewRelease(*name, "carol", "rejected", "a small number"), Actor(ActorKind.USER, "carol"))
    assert ask(place, release).status_code == 201
    assert "is rejected by carol" in upload(place, release).json()["detail"]
    place.do(ReviewRelease(*name, "erin", "returned"), Actor(ActorKind.USER, "erin"))
    assert ask(place, release).status_code == 201
    assert "has 0 of 2 approvals" in upload(place, release).json()["detail"]
