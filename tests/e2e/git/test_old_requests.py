"""Requests of version 1, with their pipeline inside: an upgrade leaves them, and everybody reads them."""

from pathlib import Path

import yaml

from tests.e2e.git.clone import Clone, active
from tests.e2e.harness import Site, job
from tests.e2e.pages.browser import Browser

ACTIONS = {
    "generate": {"needs": [], "run": "python:v2 g.py"},
    "analyse": {"needs": ["generate"], "run": "python:v2 a.py"},
    "report": {"needs": ["analyse"], "run": "python:v2 r.py"},
    "run_all": {"needs": ["generate"], "run": ""},  # of a study's own: runners ignore it
}


def older(site: Site, tmp_path: Path) -> str:
    """The id of a request as the server wrote it before, put there by a push."""
    identifier = site.ask("run_all")
    folder = active(site, identifier)
    clone = Clone(site, tmp_path / "root", "root", "backends/tpp")
    found = yaml.load((clone.folder / folder / "request.yaml").read_text(), yaml.BaseLoader)
    assert found.pop("version") == "2"
    clone.commit(**{f"{folder}/{name}.yaml": None for name in ("request", "pipeline")})
    text = yaml.safe_dump({"version": 1, **_typed(found), "pipeline": ACTIONS}, sort_keys=False)
    clone.commit(**{f"{folder}/request.yaml": text})
    done = clone.push()
    assert done.returncode == 0, done.stderr
    assert [path.rsplit("/", 1)[1] for path in site.files(identifier)] == ["request.yaml"]
    return identifier


def _typed(found: dict[str, object]) -> dict[str, object]:
    flags = {"true": True, "false": False}
    values = {key: flags.get(value, value) if isinstance(value, str) else value for key, value in found.items()}
    return {key: None if value == "null" else value for key, value in values.items()}


def test_a_request_of_version_1_is_listed_shown_cancelled_and_archived(site: Site, tmp_path: Path) -> None:
    identifier = older(site, tmp_path)
    with site.client("tpp") as tpp, site.client("alice") as api, Browser(site, "alice") as alice:
        assert identifier in tpp.listed()
        page = alice.get(f"/job-requests/{identifier}/").text
        assert "python:v2 r.py" in page
        assert "3 unknown" in page or page.count('class="node') == 6
        tpp.report(job(identifier, f"g{identifier}", "running", 1))
        assert "python:v2 g.py" in alice.get(f"/jobs/g{identifier}/").text
        item = api.post(f"/api/v2/job-requests/{identifier}/cancel/").json()
        assert item["cancelled_actions"] == ["generate", "analyse", "report"]
        tpp.report(job(identifier, f"g{identifier}", "failed", 2, status_code="cancelled_by_user"))
    assert all(path.startswith("archive/") for path in site.files(identifier))
    site.check_record()


def test_a_pipeline_beside_it_can_not_be_pushed_nor_changed(site: Site, tmp_path: Path) -> None:
    identifier = older(site, tmp_path)
    new = site.ask("generate")
    clone = Clone(site, tmp_path / "again", "root", "backends/tpp")
    for one, said in (
        (identifier, "its request.yaml has the pipeline already"),
        (new, "a job request cannot be changed"),
    ):
        path = f"{active(site, one)}/pipeline.yaml"
        clone.commit(**{path: "version: 1\nactions:\n  generate:\n    needs: []\n    run: rm\n"})
        done = clone.push()
        assert done.returncode == 1
        assert f"{path}: {said}" in done.stderr
        clone.git("reset", "--hard", "-q", "HEAD~1")
