"""GET /api/v2/job-requests/ as runners of both generations call it: who sees what, shapes, ETags, waiting."""

import threading
from typing import Any

import httpx
import pytest

from tests.e2e.harness import TLS, Client, Site, job, only, until

LIST = "/api/v2/job-requests/"
PRIVATE = [
    ("GET", LIST),
    ("GET", "/api/v2/job-requests/2222222222222222/"),
    ("POST", "/api/v2/job-requests/2222222222222222/cancel/"),
    ("POST", "/api/v2/jobs/"),
    ("GET", "/api/v2/users/alice/"),
    ("GET", "/api/v2/workspaces/plain/statuses/"),
    ("POST", "/api/v2/workspaces/plain/job-requests/"),
]


@pytest.mark.parametrize(("method", "path"), PRIVATE)
@pytest.mark.parametrize(
    ("header", "detail"),
    [
        (None, "Authorization header is missing"),
        ("", "Authorization header is empty"),
        ("nonsense", "Invalid token"),
        ("Bearer nonsense", "Invalid token"),
    ],
)
def test_without_a_good_token_it_is_403(site: Site, method: str, path: str, header: str | None, detail: str) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = httpx.request(method, site.url + path, headers=headers, verify=TLS)
    assert (answer.status_code, answer.json()) == (403, {"detail": detail})


@pytest.mark.parametrize(("method", "path"), PRIVATE)
def test_a_wrong_method_is_405_but_only_with_a_token(site: Site, tpp: Client, method: str, path: str) -> None:
    wrong = "PUT" if method == "GET" else "DELETE"
    assert httpx.request(wrong, site.url + path, verify=TLS).status_code == 403
    answer = tpp.request(wrong, path)
    assert (answer.status_code, method in answer.headers["Allow"].split(", ")) == (405, True)


def test_a_missing_slash_is_301_on_get_and_keeps_the_query(tpp: Client) -> None:
    answer = tpp.get("/api/v2/job-requests?limit=1")
    assert (answer.status_code, answer.headers["Location"]) == (301, LIST + "?limit=1")


def test_an_item_has_the_keys_of_both_generations(site: Site, tpp: Client) -> None:
    identifier = site.ask("analyse", workspace="grouped")
    item = next(one for one in tpp.get(LIST).json()["results"] if one["identifier"] == identifier)
    created = item.pop("created_at")
    workspace = item.pop("workspace")
    assert item == {
        "identifier": identifier,
        "backend": "tpp",
        "sha": site.sha,
        "commit_subject": "a study",
        "created_by": "alice",
        "requested_actions": ["analyse"],
        "cancelled_actions": [],
        "force_run_dependencies": False,
        "codelists_ok": True,
        "database_name": "full",
        "project": "trends",
        "orgs": ["datalab"],
    }
    assert set(workspace) == {"name", "repo", "branch", "db", "created_by", "created_at"}
    for time in (created, workspace["created_at"]):
        assert len(time) == len("2021-05-30T10:00:00.123456Z")
        assert time.endswith("Z")


def test_the_list_is_of_all_newest_first_and_pages_when_asked(site: Site, alice: Client) -> None:
    ids = [site.ask(backend="emis") for _ in range(3)][::-1]
    whole = alice.get(LIST, params={"backend": "emis"}).json()
    assert set(whole) == {"count", "next", "previous", "results"}
    assert (whole["next"], whole["previous"]) == (None, None)
    assert only([item["identifier"] for item in whole["results"]], *ids) == ids
    seen: list[str] = []
    url: str | None = f"{site.url}{LIST}?backend=emis&limit=2"
    while url:
        assert "?backend=emis&" in url
        page = alice.get(url).json()
        assert page["count"] == whole["count"]
        seen += [item["identifier"] for item in page["results"]]
        last, url = page, page["next"]
    assert seen == [item["identifier"] for item in whole["results"]]
    assert last["previous"].startswith(f"{site.url}{LIST}?")


