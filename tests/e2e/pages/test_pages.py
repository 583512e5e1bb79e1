"""The pages over plain HTTP: who may see them, what forms do, what is refused; nothing here needs JavaScript."""

import re
from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.harness import Site, job, until

HOSTILE = "<script>alert(1)</script>"


class Browser(httpx.Client):
    """Somebody with a session and no JavaScript."""

    def __init__(self, site: Site, who: str | None) -> None:
        super().__init__(base_url=site.url, timeout=30)
        if who is not None:
            link = site.run("user", "login-link", who)
            page = self.get(link)
            assert page.status_code == 200, page.text
            answer = self.post(link, data={"form": self.token(page)})
            assert answer.status_code == 303, answer.text

    def __enter__(self) -> "Browser":
        return self  # it has called already

    def __exit__(self, *_: object) -> None:
        self.close()

    @staticmethod
    def token(page: httpx.Response) -> str:
        found = re.search(r'name="form" value="([^"]+)"', page.text)
        assert found, page.text
        return found[1]

    def submit(self, path: str, page: str | None = None, **fields: object) -> httpx.Response:
        token = self.token(self.get(page or path))
        return self.post(path, data={"form": token, **fields})


@pytest.fixture
def alice(site: Site) -> Iterator[Browser]:
    with Browser(site, "alice") as browser:
        yield browser


@pytest.fixture
def root(site: Site) -> Iterator[Browser]:
    with Browser(site, "root") as browser:
        yield browser


PAGES = ["/", "/jobs/", "/status/", "/orgs/", "/orgs/datalab/", "/orgs/datalab/trends/", "/settings/", "/plain/",
         "/workspaces/new/", "/plain/audit/", "/backends/tpp/audit/", "/invitations/",
         "/orgs/datalab/trends/settings/", "/orgs/datalab/trends/audit/"]  # fmt: skip
ADMIN_PAGES = ["/backends/", "/backends/tpp/", "/users/", "/users/alice/", "/orgs/new/", "/orgs/datalab/new-project/"]


def test_every_page_needs_a_log_in_and_has_its_headers(site: Site, alice: Browser, root: Browser) -> None:
    with Browser(site, None) as nobody:
        for path in (*PAGES, *ADMIN_PAGES):
            answer = nobody.get(path)
            assert answer.status_code == 303, path
            assert answer.headers["Location"].startswith("/login/?next="), path
        for path in PAGES:
            answer = alice.get(path)
            assert answer.status_code == 200, (path, answer.text)
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "style=" not in answer.text
        for path in ADMIN_PAGES:
            assert alice.get(path).status_code == 403, path
            assert root.get(path).status_code == 200, path
        assert nobody.get("/login/").status_code == 200
        assert alice.get("/nothing-here/").status_code == 404
        assert alice.get("/job-requests/aaaaaaaaaaaaaaaa/").status_code == 404
        assert alice.get("/plain").headers["Location"] == "/plain/"
        assert alice.get("/job-requests/").headers["Location"] == "/jobs/"


def test_asking_watching_cancelling_and_running_again(site: Site, alice: Browser) -> None:
    answer = alice.submit("/plain/", requested_actions=["generate", "analyse"], backend="tpp", database_name="full")
    assert answer.status_code == 303, answer.text
    path = answer.headers["Location"]
    identifier = path.split("/")[2]
    assert "has not picked it up yet" in alice.get(path).text
    with site.client("tpp") as tpp:
        tpp.report(
            job(identifier, f"g{identifier}", "succeeded", 1),
            job(identifier, f"a{identifier}", "running", 1, action="analyse"),
        )
    page = alice.get(path).text
    assert "Running" in page
    assert f'href="/jobs/a{identifier}/"' in page
    assert alice.get(f"/jobs/a{identifier}/").status_code == 200
    answer = alice.submit(f"{path}cancel/", page=path, actions="analyse")
    assert answer.status_code == 303
    assert "Cancel requested" in alice.get(path).text
    with site.client("tpp") as tpp:
        failed = job(identifier, f"a{identifier}", "failed", 2, action="analyse", status_code="nonzero_exit")
        tpp.report(job(identifier, f"g{identifier}", "succeeded", 1), failed)
    page = alice.get(path).text
    assert "Rerun what failed" in page
    assert "ended with an error" in page
    again = alice.submit(f"{path}rerun/", page=path, what="failed")
    assert again.status_code == 303
    with site.client("alice") as api:
        item = api.get(f"/api/v2{again.headers['Location']}").json()
    assert item["requested_actions"] == ["analyse"]
    audit = alice.get(f"{path}audit/").text
    assert "alice requested generate, analyse on plain" in audit
    assert audit.count("its signature verifies") == 4
    first = re.findall(r"\?at=([0-9a-f]{40})", audit)[-1]
    then = alice.get(f"{path}?at={first}").text
    assert "This is how it was at" in then
    assert "has not picked it up yet" in then
    assert alice.get(f"{path}?at=nonsense").status_code == 400
    assert alice.get(f"/jobs/?q={identifier[:10]}").headers["Location"] == path


