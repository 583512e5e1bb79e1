"""Every form of every page, with faulty values: what is wrong stands at its field, and what was typed stays."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import httpx
import pytest

from tests.e2e.harness import Site
from tests.e2e.pages.browser import HOSTILE, Browser

BAD = "no good\tvalue\x01"
LONG = "x" * 1001
FORMS: tuple[tuple[str, dict[str, object], str], ...] = (
    ("/settings/", {"what": "email", "email": "nonsense"}, "email-email"),
    ("/settings/", {"what": "new-token", "label": LONG}, "new-token-label"),
    ("/settings/", {"what": "new-token", "label": "a", "expires": "never ever"}, "new-token-expires"),
    ("/settings/", {"what": "new-token", "label": "a", "scope": "everything"}, "new-token-scope"),
    ("/settings/message/", {"what": "set", "text": BAD, "level": "info"}, "set-text"),
    ("/settings/message/", {"what": "set", "text": "Hello", "level": "loud"}, "set-level"),
    ("/users/", {"username": "not a name", "name": "Nobody"}, "username"),
    ("/users/", {"username": "alice", "name": "Another"}, "username"),
    ("/users/", {"username": "fine", "github_id": "x"}, "github_id"),
    ("/users/", {"username": "fine", "name": BAD}, "name"),
    ("/users/", {"username": "fine", "roles": ["Emperor"]}, "roles"),
    ("/users/alice/", {"what": "roles", "roles": ["Emperor"], "active": "on"}, "roles-roles"),
    ("/backends/", {"slug": "Not A Slug", "name": "Backend"}, "slug"),
    ("/backends/", {"slug": "tpp"}, "slug"),
    ("/backends/", {"slug": "", "databases": "full"}, "slug"),
    ("/backends/", {"slug": "fine", "databases": "full, not valid!"}, "databases"),
    ("/backends/", {"slug": "fine", "parent_directory": BAD}, "parent_directory"),
    ("/orgs/new/", {"name": "!!!"}, "name"),
    ("/orgs/new/", {"name": "datalab", "slug": ""}, "slug"),
    ("/orgs/new/", {"name": "Lab", "slug": "Not A Slug"}, "slug"),
    ("/orgs/datalab/new-project/", {"what": "register", "name": "", "project_lead": "Dee"}, "register-name"),
    ("/orgs/datalab/new-project/", {"what": "register", "name": "Lungs", "project_lead": ""}, "register-project_lead"),
    (
        "/orgs/datalab/new-project/",
        {"what": "register", "name": "Lungs", "project_lead": "Dee", "email": "nonsense"},
        "register-email",
    ),
    (
        "/orgs/datalab/new-project/",
        {"what": "register", "name": "Lungs", "project_lead": "Dee", "telephone": "call me"},
        "register-telephone",
    ),
    (
        "/orgs/datalab/new-project/",
        {"what": "register", "name": "Lungs", "project_lead": "Dee", "region": BAD},
        "register-region",
    ),
    (
        "/orgs/datalab/new-project/",
        {"what": "register", "name": "Lungs", "project_lead": "Dee", "purpose": "mail bea@example.org"},
        "register-purpose",
    ),
    (
        "/orgs/datalab/new-project/",
        {
            "what": "register",
            "name": "Lungs",
            "project_lead": "Dee",
            "researchers": "3",
            "researcher_0_name": "",
            "researcher_1_name": "Bea",
            "researcher_2_name": "Cy",
            "researcher_2_trained_at": "yesterday",
        },
        "register-researcher_2_trained_at",
    ),
    ("/users/alice/", {"what": "limits", "trained_until": "soon"}, "limits-trained_until"),
    ("/users/alice/", {"what": "limits", "backends": ["nowhere"]}, "limits-backends"),
    ("/orgs/datalab/trends/settings/", {"what": "limits", "number": "no number!"}, "limits-number"),
    ("/orgs/datalab/trends/settings/", {"what": "limits", "status": "over"}, "limits-status"),
    ("/orgs/datalab/trends/settings/", {"what": "limits", "end_date": "soon"}, "limits-end_date"),
    ("/orgs/datalab/trends/settings/", {"what": "limits", "backends": ["nowhere"]}, "limits-backends"),
    ("/orgs/datalab/trends/settings/", {"what": "limits", "runner_types": "NO!"}, "limits-runner_types"),
    ("/orgs/datalab/trends/settings/", {"what": "rename", "name": ""}, "rename-name"),
    ("/orgs/datalab/trends/settings/", {"what": "rename", "name": BAD}, "rename-name"),
    (
        "/orgs/datalab/trends/settings/",
        {"what": "invite", "username": "bob", "roles": ["ProjectDeveloper"]},
        "invite-username",
    ),
    ("/orgs/datalab/trends/settings/", {"what": "invite", "username": "carol"}, "invite-roles"),
    (
        "/orgs/datalab/trends/settings/",
        {"what": "invite", "username": "", "roles": ["ProjectDeveloper"]},
        "invite-username",
    ),
    (
        "/orgs/datalab/trends/settings/",
        {"what": "invite", "username": "stranger", "roles": ["ProjectDeveloper"]},
        "invite-username",
    ),
    ("/orgs/datalab/trends/settings/", {"what": "member", "username": "bob", "roles": ["Emperor"]}, "member-bob-roles"),
    ("/orgs/datalab/trends/settings/", {"what": "contact", "email": "nonsense"}, "contact-email"),
    ("/orgs/datalab/trends/settings/", {"what": "contact", "telephone": "call me"}, "contact-telephone"),
    ("/workspaces/new/", {"name": "no good", "repo": "study", "branch": "main", "db": "full"}, "name"),
    ("/workspaces/new/", {"name": "plain", "repo": "study", "branch": "main", "db": "full"}, "name"),
    ("/workspaces/new/", {"name": "settings", "repo": "study", "branch": "main", "db": "full"}, "name"),
    ("/workspaces/new/", {"name": "fresh", "repo": "nowhere", "branch": "main", "db": "full"}, "repo"),
    ("/workspaces/new/", {"name": "fresh", "repo": "../secret", "branch": "main", "db": "full"}, "repo"),
    ("/workspaces/new/", {"name": "fresh", "repo": "study", "branch": "nowhere", "db": "full"}, "branch"),
    ("/workspaces/new/", {"name": "fresh", "repo": "study", "branch": "main", "db": "no good"}, "db"),
    (
        "/workspaces/new/",
        {"name": "fresh", "repo": "study", "branch": "main", "db": "full", "project": "datalab/nowhere"},
        "project",
    ),
    ("/plain/", {"backend": "tpp"}, "requested_actions"),
    ("/plain/", {"backend": "nowhere", "requested_actions": ["generate"]}, "backend"),
    ("/plain/", {"backend": "tpp", "requested_actions": ["generate"], "database_name": "moon"}, "database_name"),
    ("/plain/", {"backend": "tpp", "requested_actions": ["nonsense"]}, "requested_actions"),
)
INTERNAL = re.compile(r"\b[a-z]+(?:_[a-z0-9]+)+\b|\.yaml\b|\b[a-z]+\.[0-9]+\b|[A-Z]+_[A-Z]+")


class Page(HTMLParser):
    """The elements with an id, the fields that are marked wrong, and the problems as the summary lists them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.wrong: list[dict[str, str]] = []
        self.focused: list[dict[str, str]] = []
        self.values: dict[str, list[str]] = {}
        self.feed(text)
        summary = re.search(r'<div class="notice bad" role="alert" id="problems">(.*?)</div>', text, re.DOTALL)
        self.problems = re.findall(r"<li>(.*?)</li>", summary[1], re.DOTALL) if summary else []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {key: value or "" for key, value in attrs}
        self.ids += [found["id"]] if "id" in found else []
        self.wrong += [found] if found.get("aria-invalid") == "true" else []
        self.focused += [found] if "autofocus" in found else []
        if tag == "input" and "value" in found and "name" in found:
            self.values.setdefault(found["name"], []).append(found["value"])