@pytest.mark.parametrize("value", ["", "x", "-1", "0", "99999999999999999999", "1.5"])
def test_nonsense_for_a_number_counts_as_not_given(alice: Client, value: str) -> None:
    assert alice.get(LIST, params={"limit": value, "offset": value}).json()["next"] is None


def test_a_backend_sees_its_own_only(site: Site, tpp: Client, alice: Client) -> None:
    mine, theirs = site.ask(), site.ask(backend="emis")
    assert only(tpp.listed(), mine, theirs) == [mine]
    assert only(tpp.listed(backend="tpp"), mine, theirs) == [mine]
    answer = tpp.get(LIST, params={"backend": "emis"})
    assert answer.status_code == 403
    assert "emis" in answer.json()["detail"]
    assert tpp.get(f"{LIST}{theirs}/").status_code == 404
    assert only(alice.listed(), mine, theirs) == [theirs, mine]
    assert only(alice.listed(backend="emis"), mine, theirs) == [theirs]


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        (LIST, "project=nope", "project"),
        (LIST, "backend=tpp&%C3%A9%FF=1", "é\ufffd"),
        (LIST, "backend=nope", "backend"),
        (LIST, "backend=%00", "backend"),
        ("/api/v2/workspaces/plain/statuses/", "backend=nope", "backend"),
        ("/api/v2/workspaces/plain/statuses/", "action=generate", "action"),
        ("/api/v2/workspaces/plain/statuses/", "field=status_code", "field"),
        ("/api/v2/users/alice/", "org=x", "org"),
    ],
)
def test_a_filter_that_is_unknown_or_names_nothing_is_refused(alice: Client, path: str, query: str, field: str) -> None:
    """Left out, it would show what nobody asked for."""
    answer = alice.get(f"{path}?{query}")
    assert (answer.status_code, list(answer.json())) == (400, [field])


def test_a_bad_token_is_told_before_bad_filters(site: Site, tpp: Client) -> None:
    assert site.get(f"{LIST}?project=nope").status_code == 403
    assert tpp.get(f"{LIST}?backend=nope").status_code == 403
    assert tpp.get(f"{LIST}?backend=&project=nope").status_code == 400


