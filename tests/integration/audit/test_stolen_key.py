"""What somebody with the server's key, or with its disk, could write: each is noticed, and named."""

import pytest

from jobserver.audit import verify as verifying
from jobserver.audit.verify import verify
from jobserver.errors import Error
from tests.integration.audit.tampering import GONE, commit, move, problems, stolen, with_file
from tests.integration.service.push.pushing import EVE
from tests.site import Site

OPENED = ("Event: branch.opened", "Actor: server/jobserver", "Branch: main")


@pytest.mark.parametrize(
    ("trailers", "expected"),
    [
        (("Event: branch.opened", "Branch: main"), "has no valid Actor: trailer: ''"),
        (("Event: branch.opened", "Actor: root/x", "Branch: main"), "has no valid Actor: trailer: 'root/x'"),
        (OPENED, "says Event: branch.opened, but does something else"),
        (("Event: user.created", "Actor: server/jobserver", "Branch: main"), "says Event: user.created, but does"),
        (
            ("Event: user.updated", "Actor: user/admin", "Branch: main"),
            "says Actor: user/admin, but its author is jobserver@jobs.example",
        ),
        (
            ("Event: user.updated", "Actor: server/jobserver", "Branch: main", f"Main: {GONE}"),
            f"says Main: {GONE[:10]}, which is not in the history of main",
        ),
    ],
)
def test_what_a_stolen_key_signs_has_to_agree_with_itself(site: Site, trailers: tuple[str, ...], expected: str) -> None:
    sha = stolen(site, "main", *trailers)
    assert f"main {sha[:10]}: {expected}" in problems(site)


def test_a_file_that_is_no_document_rides_along(site: Site) -> None:
    tree = with_file(site, "main", "README.md", "Trust me.\n")
    stolen(site, "main", "Event: user.updated", "Actor: server/jobserver", "Branch: main", tree=tree)
    assert "says Event: user.updated, but changes README.md" in problems(site)


def test_keys_change_nothing_but_keys(site: Site) -> None:
    tree = with_file(site, "main", "users/eve.yaml", EVE)
    stolen(site, "main", "Event: keys.rotated", "Actor: server/jobserver", "Branch: main", tree=tree)
    assert "says Event: keys.rotated, but changes documents" in problems(site)


@pytest.mark.parametrize(
    ("who", "branch", "event", "expected"),
    [
        ("bob", "main", "keys.rotated", "bob cannot change the server's keys on main"),
        ("eve", "main", "key.revoked", "eve is not an active user"),
        ("admin", "backends/tpp", "keys.rotated", "admin is not an active user"),
        ("admin", "main", "branch.opened", "is by user/admin: only the server opens a branch"),
    ],
)
def test_keys_are_changed_by_superusers_on_main(site: Site, who: str, branch: str, event: str, expected: str) -> None:
    author = f"{who}@users.jobs.example"
    sha = stolen(site, branch, f"Event: {event}", f"Actor: user/{who}", f"Branch: {branch}", author=author)
    assert f"{branch} {sha[:10]}: {expected}" in problems(site)


def test_a_commit_that_is_older_than_the_one_before_it_is_named(site: Site) -> None:
    stolen(site, "main", "Event: keys.rotated", "Actor: server/jobserver", "Branch: main", time=1_700_000_000)
    assert "is older than the commit before it" in problems(site)


def test_a_branch_that_begins_with_something_else(site: Site) -> None:
    sha = stolen(
        site,
        "main",
        "Event: user.created",
        "Actor: user/admin",
        "Branch: main",
        parents=(),
        author="admin@users.jobs.example",
    )
    found = problems(site)
    assert f"main {sha[:10]}: is the first commit of its branch, but does not open the branch" in found
    assert "rolled back, forked or swapped" in found


def test_a_commit_whose_files_are_gone(site: Site) -> None:
    branch = "backends/tpp"
    says = ("Event: keys.rotated", "Actor: server/jobserver", f"Branch: {branch}")
    first = stolen(site, branch, *says, tree=GONE)
    assert f"{branch} {first[:10]}: can't be read: " in problems(site)
    tree = site.git("rev-parse", f"{branch}~1^{{tree}}").strip()
    second = stolen(site, branch, *says, tree=tree)
    found = problems(site)
    assert found.count("can't be read") == 2  # what came after it can't be judged on it either
    assert f"{branch} {second[:10]}: can't be read: " in found


def test_a_commit_that_is_gone_ends_the_verification(site: Site) -> None:
    first = commit(site, "main", "main")
    move(site, "main", commit(site, "main", first))
    (site.path / "objects" / first[:2] / first[2:]).unlink()
    with pytest.raises(Error, match="git"):
        verify(site.path)


def test_long_histories_are_judged_side_by_side(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(6):
        site.ask("generate")
    whole = verify(site.path)
    monkeypatch.setattr(verifying, "_RANGE", 4)
    told: list[tuple[int, int]] = []
    assert verify(site.path, progress=lambda done, all_: told.append((done, all_))) == whole
    assert told[-1] == (whole.commits, whole.commits)
    sha = stolen(site, "backends/tpp", "Event: jobs.updated", "Actor: backend/tpp", "Branch: backends/tpp")
    assert sha[:10] in problems(site)
