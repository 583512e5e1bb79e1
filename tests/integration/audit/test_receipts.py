"""Pushes and what `audit` says of them: a receipt that is missing, forged or wrong is noticed, and named."""

import pytest

from jobserver.audit.log import LogFilter, log
from jobserver.domain.base.permissions import SERVER, Actor
from jobserver.domain.base.state import Change, Changes
from jobserver.domain.record import Checkpoint, Receipt, RecordPush
from tests.integration.audit.tampering import GONE, illegal, move, problems, stolen, with_file
from tests.integration.service.push.pushing import EVE, Push, folder_of, text
from tests.site import ADMIN, TPP, Site, job


def pushed(site: Site, actor: Actor, branch: str, *files: tuple[str, str | None]) -> Push:
    push = Push(site, branch)
    push.commit(*files, message="by hand")
    push.send(actor)
    push.land()
    return push


def test_pushes_are_covered_by_their_receipts(site: Site) -> None:
    identifier = site.ask("generate")
    path = f"{folder_of(site, identifier)}/jobs/j.yaml"
    archived = site.git("show", "main:workspaces/trends.yaml").replace("archived: false", "archived: true")
    one = pushed(site, ADMIN, "main", ("users/eve.yaml", EVE), ("workspaces/trends.yaml", archived), ("README.md", "x"))
    two = pushed(site, TPP, "backends/tpp", (path, text(job("j", "running", 1))))
    assert problems(site) == ""
    entries = {entry.commit: entry for entry in log(site.path, LogFilter(event="pushed"))}
    assert {sha: entry.actor for sha, entry in entries.items()} == {one.tip: "user/admin", two.tip: "backend/tpp"}
    assert (entries[one.tip].workspaces, entries[one.tip].requests) == (("trends",), ())
    assert (entries[two.tip].workspaces, entries[two.tip].requests) == ((), (identifier,))
    assert entries[two.tip].as_dict() == {
        "commit": two.tip,
        "branch": "backends/tpp",
        "at": "2026-11-24T09:00:14Z",  # when it was received
        "event": "pushed",
        "actor": "backend/tpp",
        "subject": "by hand",
        "requests": (identifier,),
        "workspaces": (),
        "via": "git",
    }


def test_a_receipt_that_is_missing(site: Site) -> None:
    push = Push(site, "main")
    push.commit(("users/eve.yaml", EVE))
    push.land()
    assert f"main {push.tip[:10]}: is not signed, and no receipt of a push covers it" in problems(site)


def test_a_receipt_for_what_was_never_legal(site: Site) -> None:
    """The rules are replayed for pushes too: a receipt says who, not that they might."""
    push = Push(site, "main")
    push.commit(("users/eve.yaml", EVE))
    site.do(SERVER, RecordPush("main", push.old, push.tip, "user/alice"))
    push.land()
    assert f"main {push.tip[:10]}: alice cannot create the user eve" in problems(site)


def test_a_receipt_for_keys_of_somebody_elses(site: Site) -> None:
    push = Push(site, "main")
    push.commit(("allowed_signers", site.git("show", "main:allowed_signers") + "# mine\n"))
    site.do(SERVER, RecordPush("main", push.old, push.tip, "user/admin"))
    push.land()
    assert f"main {push.tip[:10]}: changes allowed_signers" in problems(site)


def test_a_receipt_over_what_the_server_signed(site: Site) -> None:
    old, new = site.git("rev-parse", "main~1", "main").split()
    site.do(SERVER, RecordPush("main", old, new, "user/admin"))
    assert f"main {new[:10]}: is signed by the server, but a receipt says user/admin pushed it" in problems(site)


def test_receipts_of_pushes_that_did_not_land_are_legal(site: Site) -> None:
    site.do(SERVER, RecordPush("main", GONE, "2" * 40, "user/admin"))
    assert problems(site) == ""
    assert "pushed" not in {entry.event for entry in log(site.path, LogFilter())}


def test_receipts_and_checkpoints_are_numbered(site: Site) -> None:
    tip = site.git("rev-parse", "main").strip()
    receipt = Receipt(number=2, branch="main", old=GONE, new="2" * 40, pusher="user/admin", received_at=site.now)
    illegal(site, SERVER, Changes("audit", "push.received", "x", (Change("receipt.yaml", None, receipt),)))
    assert "audit : the receipts are not numbered in sequence" in problems(site).replace("audit:", "audit :")
    before = site.repo.writer.read("audit", lambda state: state.checkpoint())
    after = Checkpoint(number=7, tips={"main": tip}, made_at=site.now)
    illegal(site, SERVER, Changes("audit", "tips.checkpointed", "x", (Change("checkpoint.yaml", before, after),)))
    assert "the checkpoints are not numbered in sequence" in problems(site)


def test_only_the_server_writes_audit(site: Site) -> None:
    receipt = Receipt(number=1, branch="main", old=GONE, new="2" * 40, pusher="user/admin", received_at=site.now)
    illegal(site, ADMIN, Changes("audit", "push.received", "x", (Change("receipt.yaml", None, receipt),)))
    assert "is by user/admin: only the server writes audit" in problems(site)


def test_an_audit_that_can_not_be_read(site: Site) -> None:
    pushed(site, ADMIN, "main", ("users/eve.yaml", EVE))
    for path, content in (("receipt.yaml", "x"), ("checkpoint.yaml", "version: 1\nnumber: 0\n")):
        event = "push.received" if path == "receipt.yaml" else "tips.checkpointed"
        kept = site.git("rev-parse", "audit").strip()
        tree = with_file(site, "audit", path, content)
        stolen(site, "audit", f"Event: {event}", "Actor: server/jobserver", "Branch: audit", tree=tree)
        found = problems(site)
        assert f"audit: can't be read: {path}" in found
        assert "no receipt of a push covers it" in found
        assert "pushed" not in {entry.event for entry in log(site.path, LogFilter())}  # nobody knows who
        move(site, "audit", kept)
    site.git("update-ref", "-d", "refs/heads/audit")
    assert "pushed" not in {entry.event for entry in log(site.path, LogFilter())}


def test_a_forbidden_claim_of_a_pushed_commit_is_found_later_too(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a record of the time when it might, it is legal."""
    for policy, expected in ((1, ""), (2, "only the server may write the trailer actor:")):
        push = Push(site, "main")
        push.commit(("README.md", f"x{policy}"), message="x\n\nactor: user/alice", at="1973-05-01T00:00:00Z")
        with monkeypatch.context() as older:
            older.setattr("jobserver.store.write.commit_builder.POLICY", policy)
            site.do(SERVER, RecordPush("main", push.old, push.tip, "user/admin"))
        push.land()
        found = problems(site)
        assert expected in found if expected else found == ""
    assert "and the commit before it" not in found  # the one before it is as old as it is
