"""A week under governance: a project is approved and people are trained, a study runs by a runner that polls and by a
controller, its outputs are checked, released, published and withdrawn, a person leaves. And everybody who tries to
break the rules is refused, in the API, on a page and by a push.
"""

import hashlib
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.git.clone import Clone
from tests.e2e.harness import Client, Site
from tests.e2e.pages.browser import Browser
from tests.e2e.rap.controlled import controlled, eventually, outcome

PROJECT, WORKSPACE = "datalab/trends", "grouped"
FILES = {
    "output/table.csv": b"sex,count\nf,120\n",
    "output/model.txt": b"R2 0.7\n",
    "output/small.csv": b"age,n\n99,2\n",
}
TABLE, MODEL, SMALL = FILES
PEOPLE = {
    "jane": "OutputChecker",
    "dave": "OutputChecker",
    "erin": "OutputChecker",
    "greta": "GovernanceReviewer",
    "sam": "ServiceAdministrator",
    "pam": "OutputPublisher",
}


def day(after: int) -> str:
    return (datetime.now(UTC) + timedelta(days=after)).date().isoformat()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("week") / "site")
    for name, role in PEOPLE.items():
        made.run("user", "role" if name == "jane" else "add", name, "--role", role)
    made.tokens["dave"] = made.run("user", "token", "dave")
    controller = controlled(made, "emis")
    controller.start()
    made.start()
    yield made
    made.stop()
    assert controller.end() == 0
    made.check_record()
    verified = made.command("audit", "verify", "--releases", made.env["RELEASE_STORAGE"])
    assert verified.returncode == 0, verified.stderr


@pytest.fixture(scope="module")
def bob(site: Site) -> Iterator[Client]:
    """The researcher: a developer of the project."""
    with site.client("bob") as client:
        yield client


@pytest.fixture(scope="module")
def tpp(site: Site) -> Iterator[Client]:
    """Airlock, inside of the backend."""
    with site.client("tpp") as client:
        yield client


def ask(client: Client, backend: str) -> httpx.Response:
    body = {"requested_actions": ["analyse"], "backend": backend}
    return client.post(f"/api/v2/workspaces/{WORKSPACE}/job-requests/", json=body)


def tell(tpp: Client, release: str, event: str, user: str) -> None:
    data = {"event_type": f"request_{event}", "workspace": WORKSPACE, "request": release, "request_author": "bob",
            "user": user, "updates": None}  # fmt: skip
    reply = tpp.post("/api/v2/airlock/events/", json=data)
    assert (reply.status_code, reply.json()) == (201, {"status": "ok"})


def ask_to_release(tpp: Client, release: str, files: dict[str, bytes]) -> None:
    listed = [
        {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "review": None}
        for name, data in files.items()
    ]
    body = {"files": listed, "metadata": {"tool": "airlock", "airlock_id": release}, "review": None}
    reply = tpp.post(f"/api/v2/releases/workspace/{WORKSPACE}", json=body, headers={"OS-User": "jane"})
    assert reply.status_code == 201, reply.text


def let_out(tpp: Client, release: str, name: str) -> httpx.Response:
    headers = {"OS-User": "jane", "Content-Disposition": f'attachment; filename="{name}"'}
    return tpp.post(f"/api/v2/releases/release/{release}", content=FILES[name], headers=headers)


