"""Who comes in, how a session begins and ends, whose forms are taken, and how guessing is slowed down."""

import httpx
import pytest

from tests.e2e.harness import Site, until
from tests.e2e.pages.browser import Browser
from tests.samples import only_whole


def test_forms_of_others_and_old_ones_are_refused(site: Site, alice: Browser) -> None:
    token = alice.token(alice.get("/plain/"))
    fields = {"form": token, "requested_actions": "generate", "backend": "tpp"}
    before = site.count()
    assert alice.post("/plain/", data={**fields, "form": "wrong"}).status_code == 403
    assert alice.post("/plain/", data={"requested_actions": "generate", "backend": "tpp"}).status_code == 403
    assert alice.post("/plain/", data=fields, headers={"Origin": "https://evil.example"}).status_code == 403
    assert alice.post("/plain/", data=fields, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    with Browser(site, "bob") as bob:
        assert bob.post("/plain/", data=fields).status_code == 403  # alice's form, in bob's browser
    assert site.count() == before
    assert alice.post("/plain/", data=fields).status_code == 303


def test_a_session_ends_by_logging_out_and_a_forged_one_is_none(site: Site) -> None:
    with Browser(site, "carol") as carol:
        cookie = carol.cookies["jobserver-session"]
        assert carol.get("/").status_code == 200
        assert carol.submit("/logout/", page="/").status_code == 303
        assert carol.get("/", headers={"Cookie": f"jobserver-session={cookie}"}).status_code == 303  # also a copy of it
        forged = cookie[:-3] + "abc"
        assert carol.get("/", headers={"Cookie": f"jobserver-session={forged}"}).status_code == 303
    site.run("user", "add", "dave")
    with Browser(site, "dave") as dave:
        assert dave.get("/").status_code == 200
        site.run("user", "disable", "dave")
        until(lambda: dave.get("/").status_code == 303, 5)
    assert site.command("user", "login-link", "dave").returncode == 1


def test_a_link_works_once_and_looking_does_not_use_it_up(site: Site) -> None:
    link = site.run("user", "login-link", "bob")
    with Browser(site, None) as first, Browser(site, None) as other:
        for _ in range(3):
            assert first.get(link).status_code == 200
        token = first.token(first.get(link))
        assert first.post(link, data={"form": token}).status_code == 303
        assert first.get("/").status_code == 200
        assert other.get(link).status_code == 410
        assert other.post(link, data={"form": token}).status_code == 410
        assert other.get("/login/link/nonsense/").status_code == 404


def test_a_log_in_leads_only_to_our_own_pages(site: Site) -> None:
    for wanted in ("https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"):
        with Browser(site, None) as browser:
            browser.get("/login/", params={"next": wanted})
            link = site.run("user", "login-link", "alice")
            answer = browser.post(link, data={"form": browser.token(browser.get(link))})
            assert answer.headers["Location"] == "/", wanted


def test_guessing_is_slowed_down(tmp_path_factory: pytest.TempPathFactory) -> None:
    own = Site(tmp_path_factory.mktemp("guessing"))
    own.start()
    try:
        answers = [own.get(f"/login/link/guess{number}/").status_code for number in range(12)]
        assert answers[:10] == [404] * 10
        assert answers[-1] == 429
    finally:
        own.stop()


@only_whole
def test_wrong_tokens_are_slowed_down_and_nobody_else_is(tmp_path_factory: pytest.TempPathFactory) -> None:
    own = Site(tmp_path_factory.mktemp("tokens"))
    own.start()
    try:
        with own.client("tpp") as tpp, httpx.Client(base_url=own.url) as guesser:
            assert tpp.get("/api/v2/job-requests/").status_code == 200
            path, header = "/api/v2/job-requests/", "Authorization"
            answers = [guesser.get(path, headers={header: f"guess{n}"}).status_code for n in range(110)]
            assert answers[:100] == [403] * 100
            assert answers[100:] == [429] * 10
            slow = guesser.get(path, headers={header: own.tokens["alice"]})
            assert slow.status_code == 429  # a right guess tells nothing
            assert slow.json()["detail"].endswith(f": try again in {slow.headers['Retry-After']} s")
            assert guesser.get("/state.git/info/refs?service=git-upload-pack", auth=("x", "guess")).status_code == 429
            assert tpp.get(path).status_code == 200  # behind the same address, known before
            assert guesser.get("/health-check/").status_code == 200
    finally:
        own.stop()


def test_a_session_is_as_good_as_a_token_but_not_from_elsewhere(site: Site, alice: Browser) -> None:
    assert alice.get("/api/v2/users/alice/").status_code == 200
    path = "/api/v2/workspaces/plain/job-requests/"
    body = {"requested_actions": ["generate"], "backend": "tpp"}
    assert alice.post(path, json=body).status_code == 403
    assert alice.post(path, json=body, headers={"Origin": "https://evil.example"}).status_code == 403
    before = site.count()
    assert alice.post(path, json=body, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert site.count() == before
    assert alice.post(path, json=body, headers={"Origin": site.url}).status_code == 201
    alice.submit("/logout/", page="/settings/")
    assert alice.get("/api/v2/users/alice/").status_code == 403
