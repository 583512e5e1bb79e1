"""Asking for jobs, watching, comparing and finding them on the pages; nothing here needs JavaScript."""

import re

import pytest

from tests.e2e.harness import Site, job, stamp
from tests.e2e.pages.browser import Browser
from tests.samples import first


def test_asking_watching_cancelling_and_running_again(site: Site, alice: Browser) -> None:
    answer = alice.submit("/plain/", requested_actions=["generate", "analyse"], backend="tpp", database_name="full")
    assert answer.status_code == 303, answer.text
    path = answer.headers["Location"]
    identifier = path.split("/")[2]
    assert "No runner of tpp has ever connected." in alice.get(path).text
    with site.client("tpp") as tpp:
        tpp.report(
            job(identifier, f"g{identifier}", "succeeded", 1),
            job(identifier, f"a{identifier}", "running", 1, action="analyse"),
        )
    page = alice.get(path).text
    assert "Running" in page
    assert f'href="/job-requests/{identifier}/jobs/a{identifier}/"' in page
    assert alice.get(f"/job-requests/{identifier}/jobs/a{identifier}/").status_code == 200
    assert alice.get(f"/jobs/a{identifier}/").status_code == 200  # also in short, where one only is called so
    answer = alice.submit(f"{path}cancel/", page=path, actions="analyse")
    assert answer.status_code == 303
    assert "Cancellation requested" in alice.get(path).text
    with site.client("tpp") as tpp:
        failed = job(identifier, f"a{identifier}", "failed", 2, action="analyse", status_code="nonzero_exit")
        tpp.report(job(identifier, f"g{identifier}", "succeeded", 1), failed)
    page = alice.get(path).text
    assert "Re-run failed jobs" in page
    assert "failed with an error" in page
    again = alice.submit(f"{path}rerun/", page=path, what="failed")
    assert again.status_code == 303
    with site.client("alice") as api:
        item = api.get(f"/api/v2{again.headers['Location']}").json()
    assert item["requested_actions"] == ["analyse"]
    audit = alice.get(f"{path}audit/").text
    assert "alice requested generate, analyse on plain" in audit
    assert audit.count("verified signature") == 4
    first = re.findall(r"\?at=([0-9a-f]{40})", audit)[-1]
    then = alice.get(f"{path}?at={first}").text
    assert "This page is as it was on" in then
    assert "had not created jobs for this request" in then
    assert alice.get(f"{path}?at=nonsense").status_code == 400
    assert alice.get(f"/jobs/?q={identifier[:10]}").headers["Location"] == path


def test_what_is_cancelled_is_offered_neither_again_nor_a_rerun(site: Site, alice: Browser) -> None:
    identifier = site.ask("run_all", backend="emis", workspace="grouped")
    path = f"/job-requests/{identifier}/"
    with site.client("emis") as emis:
        emis.listed()
    assert "Re-run" not in alice.get(path).text  # it has not run yet
    assert alice.submit(f"{path}cancel/", page=path).status_code == 303
    page = alice.get(path).text
    assert "Cancellation requested" in page
    assert "Cancel all jobs" not in page
    assert "<dt>Queue</dt>" not in page
    with site.client("emis") as emis:
        emis.report(job(identifier, f"c{identifier}", "failed", 1, status_code="cancelled_by_user")).raise_for_status()
    page = alice.get(path).text
    assert "Re-run cancelled jobs" in page
    assert "A user cancelled the job" not in page  # the badge says who did


def test_each_cancelled_job_names_the_person_who_cancelled_it(site: Site, alice: Browser, root: Browser) -> None:
    identifier = site.ask("report", backend="emis", workspace="grouped")
    path = f"/job-requests/{identifier}/"
    names = ("generate", "analyse", "report")
    with site.client("emis") as emis:
        emis.report(*(job(identifier, f"{name}{identifier}"[:20], "pending", 1, action=name) for name in names))
        alice.submit(f"{path}cancel/", page=path, actions="generate")
        root.submit(f"{path}cancel/", page=path, actions=["generate", "analyse"])
        alice.submit(f"{path}cancel/", page=path, actions="report")
        done = [
            job(identifier, f"{name}{identifier}"[:20], "failed", 9, action=name, status_code="cancelled_by_user")
            for name in names
        ]
        emis.report(*done).raise_for_status()
    page = alice.get(path).text
    shown = dict(
        re.findall(r"Cancelled by (\w+)</span>.*?/jobs/[^>]*>(\w+)</a>", page.partition('id="jobs"')[2], re.DOTALL)
    )
    assert shown == {"alice": "report", "root": "analyse"}, "the last of each; the first to cancel it counts"
    assert page.partition('id="jobs"')[2].count("Cancelled by alice") == 2
    assert "Cancelled by alice and root" in page.partition('id="jobs"')[0]
    of_job = alice.get(f"{path}jobs/analyse{identifier}"[: len(path) + 25] + "/").text
    assert "Cancelled by root</span>" in of_job