def test_a_week(site: Site, bob: Client, tpp: Client, tmp_path: Path) -> None:
    # Monday: the project is approved, and its people are trained.
    as_sam = ("--as", "sam")
    site.run("project", "edit", PROJECT, "--number", "POS-2026-1", "--end-date", day(365), "--training", *as_sam)
    refused = ask(bob, "tpp")
    assert refused.status_code == 403
    assert re.search(r"projects/datalab/trends\.yaml:\d+: requires_training: ", refused.text), refused.text
    site.run("user", "edit", "bob", "--trained-until", day(20), *as_sam)
    with Browser(site, "bob") as page:
        assert "Soon to end" in page.get(f"/orgs/{PROJECT}/").text
    # Tuesday: the study runs where a runner polls, and where the server calls a controller.
    by_runner, by_controller = (ask(bob, backend) for backend in ("tpp", "emis"))
    assert by_runner.status_code == by_controller.status_code == 201, by_controller.text
    runner = ["runner", "--backend", "tpp", "--transport", "http", "--once", "--url", site.url]
    done = site.command(*runner, "--root", str(tmp_path / "runner"), JOB_SERVER_TOKEN=site.tokens["tpp"])
    assert done.returncode == 0, done.stderr
    identifiers = [answer.json()["identifier"] for answer in (by_runner, by_controller)]
    eventually(lambda: {outcome(site, identifier) for identifier in identifiers} == {"succeeded"})
    # Wednesday: bob asks for outputs in Airlock. Two people check them, and one file has a small number.
    release = "01J9ZQ4V8N6T3W5X7Y9A1B2C3D"
    for event, user in (("submitted", "bob"), ("partially_reviewed", "jane"), ("reviewed", "dave")):
        tell(tpp, release, event, user)
    ask_to_release(tpp, release, FILES)
    page = f"/{WORKSPACE}/releases/{release}"
    with Browser(site, "erin") as erin:
        erin.lead(page, what="reject", files=SMALL, comment="A number below 7")
    # Thursday: what was approved leaves, and nothing else.
    assert {name: let_out(tpp, release, name).status_code for name in FILES} == {TABLE: 201, MODEL: 201, SMALL: 403}
    assert "rejected by erin" in let_out(tpp, release, SMALL).json()["detail"]
    tell(tpp, release, "released", "jane")
    # Friday: the table is published, and withdrawn when somebody finds an error in it. dave leaves.
    public = f"{site.url}/{WORKSPACE}/published/{release}/"
    with Browser(site, "bob") as author, Browser(site, "pam") as publisher, Browser(site, "jane") as jane:
        author.lead(page, what="request-publication", files=TABLE, comment="The paper is out")
        publisher.lead(page, what="publish")
        assert httpx.get(f"{public}{TABLE}").content == FILES[TABLE]
        jane.lead(page, what="withdraw", files=TABLE, comment="The counts are wrong")
        shown = jane.get(page).text
        assert "Withdrawn by jane: The counts are wrong" in shown
        assert jane.get(f"{page}/tpp/{MODEL}").content == FILES[MODEL]
        assert jane.get(f"{page}/tpp/{TABLE}").status_code == 404
    assert httpx.get(public).status_code == 410
    assert httpx.get(f"{public}{TABLE}").status_code == 404
    stored = Path(site.env["RELEASE_STORAGE"])
    assert [path.read_bytes() for path in stored.rglob("*.csv")] == []
    site.run("user", "disable", "dave")
    with site.client("dave") as dave:
        assert dave.get("/api/v2/settings/").status_code in (401, 403)
    # What dave approved before counts no longer for what leaves later.
    other = "01J9ZQ4V8N6T3W5X7Y9A1B2C3E"
    site.run("user", "enable", "dave")
    for event, user in (("submitted", "bob"), ("partially_reviewed", "jane"), ("reviewed", "dave")):
        tell(tpp, other, event, user)
    ask_to_release(tpp, other, {MODEL: FILES[MODEL]})
    site.run("user", "disable", "dave")
    refused = let_out(tpp, other, MODEL)
    assert refused.status_code == 403
    assert "1 of 2 approvals" in refused.json()["detail"]


# Attempts to break the rules. eve is a SuperUser who checks outputs, so that she can try everything in every way.