@pytest.fixture(scope="module")
def administrator(site: Site) -> Iterator[Browser]:
    with Browser(site, "root") as browser:
        yield browser


@pytest.mark.parametrize(("path", "fields", "field"), FORMS, ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_wrong_stands_at_its_field(
    site: Site, administrator: Browser, path: str, fields: dict[str, object], field: str
) -> None:
    before = site.count("main")
    answer = administrator.submit(path, **fields)
    assert answer.status_code in (400, 404, 409), answer.status_code
    page = Page(answer.text)
    assert page.problems, "no summary of problems"
    assert len(page.ids) == len(set(page.ids))
    for problem in page.problems:
        link = re.fullmatch(r'<a href="#([^"]+)">(.*)</a>', problem.strip(), re.DOTALL)
        assert link, problem
        assert link[1] in page.ids
        words = re.sub(r"<[^>]+>|&#39;.*?&#39;|project\.yaml", "", link[2])  # a value is quoted as it was typed
        assert not INTERNAL.search(words), words
    assert field in [wrong.get("id") for wrong in page.wrong], page.problems
    for wrong in page.wrong:
        described = wrong["aria-describedby"].split() if "aria-describedby" in wrong else []
        assert all(name in page.ids for name in described)
        assert wrong["name"] in ("roles", "requested_actions", "backends") or any(
            name.endswith("-error") for name in described
        )
    assert [focused.get("id") for focused in page.focused] == [field]
    for name, value in fields.items():
        if isinstance(value, str) and name in page.values and "\x01" not in value and name != "what":
            assert value in page.values[name], f"{name} was lost"
    assert site.count("main") == before


def forms_of(text: str) -> set[tuple[str, str]]:
    """(address, button) of the forms in which a person types."""
    found = set()
    for address, body in re.findall(r'<form method="post" action="([^"]+)"[^>]*>(.*?)</form>', text, re.DOTALL):
        typed = re.search(r"<(?:select|textarea)|<input (?![^>]*type=\"(?:hidden|checkbox)\")", body)
        buttons = re.findall(r'<button[^>]*name="what" value="([^"]+)"', body)
        if typed:
            found.add((address, buttons[0] if buttons else ""))
    return found


def test_no_form_is_forgotten(administrator: Browser) -> None:
    tested = {(path, str(fields.get("what", ""))) for path, fields, _ in FORMS}
    found: set[tuple[str, str]] = set()
    for path in {path for path, _, _ in FORMS} | {"/backends/tpp/", "/status/", "/jobs/", "/"}:
        found |= forms_of(administrator.get(path).text)
    missing = {
        (path, what)
        for path, what in found - tested
        # A button that refuses nothing that a person can type, or that only lists more.
        if what not in ("register", "branches", "connect") and (path, "") not in tested
    }
    assert missing == set()


def test_hostile_values_are_shown_as_text(administrator: Browser) -> None:
    answer = administrator.submit("/workspaces/new/", name=HOSTILE, repo=HOSTILE, branch=HOSTILE, db=HOSTILE)
    assert answer.status_code == 404
    assert HOSTILE not in answer.text


def test_the_next_page_says_once_what_was_saved(site: Site, administrator: Browser) -> None:
    assert (
        administrator.submit("/settings/", what="email", email="root@example.org").headers["Location"] == "/settings/"
    )
    assert 'role="status">Saved.<' not in administrator.get("/").text  # another page leaves it
    assert 'role="status">Saved.<' in administrator.get("/settings/").text
    assert 'role="status">Saved.<' not in administrator.get("/settings/").text


def test_a_message_that_this_server_did_not_sign_is_not_shown(site: Site, administrator: Browser) -> None:
    administrator.cookies.set("jobserver-saved", '["/settings/", "You won a prize"]')
    answer: httpx.Response = administrator.get("/settings/")
    administrator.cookies.delete("jobserver-saved")
    assert answer.status_code == 200
    assert "You won a prize" not in answer.text
