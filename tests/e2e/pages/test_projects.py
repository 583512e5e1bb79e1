"""Organisations, registrations, the settings of a project and its invitations, over plain HTTP."""

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.e2e.harness import Site, git, until
from tests.e2e.pages.browser import HOSTILE, Browser
from tests.samples import only_whole

PROJECT = "/orgs/datalab/trends/"
SETTINGS = f"{PROJECT}settings/"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """With email, which is printed to the log; lead is a coordinator of datalab/trends."""
    made = Site(tmp_path_factory.mktemp("site"))
    made.env["EMAIL_BACKEND"] = "console"
    made.run("user", "add", "lead")
    made.run("project", "member", "datalab/trends", "lead", "--role", "ProjectCoordinator")
    made.start()
    yield made
    made.stop()
    made.check_record()


@pytest.fixture(scope="module")
def people(site: Site) -> Iterator[dict[str, Browser]]:
    """Everybody's session, by username."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(Browser(site, name)) for name in ("root", "alice", "bob", "carol", "lead")}


@pytest.fixture(autouse=True)
def as_before(site: Site, people: dict[str, Browser]) -> Iterator[None]:
    """carol is nobody in datalab/trends, whatever a test did."""
    yield
    root = people["root"]
    root.submit(SETTINGS, what="remove", username="carol")
    root.submit(SETTINGS, what="cancel", username="carol")


def invite(browser: Browser, who: str = "carol", *roles: str) -> httpx.Response:
    return browser.submit(SETTINGS, what="invite", username=who, roles=roles or ("ProjectDeveloper",))


def answer(browser: Browser, what: str = "accept", project: str = "datalab/trends") -> httpx.Response:
    return browser.submit("/invitations/", "/settings/", what=what, project=project)


def document(site: Site, project: str = "datalab/trends") -> str:
    return site.git("show", f"main:projects/{project}.yaml")


def test_a_project_is_registered_with_its_answers(site: Site, people: dict[str, Browser]) -> None:
    root = people["root"]
    made = root.submit("/orgs/new/", name="Épi Lab")
    assert made.headers["Location"] == "/orgs/epi-lab/"
    assert "No projects yet" in root.get("/orgs/epi-lab/").text
    form = "/orgs/epi-lab/new-project/"
    answers = {
        "name": "Heart & lungs",
        "project_lead": f"Dr {HOSTILE}",
        "email": "lead@example.org",
        "telephone": "+44 20 7946 0000",
        "purpose": "First line\r\nSecond line",
        "researchers": "1",
        "researcher_0_name": "Bea",
        "researcher_0_trained_at": "2026-05-01",
        "declaration": "on",
    }
    another = root.submit(form, what="another", **answers)  # one more row, nothing lost, nothing written
    assert another.status_code == 200
    assert 'name="researcher_1_name"' in another.text
    for kept in ("Heart &amp; lungs", "lead@example.org", "First line\nSecond line", 'value="Bea"'):
        assert kept in another.text
    answers |= {"researchers": "3", "researcher_1_name": "Cy", "researcher_1_accredited": "on"}
    wrong = root.submit(form, what="register", **{**answers, "project_lead": "", "researcher_1_name": ""})
    assert wrong.status_code == 400
    assert 'href="#register-project_lead">Project lead: ' in wrong.text
    assert 'href="#register-researcher_1_name">Researcher 2, name: ' in wrong.text
    assert root.submit(form, **{**answers, "email": "nonsense"}).status_code == 400
    personal = root.submit(form, **{**answers, "team_details": "mail bea@example.org"}).text
    assert "Email addresses are not allowed here" in personal
    assert site.git("ls-tree", "-r", "--name-only", "main", "projects/epi-lab/") == ""
    assert root.submit(form, **answers).headers["Location"] == "/orgs/epi-lab/heart-lungs/"
    text = document(site, "epi-lab/heart-lungs")
    assert (
        '- name: Bea\n    passed_researcher_training_at: "2026-05-01"\n    is_ons_accredited_researcher: false' in text
    )
    assert "- name: Cy\n    passed_researcher_training_at: null\n    is_ons_accredited_researcher: true" in text
    assert 'purpose: "First line\\nSecond line"' in text
    assert "declaration: true" in text
    history = site.git("log", "--all", "-p")
    assert "lead@example.org" not in history
    # Any way of writing it, but all of it: four digits alone are found in some commit's id sooner or later.
    assert not re.search(r"44\W*20\W*7946\W*0000", history)
    taken = root.submit(form, **{**answers, "name": "HEART & LUNGS", "slug": "other"})
    assert "already has the name" in taken.text
    for name, slug in (("New", "new-project"), ("Settings", ""), ("!", ""), ("X", "Not A Slug"), ("Y", "a/b")):
        assert root.submit(form, **{**answers, "name": name, "slug": slug}).status_code == 400, (name, slug)

    page = root.get("/orgs/epi-lab/heart-lungs/").text
    assert HOSTILE not in page
    assert "Second line" in page
    assert "lead@example.org" not in page
    settings = "/orgs/epi-lab/heart-lungs/settings/"
    assert "lead@example.org" in root.get(settings).text
    assert "lead@example.org" not in people["alice"].get(settings).text
    assert people["alice"].submit(settings, what="contact", email="").status_code == 403
    assert root.submit(settings, what="contact", email="lead@example.org", telephone="call me").status_code == 400
    assert root.submit(settings, what="contact", email="", telephone="").status_code == 303
    assert "lead@example.org" not in root.get(settings).text
    # Who it names is not everybody's to read.
    assert "Second line" not in people["carol"].get("/orgs/epi-lab/heart-lungs/").text
    assert people["carol"].get("/orgs/epi-lab/heart-lungs/audit/").status_code == 403
    assert "added project epi-lab/heart-lungs" in root.get("/orgs/epi-lab/heart-lungs/audit/").text


def test_only_superusers_make_organisations_and_projects(site: Site, people: dict[str, Browser]) -> None:
    before = site.count("main")
    for path in ("/orgs/new/", "/orgs/datalab/new-project/"):
        for who in ("alice", "lead"):
            assert people[who].get(path).status_code == 403
            assert people[who].submit(path, "/settings/", name="Mine", project_lead="Me").status_code == 403
    assert people["root"].get("/orgs/nowhere/new-project/").status_code == 404
    assert people["root"].submit("/orgs/new/", name="New").status_code == 400
    assert site.count("main") == before


def test_an_invitation_is_written_to_and_accepted(site: Site, people: dict[str, Browser]) -> None:
    carol, lead = people["carol"], people["lead"]
    carol.submit("/settings/", what="email", email="carol@example.org")
    assert invite(lead, "carol", "ProjectDeveloper", "ProjectCoordinator").headers["Location"] == SETTINGS
    assert "invited_by: lead" in document(site)
    assert "carol" in lead.get(SETTINGS).text
    until(lambda: f"{site.url}/invitations/" in site.log())
    link = re.findall(rf"{site.url}(/invitations/\S+)", site.log().replace("=\n", ""))[-1]
    for page in ("/", "/settings/", "/orgs/"):
        assert "You have 1 pending invitation" in carol.get(page).text
        assert "pending invitation" not in people["bob"].get(page).text
    assert "invited you to this project" in carol.get(PROJECT).text
    # The link is of use to who is invited only, and to look at it is not to accept.
    with Browser(site, None) as nobody:
        assert nobody.get(link).headers["Location"].startswith("/login/?next=/invitations/")
    assert "is for carol" in people["bob"].get(link).text
    assert people["bob"].get(link).status_code == 403
    assert carol.get(f"/invitations/x{link.split('/')[2]}/").status_code == 404
    shown = carol.get(link)
    assert "lead invited you" in shown.text
    assert all(f"<li>{role}: Can " in shown.text for role in ("Project developer", "Project coordinator"))
    assert "carol" not in document(site).partition("invitations:")[0]
    # Nobody else accepts it, and no forged form does.
    for other in ("bob", "alice", "root", "lead"):
        assert answer(people[other]).status_code == 404
    fields = {"what": "accept", "project": "datalab/trends"}
    assert carol.post("/invitations/", data=fields).status_code == 403
    assert carol.post("/invitations/", data={**fields, "form": people["bob"].token(people["bob"].get("/settings/"))}
                      ).status_code == 403  # fmt: skip
    token = carol.token(shown)
    evil = {"Origin": "https://evil.example"}
    assert carol.post("/invitations/", data={**fields, "form": token}, headers=evil).status_code == 403
    assert "invitations:" in document(site)
    # Accepted once, however often the form arrives.
    before = site.count("main")
    form = {**fields, "form": token, "once": re.findall(r'name="once" value="(\w+)"', shown.text)[0]}
    for _ in range(2):
        accepted = carol.post("/invitations/", data=form)
        assert (accepted.status_code, accepted.headers["Location"]) == (303, PROJECT)
    assert site.count("main") == before + 1
    assert answer(carol).status_code == 404
    text = document(site)
    assert "invitations" not in text
    assert "- username: carol\n  roles:\n  - ProjectDeveloper\n  - ProjectCoordinator\n" in text
    assert carol.get(link).status_code == 404
    assert carol.get(SETTINGS).status_code == 200
    assert "carol joined datalab/trends as ProjectDeveloper, ProjectCoordinator" in carol.get(f"{PROJECT}audit/").text


def test_an_old_link_accepts_no_later_invitation(site: Site, people: dict[str, Browser]) -> None:
    people["carol"].submit("/settings/", what="email", email="carol@example.org")
    invite(people["lead"])

    def newest() -> str:
        return ["/", *re.findall(rf"{site.url}(/invitations/\S+)", site.log().replace("=\n", ""))][-1]

    until(lambda: newest() != "/" and people["carol"].get(newest()).status_code == 200)
    link = newest()
    assert people["lead"].submit(SETTINGS, what="cancel", username="carol").status_code == 303
    assert people["carol"].get(link).status_code == 404
    invite(people["lead"])
    assert people["carol"].get(link).status_code == 404
    assert "lead invited you" in people["carol"].get("/invitations/").text


def test_an_invitation_is_declined_by_its_user_only(site: Site, people: dict[str, Browser]) -> None:
    invite(people["lead"])
    assert answer(people["bob"], "decline").status_code == 404
    assert answer(people["carol"], "decline").headers["Location"] == "/invitations/"
    assert "carol" not in document(site)
    assert answer(people["carol"]).status_code == 404
    assert answer(people["carol"], "nonsense").status_code == 400
    assert answer(people["carol"], project="datalab/nowhere").status_code == 404


def test_accepting_and_cancelling_at_once(site: Site, people: dict[str, Browser]) -> None:
    """One of them is first, and the other is told so; nobody is half a member."""
    carol, lead = people["carol"], people["lead"]
    start = threading.Barrier(2)
    answers: dict[str, httpx.Response] = {}

    def send(browser: Browser, path: str, **fields: str) -> None:
        start.wait()
        answers[fields["what"]] = browser.post(path, data=fields)

    for _ in range(5):
        invite(lead)
        accept = {"form": carol.token(carol.get("/invitations/")), "what": "accept", "project": "datalab/trends"}
        cancel = {"form": lead.token(lead.get(SETTINGS)), "what": "cancel", "username": "carol"}
        threads = [
            threading.Thread(target=send, args=(carol, "/invitations/"), kwargs=accept),
            threading.Thread(target=send, args=(lead, SETTINGS), kwargs=cancel),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        text = document(site)
        assert "invitations" not in text
        is_member = "username: carol" in text
        codes = answers["accept"].status_code, answers["cancel"].status_code
        assert codes == ((303, 404) if is_member else (404, 303))
        lead.submit(SETTINGS, what="remove", username="carol")


def test_wrong_people_and_wrong_invitations_change_nothing(site: Site, people: dict[str, Browser]) -> None:
    site.run("user", "add", "gone")
    site.run("user", "disable", "gone")
    before = site.count("main")
    forms: list[dict[str, object]] = [
        {"what": "invite", "username": "carol", "roles": ["ProjectDeveloper"]},
        {"what": "member", "username": "bob", "roles": ["ProjectCoordinator"]},
        {"what": "remove", "username": "lead"},
        {"what": "rename", "name": "Mine"},
        {"what": "connect", "workspace": "plain"},
        {"what": "disconnect", "workspace": "grouped"},
    ]
    for who in ("bob", "carol"):
        assert people[who].get(SETTINGS).status_code == 403
        assert SETTINGS not in people[who].get(PROJECT).text
        for form in forms:
            assert people[who].submit(SETTINGS, "/settings/", **form).status_code == 403, (who, form)
    for username, roles, message in (
        ("stranger", ["ProjectDeveloper"], "is not an active user"),
        ("gone", ["ProjectDeveloper"], "is not an active user"),
        ("bob", ["ProjectDeveloper"], "is already a member"),
        ("carol", [], "at least one role"),
        ("", ["ProjectDeveloper"], "at least one username"),
        ("carol", ["SuperUser"], "carol cannot have the role SuperUser here"),
        ("carol", ["Nonsense"], "Nonsense"),
    ):
        refused = people["lead"].submit(SETTINGS, what="invite", username=username, roles=roles)
        code = 409 if "already" in message else 400
        assert (refused.status_code, message in refused.text) == (code, True), (username, roles)
    assert people["lead"].submit(SETTINGS, what="nonsense").status_code == 400
    assert people["lead"].submit(SETTINGS, what="connect", workspace="plain").status_code == 403  # not lead's
    assert people["lead"].submit("/orgs/datalab/nowhere/settings/", "/settings/", what="rename").status_code == 404
    assert site.count("main") == before


def test_the_settings_of_a_project(site: Site, people: dict[str, Browser]) -> None:
    lead, alice, root = people["lead"], people["alice"], people["root"]
    assert lead.submit(SETTINGS, what="rename", name="Trends & more").status_code == 303
    assert "Trends &amp; more" in lead.get(PROJECT).text
    assert lead.submit(SETTINGS, what="rename", name="").status_code == 400
    assert invite(lead, "carol, alice").status_code == 303
    assert invite(lead, "carol").status_code == 409
    assert lead.submit(SETTINGS, what="cancel", username="alice").status_code == 303
    assert lead.submit(SETTINGS, what="member", username="carol", roles=["ProjectCollaborator"]).status_code == 303
    assert "invitations" not in document(site)
    assert "- username: carol\n  roles:\n  - ProjectCollaborator\n" in document(site)
    assert lead.submit(SETTINGS, what="remove", username="carol").status_code == 303
    # Workspaces leave and come
    assert lead.get(f"{PROJECT}grouped/").headers["Location"] == "/grouped/"
    assert lead.get(f"{PROJECT}plain/").status_code == 404
    assert lead.get(f"{PROJECT}nowhere/").status_code == 404
    assert lead.submit(SETTINGS, what="disconnect", workspace="grouped").status_code == 303
    assert "project: null" in site.git("show", "main:workspaces/grouped.yaml")
    assert lead.get(f"{PROJECT}grouped/").status_code == 404
    assert alice.submit(SETTINGS, what="connect", workspace="grouped").status_code == 303
    assert "project: datalab/trends" in site.git("show", "main:workspaces/grouped.yaml")
    # Whoever takes away their own rights sees the project, and not a refusal
    assert invite(root, "carol", "ProjectCoordinator").status_code == 303
    answer(people["carol"])
    left = people["carol"].submit(SETTINGS, what="remove", username="carol")
    assert left.headers["Location"] == PROJECT


def test_pushed_invitations_are_judged_like_others(site: Site, people: dict[str, Browser]) -> None:
    clone = site.folder / "clone"
    url = site.url.replace("http://", f"http://x:{site.tokens['root']}@")
    git(site.folder, "clone", "-q", f"{url}/state.git", "clone")
    path = clone / "projects/datalab/trends.yaml"
    plain = path.read_text()
    for username, by, message in (
        ("stranger", "root", "'stranger' is not an active user"),
        ("bob", "root", "bob is already a member"),
        ("carol", "lead", "root cannot invite carol as lead"),
        ("carol", "root", ""),
    ):
        more = f"  roles: [ProjectDeveloper]\n  invited_by: {by}\n  created_at: 2026-11-24T10:00:00Z\n"
        path.write_text(f"{plain}invitations:\n- username: {username}\n{more}")
        git(clone, "commit", "-qam", "An invitation")
        try:
            git(clone, "push", "-q", "origin", "HEAD:main")
            refused = ""
        except subprocess.CalledProcessError as error:
            refused = error.stderr
            git(clone, "reset", "-q", "--hard", "HEAD~1")
        assert message in refused
        assert bool(refused) is bool(message), refused
    assert answer(people["carol"]).status_code == 303
    assert "username: carol" in document(site)


@only_whole
def test_the_same_from_the_command_line(site: Site) -> None:
    site.run("project", "add", "datalab/lungs", "--name", "Lungs")
    site.run("project", "invite", "datalab/lungs", "carol", "bob", "--role", "ProjectDeveloper")
    site.run("project", "cancel-invitation", "datalab/lungs", "bob")
    refused = site.command("project", "accept", "datalab/lungs", "--as", "bob")
    assert (refused.returncode, "bob has no invitation" in refused.stderr) == (1, True)
    site.run("project", "accept", "datalab/lungs", "--as", "carol")
    site.run("project", "rename", "datalab/lungs", "Lungs and more")
    site.run("workspace", "connect", "slashed", "datalab/lungs")
    shown = site.run("project", "show", "datalab/lungs", "--json")
    assert shown == (
        '{"slug": "lungs", "name": "Lungs and more", "org": "datalab", "members": [{"username": "carol",'
        ' "roles": ["ProjectDeveloper"]}], "invitations": [], "number": null, "status": "ongoing", "end_date": null,'
        ' "backends": null, "runner_types": null, "analysis_scope": {}, "requires_training": false,'
        ' "workspaces": ["slashed"]}'
    )
    site.run("workspace", "disconnect", "slashed")
    assert "slashed" not in site.command("project", "show", "datalab/lungs").stdout
    assert site.command("project", "show", "datalab/nowhere").returncode == 1