class Attempts:
    """``request``: of jobs that ran; the parts of a push that requests more."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site, self.folder = site, folder
        site.run("user", "add", "eve", "--role", "SuperUser", "--role", "OutputChecker")
        site.tokens["eve"] = site.run("user", "token", "eve")
        self.browser = Browser(site, "eve")
        self.count = 0

    def ask_as(self, who: str) -> str:
        url = f"/api/v2/workspaces/{WORKSPACE}/outputs/"
        file = {"path": TABLE, "size": len(FILES[TABLE]), "sha256": hashlib.sha256(FILES[TABLE]).hexdigest()}
        with self.site.client(who) as client:
            answer = client.post(url, json={"backend": "tpp", "files": [file]})
        assert answer.status_code == 201, answer.text
        identifier: str = answer.json()["identifier"]
        return identifier

    def by_api(self, identifier: str, call: str, **fields: Any) -> httpx.Response:
        with self.site.client("eve") as client:
            return client.post(f"/api/v2/workspaces/{WORKSPACE}/outputs/tpp/{identifier}/{call}/", json=fields)

    def by_page(self, path: str, **fields: Any) -> httpx.Response:
        form = self.browser.token(self.browser.get("/settings/"))
        return self.browser.post(path, data={"form": form, **fields})

    def by_push(self, branch: str, path: str, change: Callable[[str], str]) -> str:
        """What git says of a push that was refused."""
        clone = Clone(self.site, self.folder / f"push-{self.count}", "eve", branch)
        self.count += 1
        clone.commit(**{path: change((clone.folder / path).read_text())})
        before = self.site.git("rev-parse", branch)
        done = clone.push()
        assert done.returncode != 0, done.stderr
        assert self.site.git("rev-parse", branch) == before
        shutil.rmtree(clone.folder)
        return done.stderr


@pytest.fixture(scope="module")
def attempts(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attempts]:
    made = Attempts(site, tmp_path_factory.mktemp("attempts"))
    yield made
    made.browser.close()


def review(by: str, decision: str = "approved", files: str = "", minute: int = 0) -> Callable[[str], str]:
    """Adds a review to a release's document."""

    def change(text: str) -> str:
        head = "" if "reviews:" in text else "reviews:\n"
        chosen = f"  files: [{files}]\n" if files else ""
        at = f"2099-01-01T00:{minute:02}:00.000000Z"
        return f"{text}{head}- by: {by}\n  at: {at}\n  decision: {decision}\n{chosen}"

    return change


def test_nobody_approves_their_own_release(attempts: Attempts) -> None:
    own = attempts.ask_as("eve")
    everywhere(attempts, own, "approve", "eve review their own release", review("eve"))


def test_an_approval_counts_once(attempts: Attempts) -> None:
    release = attempts.ask_as("bob")
    assert attempts.by_api(release, "reviews", decision="approved").status_code == 200
    everywhere(attempts, release, "approve", "counts once", review("eve"), status=409)


def test_a_file_that_is_not_in_the_release_is_not_decided(attempts: Attempts) -> None:
    release = attempts.ask_as("bob")
    everywhere(attempts, release, "reject", "no file", review("eve", "rejected", "x.csv"), status=400, files=["x.csv"])


def test_what_was_withdrawn_is_decided_no_more(attempts: Attempts) -> None:
    release = attempts.ask_as("bob")
    assert attempts.by_api(release, "withdraw", reason="Not needed").status_code == 200
    everywhere(attempts, release, "approve", "can change in a release that was withdrawn", review("eve"), 400)


def test_nobody_approves_in_another_name(attempts: Attempts) -> None:
    """A page has no field for it: whoever sends the form decides."""
    release = attempts.ask_as("bob")
    answer = attempts.by_api(release, "reviews", decision="approved", by="jane")
    assert (answer.status_code, "unknown field" in answer.text) == (400, True)
    pushed = attempts.by_push("backends/tpp", document(release), review("jane"))
    assert "review a release as jane" in pushed
    answer = attempts.by_page(f"/{WORKSPACE}/releases/{release}", what="approve", by="jane", reviewer="jane")
    assert answer.status_code == 303
    assert "- by: eve\n" in attempts.site.git("show", f"backends/tpp:{document(release)}")


def test_what_did_not_leave_is_not_published(attempts: Attempts) -> None:
    release = attempts.ask_as("bob")
    words = "no files that could be published"
    answer = attempts.by_api(release, "request-publication")
    assert (answer.status_code, words in answer.text) == (409, True), answer.text
    answer = attempts.by_page(f"/{WORKSPACE}/releases/{release}", what="request-publication")
    assert (answer.status_code, words in answer.text) == (409, True)
    asked = "publications:\n- files: [{}]\n  requested:\n    by: eve\n    at: 2099-01-01T00:00:00.000000Z\n"
    pushed = attempts.by_push("backends/tpp", document(release), lambda text: text + asked.format(TABLE))
    assert "was not released, so it can't be published" in pushed


