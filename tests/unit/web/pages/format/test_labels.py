"""Every status code that runners send is said in words; times and flags too."""

from datetime import UTC, datetime, timedelta

import pytest

from jobserver.domain.base.permissions import GRANTS, Permission, Role
from jobserver.web.pages import render
from jobserver.web.pages.format import labels

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
CODES = ["created", "initiated", "paused", "waiting_db_maintenance", "waiting_on_dependencies", "waiting_on_workers",
         "waiting_on_db_workers", "waiting_on_reboot", "waiting_on_new_task", "preparing", "prepared", "executing",
         "executed", "finalizing", "finalized", "succeeded", "dependency_failed", "nonzero_exit", "cancelled_by_user",
         "unmatched_patterns", "internal_error", "killed_by_admin", "stale_codelists", "job_error"]  # fmt: skip
FAILURES = CODES[CODES.index("succeeded") + 1 :]


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_said(code: str) -> None:
    said, following = labels.meaning(code)
    assert said.endswith(".")
    assert bool(following) or code not in FAILURES, "a failure says what to do next"


def test_an_unknown_code_says_nothing() -> None:
    assert labels.meaning("brand_new") == ("", "")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "just now"), (59, "59 seconds ago"), (60, "1 minute ago"), (7199, "1 hour ago"), (-180, "in 3 minutes"),
     (86400 * 3, "3 days ago")],
)  # fmt: skip
def test_a_time_is_told_as_how_long_ago_it_was(seconds: int, said: str) -> None:
    assert labels.ago(NOW - timedelta(seconds=seconds), NOW) == said


def test_flags_are_said_with_their_time() -> None:
    flags: dict[str, dict[str, object]] = {
        "paused": {"v": "true", "ts": "2026-11-24T10:00:00Z"},
        "mode": {"v": "", "ts": None},
        "manual-db-maintenance": {"v": "on", "ts": "nonsense"},
    }
    found = labels.raised(flags)
    assert [since for _, since in found] == [NOW - timedelta(hours=2), None]
    assert "paused" in found[0][0]
    assert "by hand" in found[1][0]


def test_what_a_runner_leaves_alone_is_a_flag() -> None:
    flags: dict[str, dict[str, object]] = {"refusing": {"v": "aaa bbb", "ts": "2026-11-24T10:00:00Z"}}
    assert "nobody vouches for" in labels.raised(flags)[0][0]
    assert labels.is_refused("aaa", flags)
    assert not labels.is_refused("aa", flags)
    assert not labels.is_refused("aaa", {"refusing": {"v": None, "ts": None}})
    assert labels.is_refused("ccc", {"refusing": {"v": "backends/tpp", "ts": None}})


def test_a_workspace_shows_its_releases_to_who_may_see_them() -> None:
    assert [name for name, _ in labels.workspace_tabs("trends", False)] == ["Run", "Event log", "Audit"]
    assert ("Releases", "/trends/releases/") in labels.workspace_tabs("trends", True)


def test_every_role_says_what_it_permits() -> None:
    assert set(labels.PERMISSIONS) == set(Permission)
    for role in Role:
        assert (labels.may(role) == "may only look") is (not GRANTS[role])
    assert labels.may("ProjectDeveloper") == "runs jobs, cancels jobs, checks output: sees what is released"
    assert labels.may("SuperUser") == "may do everything"


def test_what_stands_between_backticks_is_code_and_nothing_is_markup() -> None:
    assert render.marked("there is no `<run>` & more") == "there is no <code>&lt;run&gt;</code> &amp; more"
    assert render.marked("<b> one ` alone") == "&lt;b&gt; one ` alone"


def test_no_time_is_negative() -> None:
    assert (labels.clock(3725.9), labels.clock(-5)) == ("01:02:05", "00:00:00")


@pytest.mark.parametrize("micros", [1 << 62, -(1 << 62), 10**18 * 9])
def test_what_is_beyond_all_years_is_the_last_of_them(micros: int) -> None:
    """A push may bring jobs that ended in the year 9999, and an estimate adds up how long they took."""
    found = labels.moment(micros)
    assert found is not None
    assert found.year in (1, 9999)
    assert labels.ago(found, NOW)