def test_what_failed_comes_first_with_what_to_do(site: Site, alice: Browser) -> None:
    before = site.ask("generate", workspace="plain")
    with site.client("tpp") as tpp:
        worked = job(before, f"g{before}", "succeeded", 3, created_at=stamp(-5))
        tpp.report(worked)
        identifier = site.ask("run_all", workspace="plain")
        names = ["generate", "analyse", "report", "describe", "plot"]
        messages = {"generate": "Job ran out of memory"}
        codes = {"generate": "nonzero_exit", "analyse": "dependency_failed", "report": "cancelled_by_user"}
        tpp.report(
            *(
                job(identifier, f"{name}{identifier}", "failed" if name in codes else "succeeded", 9, action=name,
                    status_code=codes.get(name, ""), status_message=messages.get(name, ""))
                for name in names
            )
        )  # fmt: skip
    path = f"/job-requests/{identifier}/"
    page = alice.get(path).text
    top = page[page.index('<div class="summary failed">') : page.index('<dl class="facts">')]
    for text in (
        "generate failed, and 1 job that needs it did not run.",
        "ran out of memory",
        "ask the backend&#39;s operator for more memory",
        f'last succeeded <a href="/job-requests/{before}/jobs/g{before}/">',
        "the code has not changed since then",
        "Did not run: analyse",
    ):
        assert text in top, text
    assert re.findall(r'<details class="jobs" data-outcome="(\w+)"( open)?', page) == [
        ("failed", " open"), ("cancelled", " open"), ("skipped", " open"), ("succeeded", "")
    ]  # fmt: skip
    assert "4 failed" not in page
    found = alice.get(f"{path}?job=PLO").text
    assert re.findall(r'data-outcome="(\w+)"(?: open)?>', found) == ["succeeded"], "the other groups are hidden"
    assert "No jobs match" in alice.get(f"{path}?job=plot&outcome=failed").text
    assert alice.get(f"{path}?outcome=nonsense").status_code == 400


def test_who_cancelled_is_named_in_lists_and_filters(site: Site, alice: Browser) -> None:
    identifier = site.ask("analyse", workspace="plain")
    path = f"/job-requests/{identifier}/"
    alice.submit(f"{path}cancel/", page=path)
    with site.client("tpp") as tpp:
        for name, code in (("generate", "cancelled_by_user"), ("analyse", "dependency_failed")):
            tpp.report(job(identifier, f"c{identifier}", "failed", 1, action=name, status_code=code))
        tpp.report(
            job(identifier, f"c{identifier}", "failed", 2, status_code="cancelled_by_user"),
            job(identifier, f"d{identifier}", "failed", 2, action="analyse", status_code="dependency_failed"),
        )
    page = alice.get(path).text
    assert page.count("Cancelled by alice") >= 2, "the request and its job"
    assert "Skipped" in page
    assert "Failed" not in page
    assert identifier in alice.get("/jobs/?status=cancelled&workspace=plain").text
    assert identifier not in alice.get("/jobs/?status=failed&workspace=plain").text
    assert "Cancelled by alice" in alice.get("/jobs/?status=cancelled").text
    assert alice.get("/jobs/?status=skipped").status_code == 400


def test_a_request_with_nothing_to_do_says_so(site: Site, alice: Browser) -> None:
    identifier = site.ask("generate", workspace="plain")
    with site.client("tpp") as tpp:
        tpp.report(job(identifier, f"n{identifier}", "succeeded", 1, started_at=None))
    page = alice.get(f"/job-requests/{identifier}/").text
    assert "Nothing had to run: all these actions had succeeded before." in page
    for text in ("its outputs are ready", "never", "did not start"):
        assert text not in page
    assert "Nothing had to run" in alice.get(f"/jobs/n{identifier}/").text