def test_the_event_log_filters_counts_and_pages(site: Site, alice: Browser) -> None:
    for _ in range(27):
        site.ask("generate", workspace="slashed")
    page = alice.get("/jobs/?workspace=slashed").text
    assert page.count('<li class="run">') == 25
    older = re.search(r'href="(/jobs/\?[^"]*before=[^"]+)"', page)
    assert older
    rest = alice.get(older[1].replace("&amp;", "&")).text
    assert rest.count('<li class="run">') == 2
    assert "Nothing matches" in alice.get("/jobs/?workspace=slashed&status=succeeded").text
    assert alice.get("/jobs/?status=nonsense&backend=x&q=%00&before=9.x").status_code == 200
    assert "slashed" in alice.get("/jobs/?q=gener").text
    for field in ("status", "backend", "workspace", "username", "before"):
        for value in ("nonsense", "\x00", "-1", "é" * 300, "[]"):
            assert alice.get("/jobs/", params={field: value}).status_code == 200, (field, value)
    own = alice.get("/slashed/logs/").text
    assert own.count('<li class="run">') == 25
    assert "27 requests" in own
    older = re.search(r'href="(/slashed/logs/\?[^"]*before=[^"]+)"', own)
    assert older
    assert alice.get(older[1].replace("&amp;", "&")).text.count('<li class="run">') == 2
    assert alice.get("/plain/logs/?workspace=slashed").text.count("/slashed/") == 0
    assert alice.get("/nowhere/logs/").status_code == 404


def test_the_box_takes_identifiers_of_requests_and_jobs(site: Site, alice: Browser) -> None:
    identifier = site.ask("generate")
    with site.client("tpp") as tpp:
        tpp.report(
            job(identifier, "zyxw2345", "running", 1), job(identifier, "zyxw6789", "running", 1, action="analyse")
        )
    for typed, where in (
        (identifier, f"/job-requests/{identifier}/"),
        (identifier[:-2].upper(), f"/job-requests/{identifier}/"),
        ("zyxw2345", "/jobs/zyxw2345/"),
        ("zyxw23", "/jobs/zyxw2345/"),
    ):
        answer = alice.get("/jobs/", params={"q": typed})
        assert (answer.status_code, answer.headers.get("Location")) == (303, where), typed
    both = alice.get("/jobs/?q=zyxw")
    assert both.status_code == 200
    assert f'href="/job-requests/{identifier}/"' in both.text
    for unknown in ("nnnn", "n" * 16, "zyxw23450"):
        answer = alice.get("/jobs/", params={"q": unknown})
        assert (answer.status_code, "Nothing matches" in answer.text) == (200, True)
        assert alice.get(f"/jobs/{unknown}/").status_code == 404
    assert alice.get("/jobs/zyxw23/").headers["Location"] == "/jobs/zyxw2345/"


