"""A token's digest is on no page, whoever looks: not in a diff, and not in what is wrong with a document."""

import re
from pathlib import Path

import pytest

from jobserver.domain.backends import Backend, RotateBackendToken
from jobserver.domain.job_requests.pipelines import PipelineAction
from jobserver.domain.job_requests.requests import RequestJobs
from jobserver.domain.users import AddUserToken, RevokeUserToken, User
from jobserver.errors import Error
from jobserver.store.yaml import codec
from jobserver.web.pages.views import audit_tab
from tests.site import ADMIN, ALICE, Site

HEX = re.compile(r"[0-9A-Fa-f]{64}")


@pytest.mark.parametrize("path", ["backends/tpp.yaml", "users/alice.yaml"])
def test_no_diff_shows_a_digest(tmp_path: Path, path: str) -> None:
    site = Site(tmp_path)
    try:
        site.do(ADMIN, RotateBackendToken("tpp", "b" * 64, keep_old=True))
        site.do(ALICE, AddUserToken("alice", "laptop", "c" * 64))
        site.do(ALICE, RevokeUserToken("alice", "laptop"))
        page = audit_tab.audit_page(site.repo, {"main": [path]})
        shown = "\n".join(line for entry in page.entries for line in entry.changes.lines)
    finally:
        site.gate.close()
        site.repo.close()
    assert "+- sha256: (a digest)" in shown
    assert "-- sha256: (a digest)" in shown or path == "backends/tpp.yaml"
    assert not HEX.search(shown)


def test_an_image_in_a_pipeline_is_shown_with_its_digest(tmp_path: Path) -> None:
    site = Site(tmp_path)
    digest = "d" * 64
    try:
        pipeline = {"generate": PipelineAction(run=f"python@sha256:{digest} x.py")}
        site.do(ALICE, RequestJobs("trends", "tpp", ("generate",), "0" * 40, pipeline))
        found = audit_tab.audit_page(site.repo, {"backends/tpp": ["active"]}).entries
    finally:
        site.gate.close()
        site.repo.close()
    assert digest in "\n".join(line for entry in found for line in entry.changes.lines)


@pytest.mark.parametrize(("model", "head"), [(User, "username: alice"), (Backend, "slug: tpp\nname: TPP")])
def test_a_token_in_the_place_of_its_digest_is_not_quoted(model: type[User] | type[Backend], head: str) -> None:
    secret = "0123456789abcdef0123456789abcdef01234567"
    data = f"version: 1\n{head}\ntokens:\n- sha256: {secret}\n  label: x\n  created_at: 2026-11-23T20:15:04Z\n"
    with pytest.raises(Error, match="expected the SHA-256 of a token, 64 hex digits") as refused:
        codec.read(model, data.encode(), "x.yaml")
    assert secret not in "".join(map(str, refused.value.faults))