def test_the_event_log_filters_counts_and_pages(site: Site, alice: Browser) -> None:
    for _ in range(27):
        site.ask("generate", workspace="slashed")
    page = alice.get("/jobs/?workspace=slashed").text
    assert page.count('<li class="run">') == 25
    older = re.search(r'href="(/jobs/\?[^"]*before=[^"]+)"', page)
    assert older
    rest = alice.get(older[1].replace("&amp;", "&")).text
    assert rest.count('<li class="run">') == 2
    assert "No job requests match" in alice.get("/jobs/?workspace=slashed&status=succeeded").text
    assert alice.get("/jobs/?status=failed&backend=tpp&q=%00&before=9.x").status_code == 200
    for query, message in {
        "owner=nope": "owner: unknown filter",
        "project=nope": "project &#39;nope&#39; does not exist",
        "org=nope": "organisation &#39;nope&#39; does not exist",
        "q=owner:nope": "&#39;owner&#39; is not a filter; the filters are status, by, workspace, project, org,",
        "q=status:failed,lost": "status &#39;lost&#39; does not exist, expected one of: pending,",
        "since=yesterday": "expected a day such as 2026-11-01",
        "status=nonsense": "status &#39;nonsense&#39; does not exist",
        "backend=x": "backend &#39;x&#39; does not exist",
        "workspace=x": "workspace &#39;x&#39; does not exist",
        "username=x": "person &#39;x&#39; does not exist",
    }.items():
        for path in ("/jobs/", "/plain/logs/"):
            answer = alice.get(f"{path}?{query}")
            wanted = "unknown filter" if (path, query) == ("/plain/logs/", "workspace=x") else message
            assert (answer.status_code, wanted in answer.text.lower()) == (400, True), (path, query)
    for path in ("/status/", "/orgs/"):
        assert alice.get(f"{path}?project=nope").status_code == 400
    assert alice.get("/plain/?backend=nope").status_code == 400
    assert "slashed" in alice.get("/jobs/?q=gener").text
    for field in ("status", "backend", "workspace", "username", "before"):
        for value in ("nonsense", "\x00", "-1", "é" * 300, "[]"):
            expected = 200 if field == "before" else 400
            assert alice.get("/jobs/", params={field: value}).status_code == expected, (field, value)
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
        assert (answer.status_code, "No job requests match" in answer.text) == (200, True)
        assert alice.get(f"/jobs/{unknown}/").status_code == 404
    assert alice.get("/jobs/zyxw23/").headers["Location"] == "/jobs/zyxw2345/"


def test_the_preview_works_without_javascript(site: Site, alice: Browser) -> None:
    before = site.count("backends/emis")
    choice = {"requested_actions": "report", "backend": "emis", "database_name": "full"}
    answer = alice.submit("/grouped/", what="preview", **choice)
    assert answer.status_code == 303
    where = answer.headers["Location"]
    assert where.startswith("/grouped/?requested_actions=report&backend=emis")
    shown = re.sub(r"<[^>]*>|\s+", " ", alice.get(where).text)
    shown = re.sub(r" +", " ", shown)
    assert "3 jobs will run on emis" in shown
    assert "Needed by the selected actions generate analyse" in shown
    assert site.count("backends/emis") == before
    identifier = site.ask("generate", backend="emis", workspace="grouped")
    with site.client("emis") as emis:
        emis.report(job(identifier, f"p{identifier}", "succeeded", 1)).raise_for_status()
    assert "2 jobs will run" in alice.get(where).text
    assert "Already succeeded, will not run again" in alice.get(where).text
    assert "3 jobs will run" in alice.get(where.replace("#", "&force_run_dependencies=on#")).text
    assert "3 jobs will run" in alice.get(where.replace("emis", "tpp")).text  # another backend has not run it


def test_the_picture_marks_what_would_run_and_follows_the_backend(site: Site, alice: Browser) -> None:
    page = alice.get("/plain/", params={"requested_actions": "analyse", "backend": "emis"}).text
    assert re.findall(r'class="node never will-run"\s*(?:id="[^"]+")?>\s*<title>(\w+): Never run; will run', page) == [
        *("generate", "analyse"),
        *("generate", "analyse"),  # in both forms of the picture
    ]
    assert "Pipeline on emis" in page
    assert len(re.findall("<strong>will run</strong>", page)) == 2
    assert "will-run" not in alice.get("/plain/").text