def test_what_would_run_is_said_without_javascript(site: Site, alice: Browser) -> None:
    before = site.count("backends/emis")
    choice = {"requested_actions": "report", "backend": "emis", "database_name": "full"}
    answer = alice.submit("/grouped/", what="preview", **choice)
    assert answer.status_code == 303
    where = answer.headers["Location"]
    assert where.startswith("/grouped/?requested_actions=report&backend=emis")
    said = re.sub(r"<[^>]*>|\s+", " ", alice.get(where).text)
    said = re.sub(r" +", " ", said)
    assert "3 jobs would run on emis now" in said
    assert "Needed by them generate analyse" in said
    assert site.count("backends/emis") == before
    identifier = site.ask("generate", backend="emis", workspace="grouped")
    with site.client("emis") as emis:
        emis.report(job(identifier, f"p{identifier}", "succeeded", 1)).raise_for_status()
    assert "2 jobs would run" in alice.get(where).text
    assert "Not again: succeeded before" in alice.get(where).text
    assert "3 jobs would run" in alice.get(where.replace("#", "&force_run_dependencies=on#")).text
    assert "3 jobs would run" in alice.get(where.replace("emis", "tpp")).text  # another backend has not run it


def test_branches_are_looked_up_without_javascript(site: Site, alice: Browser) -> None:
    count = site.count("main")
    page = alice.submit("/workspaces/new/", what="branches", name="half-done", repo="study", branch="x", db="full")
    assert page.status_code == 200
    assert '<option value="feature/slashes">' in page.text
    assert '<option value="study">' in page.text  # offered
    assert 'value="half-done"' in page.text
    page = alice.submit("/workspaces/new/", what="branches", repo="../secret")
    assert "no repository that can be used" in page.text
    assert site.count("main") == count


def test_a_run_is_compared_and_each_thing_has_its_record(site: Site, alice: Browser) -> None:
    first, second, third = (site.ask("generate", backend="emis", workspace="slashed") for _ in range(3))
    with site.client("emis") as emis:
        emis.report(job(first, f"c{first}", "succeeded", 1), job(second, f"c{second}", "failed", 1)).raise_for_status()
    page = alice.get(f"/job-requests/{third}/").text
    assert f'<a href="/job-requests/{second}/">the previous run</a>' in page
    assert f'<a href="/job-requests/{first}/">the previous one that succeeded</a>' in page
    record = alice.get(f"/jobs/c{second}/audit/").text
    assert "emis reported" in record
    assert "alice requested" not in record  # of the request, not of the job
    assert alice.get("/jobs/nowhere/audit/").status_code == 404
    assert "?at=" in alice.get("/slashed/audit/").text
    sha = re.findall(r"/slashed/\?at=([0-9a-f]{40})", alice.get("/slashed/audit/").text)[-1]
    then = alice.get(f"/slashed/?at={sha}").text
    assert "This is how it was at" in then
    assert "Run the chosen actions" not in then


def test_a_record_does_not_rely_on_a_runners_clock(site: Site, alice: Browser) -> None:
    """One that is wrong, or that could not report what it finished days ago."""
    identifier = site.ask("generate", backend="emis")
    then = dict.fromkeys(("created_at", "started_at", "updated_at", "completed_at"), "2021-05-04T10:00:00Z")
    with site.client("emis") as emis:
        emis.report(job(identifier, f"o{identifier}", "succeeded", **then)).raise_for_status()
    assert "emis reported" in alice.get(f"/jobs/o{identifier}/audit/").text
    assert "alice requested" in alice.get(f"/job-requests/{identifier}/audit/").text


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


def test_wrong_input_is_said_on_the_page_and_kept(site: Site, alice: Browser) -> None:
    answer = alice.submit("/plain/", backend="tpp")
    assert answer.status_code == 400
    assert "at least one action" in answer.text
    answer = alice.submit("/workspaces/new/", name="plain", repo="study", branch="main", db="full")
    assert answer.status_code == 400
    assert "is there already" in answer.text
    answer = alice.submit("/workspaces/new/", name="settings", repo="study", branch="main", db="full")
    assert "is a page of the server" in answer.text
    answer = alice.submit("/workspaces/new/", name="fresh", repo="../secret", branch="main", db="full")
    assert "no repository that can be used" in answer.text
    assert 'value="../secret"' in answer.text
    answer = alice.submit("/workspaces/new/", name="fresh", repo="study", branch="nowhere", db="full")
    assert "Missing branch" in answer.text
    answer = alice.submit("/workspaces/new/", name="Fresh", repo="study", branch="main", db="full")
    assert answer.headers["Location"] == "/fresh/"
    assert alice.get("/workspaces/new/branches/?repo=study").json()["branches"] == ["feature/slashes", "main"]


