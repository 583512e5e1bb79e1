"""Status codes, flags, roles and times have words."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from jobserver.domain.base.permissions import GRANTS, Permission, Role
from jobserver.domain.outputs.approvals import ReleaseState, Standing
from jobserver.domain.outputs.documents import CheckedFile, CheckedRelease, Deed, Tombstone
from jobserver.web.pages import render
from jobserver.web.pages.format import labels, tabs, times

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
CODES = ["created", "initiated", "paused", "waiting_db_maintenance", "waiting_on_dependencies", "waiting_on_workers",
         "waiting_on_db_workers", "waiting_on_reboot", "waiting_on_new_task", "preparing", "prepared", "executing",
         "executed", "finalizing", "finalized", "succeeded", "dependency_failed", "nonzero_exit", "cancelled_by_user",
         "unmatched_patterns", "internal_error", "killed_by_admin", "stale_codelists", "job_error"]  # fmt: skip
FAILURES = CODES[CODES.index("succeeded") + 1 :]


@pytest.mark.parametrize("code", CODES)
def test_every_status_code_has_an_explanation(code: str) -> None:
    explanation, advice = labels.status_code(code)
    assert explanation.endswith(".")
    assert bool(advice) or code not in FAILURES, "a failure says what to do next"


def test_an_unknown_status_code_has_no_explanation() -> None:
    assert labels.status_code("brand_new") == ("", "")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "just now"), (59, "59 seconds ago"), (60, "1 minute ago"), (7199, "1 hour ago"), (-180, "in 3 minutes"),
     (86400 * 3, "3 days ago")],
)  # fmt: skip
def test_times_are_relative(seconds: int, text: str) -> None:
    assert times.ago(NOW - timedelta(seconds=seconds), NOW) == text


def test_only_people_who_can_view_releases_have_the_tab() -> None:
    assert [name for name, _ in tabs.workspace("trends", False)] == ["Run", "Event log", "Trends", "Audit"]
    assert ("Releases", "/trends/releases/") in tabs.workspace("trends", True)


def test_every_role_has_its_permissions_in_words() -> None:
    assert set(labels.PERMISSIONS) == set(Permission)
    for role in Role:
        assert (labels.permissions(role) == "Can view pages") is (not GRANTS[role])
    assert labels.permissions("ProjectDeveloper") == "Can run jobs, cancel jobs, check outputs and view released files"
    assert (
        labels.permissions("SuperUser")
        == "Can do everything, except to approve outputs and to say how many approvals they need"
    )


def test_no_expectation_lies_in_the_past() -> None:
    at = times.micros(NOW)
    for seconds, text in ((90, "in 1 minute"), (5, "in 5 seconds"), (4, "any moment now"), (-3600, "any moment now")):
        assert f">{text}<" in render.expected(at + seconds * 1_000_000, NOW)
    assert ">0 seconds<" in render.left(at - 1, NOW)


def test_roles_are_words() -> None:
    assert labels.roles(["CoreDeveloper", "Auditor"]) == "Core developer, Auditor"
    assert labels.roles(["SuperUser"]) == "Superuser"
    assert labels.roles([]) == "–"
    assert not [role for role in Role if not re.fullmatch(r"[A-Z][a-z]+( [a-z]+)*", role.words)]


def test_metrics_have_units() -> None:
    assert labels.metric("cpu_mean", 12.3) == ("Average CPU", "12%")
    assert labels.metric("mem_mb_peak", 2048) == ("Peak memory", "2,048 MB")
    assert labels.metric("brand_new", "?") == ("brand new", "?")


def test_text_between_backticks_is_code_and_all_text_is_escaped() -> None:
    assert render.marked("there is no `<run>` & more") == "there is no <code>&lt;run&gt;</code> &amp; more"
    assert render.marked("<b> one ` alone") == "&lt;b&gt; one ` alone"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0s"), (8.9, "8s"), (48 * 60 + 8, "48m 8s"), (3725.9, "1h 2m"), (86400 * 3 + 3600 * 4, "3d 4h")],
)
def test_a_duration_has_its_two_largest_units_and_is_never_negative(seconds: float, text: str) -> None:
    assert times.duration(seconds) == text


@pytest.mark.parametrize(("micros", "text"), [(0, "under 1s"), (999_999, "under 1s"), (1_000_000, "1s")])
def test_what_was_quicker_than_a_second_did_not_take_none(micros: int, text: str) -> None:
    assert render.elapsed(10**15, 10**15 + micros) == text


@pytest.mark.parametrize("micros", [1 << 62, -(1 << 62), 10**18 * 9])
def test_a_time_outside_all_years_is_the_first_or_last_of_them(micros: int) -> None:
    """A push may bring jobs that ended in the year 9999, and an estimate adds up how long they took."""
    moment = times.moment(micros)
    assert moment is not None
    assert moment.year in (1, 9999)
    assert times.ago(moment, NOW)


@pytest.mark.parametrize(
    ("actor", "trailer", "words"),
    [
        ("user/alice", "web", "alice on a web page"),
        ("backend/tpp", "http", "the runner of tpp through the API"),
        ("server/jobserver", "cli/root", "the server with a command (root)"),
        ("unknown person", "pigeon", "unknown person via pigeon"),
    ],
)
def test_who_changed_something_and_how_has_words(actor: str, trailer: str, words: str) -> None:
    assert f"{labels.actor(actor)} {labels.via(trailer)}" == words


@pytest.mark.parametrize("is_uploaded", [False, True])
def test_only_contents_that_left_their_backend_are_erased(is_uploaded: bool) -> None:
    file = CheckedFile(path="a", size=1, sha256="0" * 64, uploaded=Deed(by="jane", at=NOW) if is_uploaded else None)
    release = CheckedRelease(
        identifier="01J9ZQ4V8N6T3W5X7Y9A1B2C3D",
        workspace="trends",
        backend="tpp",
        author="bob",
        created_at=NOW,
        files=(file,),
        withdrawn=Tombstone(by="bob", at=NOW, reason="An error"),
    )
    sentence = labels.release_sentence(release, ReleaseState.WITHDRAWN, Standing(2, frozenset()))
    assert ("erased" in sentence) is is_uploaded
    assert "withdrawn" in sentence
