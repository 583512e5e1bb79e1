"""The audit tab reads the branch, and nothing else of its name; and believes what the server signed."""

from jobserver.domain.users import AddUser
from jobserver.web.pages.views.audit_tab import audit_page
from jobserver.web.pages.views.history import commit_at
from tests.integration.audit.tampering import commit
from tests.integration.service.push.pushing import EVE, Push
from tests.site import ADMIN, Site

PATHS = ["users/zed.yaml"]


def test_a_tag_and_a_file_of_a_branchs_name_are_not_it(site: Site) -> None:
    tip = site.do(ADMIN, AddUser("zed")).commit
    forged = commit(site, "main", "main~1", message="x\n\nActor: user/alice")
    site.git("update-ref", "refs/tags/main", forged)
    (site.path / "main").write_text(forged + "\n")
    assert [one.commit.sha for one in audit_page(site.repo, {"main": PATHS}).entries] == [tip]
    assert commit_at(site.repo, "main", site.clock().isoformat(), site.now) == tip


def test_a_receipt_that_no_server_signed_is_none(site: Site) -> None:
    push = Push(site, "main")
    push.commit(("users/zed.yaml", EVE.replace("eve", "zed")))
    push.land()
    receipt = f"version: 1\nnumber: 1\nbranch: main\nold: {push.old}\nnew: {push.tip}\npusher: user/alice\n"
    forged = Push(site, "audit")
    said = "x\n\nEvent: push.received\nBranch: audit\nPolicy: 2"
    forged.commit(("receipt.yaml", f"{receipt}received_at: 2026-11-24T09:00:00Z\n"), message=said)
    forged.land()
    (found,) = audit_page(site.repo, {"main": PATHS}).entries
    assert (found.actor, found.is_sound) == ("unknown person", False)