def test_sessions_end(site: Site) -> None:
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
    with Browser(site, None) as one, Browser(site, None) as other:
        for _ in range(3):
            assert one.get(link).status_code == 200
        token = one.token(one.get(link))
        assert one.post(link, data={"form": token}).status_code == 303
        assert one.get("/").status_code == 200
        assert other.get(link).status_code == 404
        assert other.post(link, data={"form": token}).status_code == 404
        assert other.get("/login/link/nonsense/").status_code == 404


def test_one_is_sent_only_to_pages_of_ours(site: Site) -> None:
    for wanted in ("https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"):
        with Browser(site, None) as browser:
            browser.get("/login/", params={"next": wanted})
            link = site.run("user", "login-link", "alice")
            answer = browser.post(link, data={"form": browser.token(browser.get(link))})
            assert answer.headers["Location"] == "/", wanted


def test_settings(site: Site, alice: Browser) -> None:
    assert alice.submit("/settings/", what="email", email="alice@example.org").status_code == 303
    assert "alice@example.org" in alice.get("/settings/").text
    assert "alice@example.org" not in site.git("log", "--all", "-p")
    assert alice.submit("/settings/", what="email", email="nonsense").status_code == 400
    page = alice.submit("/settings/", what="new-token", label=HOSTILE)
    secret = re.search(r"<pre><code>([0-9a-f]{40})</code></pre>", page.text)
    assert secret
    assert HOSTILE not in page.text
    assert httpx.get(f"{site.url}/api/v2/job-requests/", headers={"Authorization": secret[1]}).status_code == 200
    assert secret[1] not in alice.get("/settings/").text
    assert alice.submit("/settings/", what="revoke", label=HOSTILE).status_code == 303
    assert httpx.get(f"{site.url}/api/v2/job-requests/", headers={"Authorization": secret[1]}).status_code == 403


def test_what_an_admin_does(site: Site, root: Browser, alice: Browser) -> None:
    page = root.submit("/backends/", slug="fresh-one", name="Fresh", databases="full, slice")
    secret = re.search(r"<pre><code>([0-9a-f]{40})</code></pre>", page.text)
    assert secret
    calls = httpx.Client(base_url=site.url)
    assert calls.get("/api/v2/job-requests/", headers={"Authorization": secret[1]}).status_code == 200
    assert calls.get("/status/fresh-one/").status_code == 200  # that call counted as seen
    page = root.submit("/backends/fresh-one/", what="rotate")
    assert calls.get("/api/v2/job-requests/", headers={"Authorization": secret[1]}).status_code == 403
    assert alice.submit("/plain/switch/", page="/plain/", what="archived", on="1").status_code == 303
    assert "is archived" in alice.submit("/plain/", page="/settings/", requested_actions="generate", backend="tpp").text
    assert alice.submit("/plain/switch/", page="/plain/", what="archived").status_code == 303
    assert root.submit("/users/", username="erin", roles=["CoreDeveloper"]).status_code == 303
    assert root.submit("/users/erin/", roles=["Auditor"], active="on").status_code == 303
    assert "Auditor" in root.get("/users/erin/").text
    assert alice.submit("/users/erin/", page="/settings/", roles=["SuperUser"], active="on").status_code == 403
    settings = "/orgs/datalab/trends/settings/"
    member = root.submit(settings, what="member", username="erin", roles=["ProjectDeveloper"])
    assert (member.status_code, member.headers["Location"]) == (303, settings)
    identifier = site.ask("generate")
    with site.client("tpp") as tpp:
        tpp.report(job(identifier, f"lost{identifier}", "running", 1))
        assert alice.submit(f"/jobs/lost{identifier}/", page="/settings/").status_code == 403
        assert root.submit(f"/jobs/lost{identifier}/", page="/settings/").status_code == 303
        tpp.report(job(identifier, f"lost{identifier}", "running", 10_000_000))
        found = root.get(f"/jobs/lost{identifier}/").text
        assert "Marked as failed by root" in found
        tpp.report(job(identifier, f"lost{identifier}", "succeeded", 20_000_000))
        assert "Marked as failed by root" not in root.get(f"/jobs/lost{identifier}/").text
    calls.close()


