"""Limits on pages: a service administrator sets them, the project's page says what ends, and the run page refuses in
plain words, without the paths of documents."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.harness import Site, serving
from tests.e2e.pages.browser import Browser

PROJECT = "/orgs/datalab/trends/"
SETTINGS = f"{PROJECT}settings/"
NONE = {"number": "", "status": "ongoing", "end_date": "", "what": "limits"}


def day(after: int) -> str:
    return (datetime.now(UTC) + timedelta(days=after)).date().isoformat()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    made.run("user", "add", "service", "--role", "ServiceAdministrator")
    made.run("user", "add", "lead")
    made.run("project", "member", "datalab/trends", "lead", "--role", "ProjectCoordinator")
    with serving(made):
        yield made


@pytest.fixture(scope="module")
def people(site: Site) -> Iterator[dict[str, Browser]]:
    with Browser(site, "service") as service, Browser(site, "bob") as bob, Browser(site, "lead") as lead:
        yield {"service": service, "bob": bob, "lead": lead}


@pytest.fixture(autouse=True)
def unlimited(people: dict[str, Browser]) -> Iterator[None]:
    yield
    assert people["service"].submit(SETTINGS, **NONE).status_code == 303
    assert people["service"].submit("/users/bob/", what="limits", trained_until="").status_code == 303


def test_limits_are_saved_and_shown(people: dict[str, Browser]) -> None:
    service, bob = people["service"], people["bob"]
    wanted = NONE | {
        "number": "POS-2025-2001",
        "end_date": "2999-12-31",
        "backends": ["tpp"],
        "dataset_permissions": ["icnarc"],
        "runner_types": "python, r",
        "requires_training": "on",
    }
    assert "Saved the limits." in service.lead(SETTINGS, **wanted).text
    shown = bob.get(PROJECT).text
    for words in ("POS-2025-2001", "2999-12-31", "icnarc", "python, r", "Only people whose training is recorded"):
        assert words in shown
    assert "Soon to end" not in shown
    service.submit(SETTINGS, **NONE)
    assert "<h2>Limits</h2>" not in bob.get(PROJECT).text


def test_a_wrong_limit_is_named_at_its_field_and_what_was_typed_stays(people: dict[str, Browser]) -> None:
    reply = people["service"].submit(SETTINGS, **NONE | {"number": "no number!", "dataset_permissions": ["nonsense"]})
    assert reply.status_code == 400
    assert 'value="no number!"' in reply.text
    assert "Number:" in reply.text
    assert ".yaml" not in reply.text


def test_the_page_says_30_days_before_what_will_end(people: dict[str, Browser]) -> None:
    service, bob, lead = people["service"], people["bob"], people["lead"]
    service.submit(SETTINGS, **NONE | {"end_date": day(31)})
    assert "Soon to end" not in bob.get(PROJECT).text
    service.submit(SETTINGS, **NONE | {"end_date": day(30)})
    service.submit("/users/bob/", what="limits", trained_until=day(3))
    for reader in (bob, lead):
        shown = " ".join(reader.get(PROJECT).text.split())
        assert f"The project ends on {day(30)}." in shown
        assert f"The training of bob ends on {day(3)}." in shown
    service.submit("/users/bob/", what="limits", trained_until=day(-1))
    assert f"The training of bob ended on {day(-1)}." in " ".join(lead.get(PROJECT).text.split())


def test_the_run_page_says_why_nothing_can_be_requested(people: dict[str, Browser]) -> None:
    service, bob = people["service"], people["bob"]
    request = {"requested_actions": "generate", "backend": "tpp"}
    page = bob.get("/grouped/")
    form = {"form": Browser.token(page), **request}
    assert "Run selected actions" in page.text
    service.submit(SETTINGS, **NONE | {"status": "completed"})
    page = bob.get("/grouped/")
    assert "You cannot request jobs here." in page.text
    assert "The project is completed: people can request jobs for an ongoing project only." in page.text
    assert "Run selected actions" not in page.text
    refused = bob.post("/grouped/", data=form)  # from the page before
    assert refused.status_code == 403
    assert "The project is completed: people can request jobs for an ongoing project only." in refused.text
    assert "projects/datalab" not in refused.text
    assert "This project is completed." in bob.get(PROJECT).text


def test_only_backends_within_the_limits_are_offered(people: dict[str, Browser]) -> None:
    service, bob = people["service"], people["bob"]
    service.submit(SETTINGS, **NONE | {"backends": ["emis"]})
    page = bob.get("/grouped/").text
    assert 'value="emis"' in page
    assert 'value="tpp"' not in page
    service.submit("/users/bob/", what="limits", backends=["tpp"])
    assert "You cannot request jobs here." in bob.get("/grouped/").text


def test_a_service_administrator_sees_people_and_only_what_they_can_change(people: dict[str, Browser]) -> None:
    service, bob, lead = people["service"], people["bob"], people["lead"]
    assert ">People</a>" in service.get("/").text
    assert ">Backends</a>" not in service.get("/").text
    shown = service.get("/users/bob/").text
    assert 'value="OutputChecker"' in shown
    assert 'value="SuperUser"' not in shown
    assert "Save limits" in shown
    assert "Save limits" not in service.get("/users/root/").text
    assert service.submit("/users/bob/", what="roles", roles=["SuperUser"], active="on").status_code == 403
    assert service.get("/backends/").status_code == 403
    assert service.get("/orgs/new/").status_code == 200
    assert bob.get("/users/").status_code == 403
    assert "Limits" not in lead.get(SETTINGS).text
    forged = {"form": Browser.token(lead.get(SETTINGS)), **NONE, "status": "retired"}
    assert lead.post(SETTINGS, data=forged).status_code == 403