def test_many_actions_are_filtered_without_javascript(site: Site, alice: Browser) -> None:
    lines = [f"  model_{n}: {{run: python:latest python a.py}}" for n in range(30)]
    site.study("many", {"project.yaml": "\n".join(['version: "4.0"', "actions:", *lines]), "a.py": ""})
    site.run("workspace", "add", "many", "--repo", "many", "--branch", "main", "--as", "alice")
    answer = alice.submit("/many/", what="filter", find="Model_2", requested_actions=["model_1"], backend="tpp")
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/many/?requested_actions=model_1&backend=tpp&find=Model_2#actions"
    page = alice.get(answer.headers["Location"]).text
    shown = re.findall(r'<label class="choice">\s*<input[^>]*value="(\w+)"', page)
    assert shown == ["model_2", *(f"model_2{n}" for n in range(10))]
    hidden = re.findall(r'<label class="choice" hidden>\s*<input[^>]*value="(\w+)"[^>]* checked', page)
    assert hidden == ["model_1"]  # what was chosen stays chosen


def test_a_run_is_compared_and_each_thing_has_its_record(site: Site, alice: Browser) -> None:
    first, second, third = (site.ask("generate", backend="emis", workspace="slashed") for _ in range(3))
    with site.client("emis") as emis:
        emis.report(job(first, f"c{first}", "succeeded", 1), job(second, f"c{second}", "failed", 1)).raise_for_status()
    page = alice.get(f"/job-requests/{third}/").text
    assert f'<a href="/job-requests/{second}/">the previous run</a>' in page
    assert f'<a href="/job-requests/{first}/">the last successful run</a>' in page
    record = alice.get(f"/jobs/c{second}/audit/").text
    assert "emis reported" in record
    assert "alice requested" not in record  # of the request, not of the job
    assert alice.get("/jobs/nowhere/audit/").status_code == 404
    assert "?at=" in alice.get("/slashed/audit/").text
    sha = re.findall(r"/slashed/\?at=([0-9a-f]{40})", alice.get("/slashed/audit/").text)[-1]
    then = alice.get(f"/slashed/?at={sha}").text
    assert "This page is as it was on" in then
    assert "Run selected actions" not in then


def test_a_record_does_not_rely_on_a_runners_clock(site: Site, alice: Browser) -> None:
    """One that is wrong, or that could not report what it finished days ago."""
    identifier = site.ask("generate", backend="emis")
    then = dict.fromkeys(("created_at", "started_at", "updated_at", "completed_at"), "2021-05-04T10:00:00Z")
    with site.client("emis") as emis:
        emis.report(job(identifier, f"o{identifier}", "succeeded", **then)).raise_for_status()
    assert "emis reported" in alice.get(f"/jobs/o{identifier}/audit/").text
    assert "alice requested" in alice.get(f"/job-requests/{identifier}/audit/").text


def test_a_live_page_is_notified_of_a_change(site: Site, alice: Browser) -> None:
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
        assert nobody.get("/live/").status_code == 204


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
    with site.client("tpp") as tpp:
        tpp.report(job(first.split("/")[2], "once", "succeeded", 1)).raise_for_status()
    rerun = alice.get(first).text
    hidden = {name: re.findall(rf'name="{name}" value="([^"]+)"', rerun)[0] for name in ("form", "once")}
    answers = {alice.post(f"{first}rerun/", data=hidden).headers["Location"] for _ in range(2)}
    assert len(answers) == 1
    assert answers != {first}