def test_monitors(site: Site, root: Browser) -> None:
    assert httpx.get(f"{site.url}/status/emis/").status_code in (200, 503)
    site.run("backend", "add", "brief", "--database", "full")
    page = httpx.get(f"{site.url}/status/brief/")
    assert (page.status_code, page.text) == (503, "brief: never seen\n")
    assert "<strong>brief</strong>" not in root.get("/settings/").text, "no banner: it has some minutes first"
    assert "Not seen yet" in root.get("/").text
    root.submit("/backends/brief/", what="deactivate")
    page = httpx.get(f"{site.url}/status/brief/")
    assert (page.status_code, page.text) == (503, "brief: switched off\n")
    assert "New token" not in root.get("/backends/brief/").text
    assert root.submit("/backends/brief/", page="/settings/", what="rotate").status_code == 409
    root.submit("/backends/brief/", what="activate")
    assert httpx.get(f"{site.url}/status/brief/").text == "brief: never seen\n"
    assert "New token" in root.get("/backends/brief/").text
    root.submit("/backends/brief/", what="deactivate")
    with site.client("emis") as emis:
        emis.get("/api/v2/job-requests/")
    assert httpx.get(f"{site.url}/status/emis/").status_code == 200
    assert httpx.get(f"{site.url}/status/nowhere/").status_code == 404


def test_static_files_are_kept_for_ever(site: Site, alice: Browser) -> None:
    total = 0
    page = alice.get("/plain/", headers={"Accept-Encoding": "gzip"})
    total += int(page.headers["Content-Length"])
    for path in sorted(set(re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text))):
        answer = alice.get(path, headers={"Accept-Encoding": "gzip"})
        assert answer.status_code == 200
        assert "immutable" in answer.headers["Cache-Control"]
        assert re.search(r"\.[0-9a-f]{10}\.", path)
        total += int(answer.headers["Content-Length"])
    assert total < 100_000
    assert alice.get("/static/..%2Fapp.py").status_code == 404
    assert alice.get("/static/nothing.css").status_code == 404


def test_hostile_text_is_text_everywhere(site: Site, alice: Browser) -> None:
    identifier = site.ask("generate")
    with site.client("tpp") as tpp:
        bad = job(
            identifier, f"h{identifier}", "failed", 1, status_message=HOSTILE, status_code=HOSTILE, run_command=HOSTILE
        )
        tpp.report(bad).raise_for_status()
    own = f"/job-requests/{identifier}/"
    for path in (own, f"{own}audit/", f"/jobs/h{identifier}/", f"/jobs/h{identifier}/audit/", "/plain/",
                 "/plain/logs/", f"/jobs/?q={HOSTILE}", "/login/?next=" + HOSTILE, "/%3Cscript%3E/"):  # fmt: skip
        answer = alice.get(path)
        assert HOSTILE not in answer.text, path
        assert answer.status_code in (200, 303, 404), path


def test_live_pages_are_told(site: Site, alice: Browser) -> None:
    identifier = site.ask("generate")
    other = site.ask("generate")
    with alice.stream("GET", f"/live/?topic=request/{identifier}") as stream:
        lines = stream.iter_lines()
        while "event: hello" not in next(lines):
            pass
        with site.client("tpp") as tpp:
            tpp.report(job(other, f"o{other}"))
            tpp.report(job(identifier, f"l{identifier}"))
        for line in lines:
            if line == "event: change":
                break
    with Browser(site, None) as nobody:
        assert nobody.get("/live/").status_code == 303


def test_guessing_is_slowed_down(tmp_path_factory: pytest.TempPathFactory) -> None:
    own = Site(tmp_path_factory.mktemp("guessing"))
    own.start()
    try:
        answers = [httpx.get(f"{own.url}/login/link/guess{number}/").status_code for number in range(12)]
        assert answers[:10] == [404] * 10
        assert answers[-1] == 429
    finally:
        own.stop()


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