def test_nobody_lets_files_out_but_the_backend(attempts: Attempts) -> None:
    release = attempts.ask_as("bob")
    with attempts.site.client("eve") as eve:
        headers = {"OS-User": "eve", "Content-Disposition": f'attachment; filename="{TABLE}"'}
        answer = eve.post(f"/api/v2/releases/release/{release}", content=FILES[TABLE], headers=headers)
    assert answer.status_code == 403, answer.text
    answer = attempts.by_page(f"/{WORKSPACE}/releases/{release}/tpp/{TABLE}", what="upload")
    assert answer.status_code == 405
    uploaded = "  uploaded:\n    by: jane\n    at: 2099-01-01T00:00:00.000000Z\n"
    pushed = attempts.by_push("backends/tpp", document(release), lambda text: text + uploaded)
    assert "only the backend can" in pushed


def test_the_number_of_approvals_is_for_governance(attempts: Attempts) -> None:
    with attempts.site.client("eve") as eve:
        answer = eve.patch(f"/api/v2/projects/{PROJECT}/", json={"output_approvals": 1})
    assert (answer.status_code, "GovernanceReviewer" in answer.text) == (403, True)
    answer = attempts.by_page(f"/orgs/{PROJECT}/settings/", what="approvals", output_approvals="1")
    assert (answer.status_code, "GovernanceReviewer" in answer.text) == (403, True)
    pushed = attempts.by_push("main", f"projects/{PROJECT}.yaml", lambda text: f"{text}output_approvals: 1\n")
    assert "GovernanceReviewer" in pushed


def test_a_role_that_is_gone_approves_nothing(attempts: Attempts) -> None:
    release = attempts.ask_as("bob")
    attempts.site.run("user", "role", "eve", "--role", "SuperUser")
    try:
        everywhere(attempts, release, "approve", "needs the role OutputChecker", review("eve"))
    finally:
        attempts.site.run("user", "role", "eve", "--role", "SuperUser", "--role", "OutputChecker")


def test_a_project_that_has_ended_runs_nothing(attempts: Attempts, bob: Client) -> None:
    site = attempts.site
    request = ask(bob, "tpp").json()["identifier"]
    folder = next(path for path in site.files(request) if path.endswith("request.yaml")).rpartition("/")[0]
    site.run("project", "edit", PROJECT, "--status", "completed", "--as", "sam")
    words = "people can request jobs for an ongoing project only"
    with site.client("eve") as eve:
        answer = ask(eve, "tpp")
    assert (answer.status_code, words in answer.text) == (403, True)
    answer = attempts.by_page(f"/{WORKSPACE}/", requested_actions="analyse", backend="tpp")
    assert (answer.status_code, "ongoing project only" in answer.text) == (403, True)
    clone = Clone(site, attempts.folder / "more", "eve", "backends/tpp")
    other = f"{request[:-1]}{'a' if request[-1] != 'a' else 'b'}"
    for name in ("request.yaml", "pipeline.yaml"):
        text = (clone.folder / folder / name).read_text()
        clone.write(
            f"{folder.replace(request, other)}/{name}", text.replace(request, other).replace(": bob", ": eve", 1)
        )
    clone.commit()
    done = clone.push()
    assert done.returncode != 0
    assert words in done.stderr, done.stderr
    site.run("project", "edit", PROJECT, "--status", "ongoing", "--as", "sam")


def document(release: str) -> str:
    return f"releases/{WORKSPACE}/{release}.yaml"


def everywhere(
    attempts: Attempts,
    release: str,
    button: str,
    words: str,
    change: Callable[[str], str],
    status: int = 403,
    files: list[str] | None = None,
) -> None:
    """The decision is refused in the API, on the page and by a push, in the same words."""
    decision = {"approve": "approved", "reject": "rejected"}[button]
    more = {"files": files} if files else {}
    answers = [
        attempts.by_api(release, "reviews", decision=decision, **more),
        attempts.by_page(f"/{WORKSPACE}/releases/{release}", what=button, **more),
    ]
    for answer in answers:
        assert (answer.status_code, words in answer.text) == (status, True), answer.text
    assert words in attempts.by_push("backends/tpp", document(release), change)