def test_jobs_of_the_same_id_on_two_backends_are_kept_apart(site: Site, alice: Browser) -> None:
    """Found: emis reported the id of a job of tpp, whose page, status and failing by hand then were of that of emis."""
    mine = site.ask("generate", workspace="slashed")
    theirs = site.ask("analyse", backend="emis", workspace="slashed")
    name = f"Same{mine}"[:20]
    with site.client("tpp") as tpp, site.client("emis") as emis:
        tpp.report(job(mine, name, "running", 1)).raise_for_status()
        emis.report(
            job(theirs, name, "running", 2, created_at=stamp(1), action="analyse"),
            job(theirs, f"g{theirs}", "succeeded", 2),
        ).raise_for_status()
    page = alice.get(f"/job-requests/{mine}/").text
    link = f"/job-requests/{mine}/jobs/{name}/"
    assert f'href="{link}"' in page
    shown = alice.get(link).text
    assert "<h1>generate</h1>" in shown
    assert f'href="/job-requests/{mine}/"' in shown
    where = alice.get(f"/jobs/{name}/").headers["Location"]
    assert where == f"/jobs/?q={name}"
    both = alice.get(where)
    assert both.status_code == 200
    assert all(f'href="/job-requests/{identifier}/"' in both.text for identifier in (mine, theirs))
    assert alice.get(f"/job-requests/{theirs}/jobs/g{mine}/").status_code == 404
    with Browser(site, "root") as root:
        assert root.submit(f"/jobs/{name}/", page="/settings/").status_code == 409
        assert root.submit(link, page=link).headers["Location"] == link
    with site.client("alice") as api:
        statuses = "/api/v2/workspaces/slashed/statuses/"
        assert api.get(statuses, params={"backend": "tpp"}).json()["generate"] == "failed"
        on_emis = api.get(statuses, params={"backend": "emis"}).json()
        assert (on_emis["analyse"], on_emis["generate"]) == ("running", "succeeded")
        assert api.get(statuses).json()["analyse"] == "running"  # of the one that was used last
        assert api.get(f"/api/v2/job-requests/{theirs}/").json()["status"] == "running"
    assert f"/job-requests/{mine}/jobs/{name}/" in alice.get("/slashed/?backend=tpp").text
    assert f"/job-requests/{theirs}/jobs/{name}/" in alice.get("/slashed/?backend=emis").text


def test_earlier_successes_count_on_the_same_backend_only(site: Site, alice: Browser) -> None:
    first = site.ask("generate", backend="emis", workspace="grouped")
    with site.client("emis") as emis:
        emis.report(job(first, f"g{first}", "succeeded", 1)).raise_for_status()
    asked = {slug: site.ask("analyse", backend=slug, workspace="grouped") for slug in ("tpp", "emis")}
    for slug, identifier in asked.items():
        with site.client(slug) as runner:
            runner.report(job(identifier, f"a{identifier}", action="analyse")).raise_for_status()
    on_emis = alice.get(f"/job-requests/{asked['emis']}/jobs/a{asked['emis']}/").text
    assert f'href="/job-requests/{first}/jobs/g{first}/">generate</a>' in on_emis
    assert "succeeded earlier on emis" in on_emis
    assert "has not succeeded on tpp" in alice.get(f"/job-requests/{asked['tpp']}/jobs/a{asked['tpp']}/").text


@pytest.mark.parametrize("field", first(1, ["started_at", "created_at", "updated_at", "completed_at"]))
@pytest.mark.parametrize("value", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"])
def test_no_time_of_a_job_costs_anybody_a_page(site: Site, alice: Browser, field: str, value: str) -> None:
    identifier = site.ask("generate")
    plain, odd = f"{identifier}a", f"{identifier}b"
    with site.client("tpp") as tpp:
        report = [
            job(identifier, plain, "running", 1),
            job(identifier, odd, "succeeded", 2, action="analyse", **{field: value}),
        ]
        assert tpp.report(*report).status_code == 200
    waiting = site.ask("report")
    for path in (
        f"/job-requests/{identifier}/",
        f"/job-requests/{identifier}/audit/",
        f"/job-requests/{identifier}/jobs/{odd}/",
        f"/job-requests/{identifier}/jobs/{odd}/audit/",
        f"/job-requests/{waiting}/",
        "/plain/?backend=tpp",
        "/jobs/",
        "/status/",
        "/backends/tpp/audit/",
        "/",
    ):
        assert alice.get(path).status_code == 200, path


def test_an_open_page_of_a_job_hears_of_readings(site: Site, alice: Browser) -> None:
    identifier = site.ask("generate")
    name = f"g{identifier}"
    path = f"/job-requests/{identifier}/jobs/{name}/"

    def say(at: float, message: str, memory: int) -> None:
        with site.client("tpp") as tpp:
            tpp.report(job(identifier, name, "running", at, status_message=message, metrics={"mem_mb_now": memory}))

    say(1, "Loading", 1)
    before = site.count()
    with alice.stream("GET", f"/live/?topic=request/{identifier}") as stream:
        lines = stream.iter_lines()
        hello = next(line for line in lines if line.startswith("data: "))
        assert hello.removeprefix("data: ") in alice.get(path).text
        say(2, "Half of it is done", 77)
        changed = next(line for line in lines if line.startswith("data: "))
    page = alice.get(path).text
    assert changed.removeprefix("data: ") in page
    assert "Half of it is done" in page
    assert "77" in page
    assert site.count() == before