def test_an_etag_changes_with_the_list_and_not_with_a_report(site: Site, tpp: Client) -> None:
    identifier = site.ask()
    first = tpp.get(LIST)
    etag = first.headers["ETag"]
    assert etag.startswith('"')
    again = tpp.get(LIST, headers={"If-None-Match": etag})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", etag)
    assert tpp.report(job(identifier, f"{identifier}a")).status_code == 200
    assert tpp.get(LIST, headers={"If-None-Match": f'"x", W/{etag}'}).status_code == 304
    site.ask()
    changed = tpp.get(LIST, headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != etag


def test_a_waiting_poll_is_answered_by_a_change(site: Site, tpp: Client) -> None:
    etag = tpp.get(LIST).headers["ETag"]
    answers: list[httpx.Response] = []

    def poll() -> None:
        with site.client("tpp") as client:
            answers.append(client.get(LIST, headers={"If-None-Match": etag, "Prefer": "wait=50"}))

    threads = [threading.Thread(target=poll) for _ in range(5)]
    for thread in threads:
        thread.start()
    until(lambda: f"jobserver_held_polls {len(threads)}.0" in site.get("/metrics").text)
    identifier = site.ask()
    for thread in threads:
        thread.join()
    for answer in answers:
        assert answer.status_code == 200
        assert answer.headers["Preference-Applied"] == "wait=50"
        assert answer.json()["results"][0]["identifier"] == identifier


def test_a_part_of_the_list_can_be_waited_for_too(site: Site, tpp: Client) -> None:
    first = site.ask()
    part = f"{LIST}?limit=1"
    etag = tpp.get(part).headers["ETag"]
    answer = tpp.get(part, headers={"If-None-Match": etag, "Prefer": "wait=1"})
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (304, "wait=1")
    assert answer.elapsed.total_seconds() >= 1
    answers: list[httpx.Response] = []

    def poll() -> None:
        with site.client("tpp") as client:
            answers.append(client.get(part, headers={"If-None-Match": etag, "Prefer": "wait=50"}))

    thread = threading.Thread(target=poll)
    thread.start()
    until(lambda: "jobserver_held_polls 1.0" in site.get("/metrics").text)
    second = site.ask()
    thread.join()
    assert [item["identifier"] for item in answers[0].json()["results"]] == [second]
    assert second != first


def test_a_waiting_poll_ends_with_304_after_its_time(tpp: Client) -> None:
    etag = tpp.get(LIST).headers["ETag"]
    answer = tpp.get(LIST, headers={"If-None-Match": etag, "Prefer": "respond-async, wait=1"})
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (304, "wait=1")
    assert answer.elapsed.total_seconds() >= 1


@pytest.mark.parametrize(
    "headers", [{"Prefer": "wait=50"}, {"Prefer": "wait=50", "If-None-Match": '"old"'}, {"Prefer": "wait=x"}]
)
def test_a_poll_without_the_present_etag_is_answered_at_once(tpp: Client, headers: dict[str, str]) -> None:
    assert tpp.get(LIST, headers=headers).status_code == 200


def test_a_poll_of_more_than_50_seconds_counts_as_50(tpp: Client) -> None:
    answer = tpp.get(LIST, headers={"Prefer": "wait=5000", "If-None-Match": '"old"'})
    assert answer.headers["Preference-Applied"] == "wait=50"


@pytest.mark.parametrize("scheme", ["", "Bearer ", "bearer "])
def test_a_token_may_stand_alone_or_after_bearer(site: Site, scheme: str) -> None:
    headers = {"Authorization": scheme + site.tokens["alice"]}
    assert site.get(LIST, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "flags",
    [
        '{"last-seen-at": {"v": "2026-11-24T10:00:00Z", "ts": null}, "paused": {"v": null, "ts": null}}',
        "{",
        "[1]",
        "[" * 5000,
        "\u00e9",
    ],
)
def test_flags_never_stop_a_call(tpp: Client, flags: str) -> None:
    assert tpp.get(LIST, headers=[(b"Flags", flags.encode("latin-1"))]).status_code == 200


def test_an_unknown_url_is_404_in_json(site: Site) -> None:
    for path in ("/api/v2/nowhere/", "/a/b/c/d/e"):
        answer: Any = site.get(path)
        assert answer.status_code == 404
        assert answer.json() == {"detail": "Not found"}


def test_an_id_that_is_no_utf_8_is_nobody_s(site: Site, alice: Client) -> None:
    path = "/api/v2/job-requests/%ff/"
    assert site.get(path).status_code == 403  # strangers learn nothing of ids
    answer = alice.get(path)
    assert answer.status_code == 404
    assert "does not exist" in answer.json()["detail"]


def test_one_request_can_be_waited_for(site: Site, tpp: Client, alice: Client) -> None:
    identifier = site.ask()
    url = f"{LIST}{identifier}/"
    etag = alice.get(url).headers["ETag"]
    assert etag.startswith('W/"')
    assert alice.get(url, headers={"If-None-Match": etag}).status_code == 304
    answers: list[httpx.Response] = []

    def poll() -> None:
        with site.client("alice") as client:
            answers.append(client.get(url, headers={"If-None-Match": etag, "Prefer": "wait=50"}))

    thread = threading.Thread(target=poll)
    thread.start()
    until(lambda: "jobserver_held_polls 1.0" in site.get("/metrics").text)
    other = site.ask()  # another request's change does not end the wait
    tpp.report(job(other, f"{other}a"))
    assert thread.is_alive()
    tpp.report(job(identifier, f"{identifier}a"))
    thread.join()
    assert (answers[0].status_code, answers[0].headers["Preference-Applied"]) == (200, "wait=50")
    assert (answers[0].json()["status"], answers[0].headers["ETag"] != etag) == ("running", True)
    again = alice.get(url, headers={"If-None-Match": answers[0].headers["ETag"], "Prefer": "wait=1"})
    assert (again.status_code, again.headers["ETag"]) == (304, answers[0].headers["ETag"])
    assert again.elapsed.total_seconds() >= 1