def test_when_a_token_was_last_used_is_shown(site: Site, alice: Browser) -> None:
    made = alice.submit("/settings/", what="new-token", label="laptop").text
    secret = re.search(r"<code[^>]*>([0-9a-f]{40})</code>", made)
    assert secret
    row = r"laptop\s+<small>made .*?</time>,\s+(.*?)</small>"
    assert re.findall(row, alice.get("/settings/").text) == ["never used"]
    assert httpx.get(f"{site.url}/api/v2/job-requests/", headers={"Authorization": secret[1]}).status_code == 200
    assert "now" in re.findall(row, alice.get("/settings/").text)[0]


def test_a_runners_flags_are_said_in_words(site: Site, root: Browser) -> None:
    flags = '{"paused": {"v": "true", "ts": "2026-11-24T10:00:00Z"}, "mode": {"v": "<b>", "ts": null}}'
    with site.client("tpp", Flags=flags) as tpp:
        assert tpp.get("/api/v2/job-requests/").status_code == 200
    assert "It is paused: nothing new is started." in root.get("/status/").text
    with site.client("tpp", Flags="nonsense") as tpp:
        assert tpp.get("/api/v2/job-requests/").status_code == 200
    assert "It is paused" in root.get("/status/").text  # what can't be read changes nothing
    with site.client("tpp", Flags='{"paused": {"v": "", "ts": null}}') as tpp:
        assert tpp.get("/api/v2/job-requests/").status_code == 200
    assert "It is paused" not in root.get("/status/").text


def test_public_read_lets_everybody_look_and_nobody_act(tmp_path_factory: pytest.TempPathFactory) -> None:
    own = Site(tmp_path_factory.mktemp("public"))
    own.env["PUBLIC_READ"] = "on"
    own.start()
    try:
        identifier = own.ask("generate")
        with Browser(own, None) as nobody:
            for path in ("/", "/jobs/", f"/job-requests/{identifier}/", "/plain/", "/status/", "/orgs/datalab/"):
                answer = nobody.get(path)
                assert answer.status_code == 200, path
                assert "Log in" in answer.text, path
            for path in ("/settings/", "/users/", "/backends/", "/workspaces/new/"):
                assert nobody.get(path).status_code in (303, 401, 403), path
            before = own.count()
            for path in (f"/job-requests/{identifier}/cancel/", "/plain/", "/settings/", "/backends/"):
                assert nobody.post(path, data={}).status_code in (303, 403), path
            assert own.count() == before
            assert nobody.get("/api/v2/job-requests/").status_code == 403
    finally:
        own.stop()
    own.check_record()


@pytest.mark.parametrize("path", ["/%00", "/%0d%0aSet-Cookie:%20x=y", "/nowhere", "//evil.example", "/a%2f%2fb"])
def test_a_missing_slash_leads_to_ourselves(site: Site, alice: Browser, path: str) -> None:
    answer = alice.get(f"{site.url}{path}")
    assert answer.status_code in (301, 400, 404)
    if answer.status_code == 301:
        assert re.fullmatch(r"/[^/\s].*/", answer.headers["Location"])
        assert "x" not in answer.cookies
        assert alice.get(f"{site.url}{answer.headers['Location']}").status_code in (400, 404)


def test_a_form_sent_twice_is_one_request(site: Site, alice: Browser) -> None:
    page = alice.get("/plain/").text
    hidden = {name: re.findall(rf'name="{name}" value="([^"]+)"', page)[0] for name in ("form", "once")}
    before = site.count()
    fields = {**hidden, "requested_actions": "generate", "backend": "tpp"}
    first, again = (alice.post("/plain/", data=fields).headers["Location"] for _ in range(2))
    assert first == again
    assert site.count() == before + 1
    other = alice.post("/plain/", data={**fields, "requested_actions": "analyse"}).headers["Location"]
    assert other != first
    rerun = alice.get(first).text
    hidden = {name: re.findall(rf'name="{name}" value="([^"]+)"', rerun)[0] for name in ("form", "once")}
    answers = {alice.post(f"{first}rerun/", data=hidden).headers["Location"] for _ in range(2)}
    assert len(answers) == 1
    assert answers != {first}
