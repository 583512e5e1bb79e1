"""Studies of thousands of actions, and small files that stand for much: asked for, shown and told, at a real server."""

import subprocess

import pytest

from tests.e2e.harness import Client, Site, git, job
from tests.e2e.pages.browser import Browser
from tests.samples import only_whole, size

COUNT = size(1100, 4125)


def large(count: int = COUNT) -> str:
    """As large as the largest that is known: about 2.4 MB."""
    lines = ["version: '5.0'", "actions:"]
    for number in range(count):
        name = f"describe_cohort_by_region_and_age_band_{number}"
        lines += [
            f"  {name}:",
            f"    run: r:v2 analysis/descriptive/describe.R --outcome outcome_{number} {'--subgroup none ' * 16}",
            *([f"    needs: [describe_cohort_by_region_and_age_band_{number // 2}]"] if number else []),
            "    outputs:",
            f"      moderately_sensitive: {{table: output/descriptive/table_{number}.csv}}",
        ]
    return "\n".join([*lines, ""])


@pytest.fixture(scope="module")
def big(site: Site) -> Site:
    study = large()
    assert len(study) > 485 * COUNT
    site.study("big-study", {"project.yaml": study})
    site.run("workspace", "add", "big", "--repo", "big-study", "--branch", "main", "--as", "alice")
    return site


def test_a_large_pipeline_is_shown_as_a_list_and_can_be_requested(big: Site, alice: Browser) -> None:
    page = alice.get("/big/").text
    assert page.count("data-action") == COUNT
    assert "too many to draw" in page
    assert "<svg class=" not in page.partition('id="state"')[2].partition('id="run"')[0]
    assert len(page) < 2_000_000
    chosen = [f"describe_cohort_by_region_and_age_band_{number}" for number in range(COUNT * 3 // 4)]
    answer = alice.submit("/big/", requested_actions=chosen, backend="tpp", database_name="full")
    assert answer.status_code == 303, answer.text
    path = answer.headers["Location"]
    assert alice.get(path).status_code == 200
    alice.submit(f"{path}cancel/", page=path)
    assert len(alice.get(path).text) < 500_000


def test_a_pipeline_is_stored_once_however_often_it_runs(big: Site) -> None:
    with big.client("alice") as api, big.client("tpp") as tpp:
        made = [big.ask("run_all", workspace="big") for _ in range(3)]
        listed = tpp.get("/api/v2/job-requests/")
        assert len(listed.content) < 100_000 or "subgroup" not in listed.text
        assert "--subgroup" not in listed.text
        for identifier in made:
            assert api.post(f"/api/v2/job-requests/{identifier}/cancel/").status_code == 200
    listed = big.git("ls-tree", "-r", "backends/tpp", "active/")
    rows = [row.split() for row in listed.splitlines() if any(identifier in row for identifier in made)]
    assert len({sha for _, _, sha, path in rows if path.endswith("/pipeline.yaml")}) == 1
    assert len([path for _, _, _, path in rows if path.endswith("/pipeline.yaml")]) == 3
    big.check_record()


def test_many_jobs_of_a_request_are_grouped_by_status(big: Site, alice: Browser) -> None:
    identifier = big.ask("run_all", workspace="big")
    many = COUNT * 3 // 5
    jobs = [
        job(identifier, f"{identifier}{n}", "failed" if n == many - 100 else "pending", 1,
            action=f"describe_cohort_by_region_and_age_band_{n}")
        for n in range(many)
    ]  # fmt: skip
    with big.client("tpp") as tpp:
        assert tpp.report(*jobs).status_code == 200
    page = alice.get(f"/job-requests/{identifier}/").text
    assert page.count('<li class="job">') == 100
    assert page.count('class="short"') == many - 100
    assert page.index(f"/jobs/{identifier}{many - 100}/") < page.index(f"/jobs/{identifier}0/")
    assert len(page) < 2_000_000


@only_whole
def test_dense_needs_make_no_large_page(site: Site, alice: Browser) -> None:
    """22 KiB once made a page of 30 MB."""
    names = [f"a{n}" for n in range(1000)]
    lines = ["version: '5.0'", f"x: &all [{', '.join(names[:500])}]", "actions:"]
    lines += [f"  {name}: {{run: python:v2 {name}.py}}" for name in names[:500]]
    lines += [f"  {name}: {{run: python:v2 {name}.py, needs: *all}}" for name in names[500:]]
    site.study("dense-study", {"project.yaml": "\n".join(lines).replace("'5.0'", "'4.0'")})
    site.run("workspace", "add", "dense", "--repo", "dense-study", "--branch", "main", "--as", "alice")
    page = alice.get("/dense/").text
    assert "too many to draw" in page
    assert len(page) < 500_000


def test_merges_end_and_their_fault_is_kept(site: Site, alice: Browser) -> None:
    """978 KiB once took 32 seconds at every look."""
    parts = "".join(f"p{n}: &p{n} {{k{n}: 1}}\n" for n in range(4000))
    merged = f"all: &all {{<<: [{', '.join(f'*p{n}' for n in range(4000))}]}}\n"
    actions = "".join(f"  a{n}: {{run: x, <<: *all}}\n" for n in range(4000))
    site.study("merged-study", {"project.yaml": f"{parts}{merged}actions:\n{actions}"})
    site.run("workspace", "add", "merged", "--repo", "merged-study", "--branch", "main", "--as", "alice")
    page = alice.get("/merged/").text
    assert "more than 1000000 values" in page


BAD = """\
version: '5.0'
actions:
  extract:
    run: python extract.py
    outputs:
      moderatly_sensitive:
        table: output/table.csv
  other:
    run: python:v2 other.py
    outputs: {highly_sensitive: {table: output/a.csv, again: output/a.csv}}
lost:
  run: python:v2 lost.py
  outputs: {highly_sensitive: {table: output/lost.csv}}
"""


def ask(site: Site, client: Client) -> tuple[int, dict[str, object]]:
    body = {"requested_actions": ["run_all"], "backend": "tpp"}
    answer = client.post("/api/v2/workspaces/doubtful/job-requests/", json=body, headers={"Idempotency-Key": "same"})
    return answer.status_code, answer.json()


def test_a_pipeline_that_a_runner_would_refuse_is_refused_or_warned_of(site: Site, alice: Browser) -> None:
    study = site.study("doubtful-study", {"project.yaml": BAD})
    site.run("workspace", "add", "doubtful", "--repo", "doubtful-study", "--branch", "main", "--as", "alice")
    warnings = [
        "project.yaml:11: lost: unknown key; it looks like an action: should it be indented below",
        "project.yaml:6: actions.extract.outputs.moderatly_sensitive: unknown level; "
        "did you mean moderately_sensitive?",
        "project.yaml:4: actions.extract.run: &#39;python&#39; is not an image with a version",
        "&#39;output/a.csv&#39; is an output of &#39;other&#39; already",
    ]
    page = alice.get("/doubtful/").text
    for warning in warnings:
        text = warning.partition(": ")[2].split(": ", 1)[-1]
        assert text.replace("&#39;", "'") in page.replace("&#39;", "'"), warning
    with site.client("alice") as api:
        assert ask(site, api)[0] == 400
        (study / "project.yaml").write_text(BAD.replace("'5.0'", "'3.0'"))
        git(study, "commit", "-qam", "older")
        status, item = ask(site, api)
        assert status == 201
        assert [str(one).split(": ")[0] for one in item["warnings"]] == [  # type: ignore[attr-defined]
            "project.yaml:1",
            "project.yaml:11",
            "project.yaml:6",
            "project.yaml:5",
            "project.yaml:4",
            "project.yaml:10",
        ]
        assert ask(site, api) == (status, item)  # word for word, also from the record
    assert "6 warnings about the study" in alice.get("/doubtful/").text
    assert "6 warnings about the study" in alice.get(f"/job-requests/{item['identifier']}/").text
    done: subprocess.CompletedProcess[str] = site.command(
        "request", "doubtful", "run_all", "--backend", "tpp", "--as", "alice"
    )
    assert done.returncode == 0
    assert done.stderr.count("warning: project.yaml:") == 6
    assert len(done.stdout.split()) == 1


def test_a_pipeline_is_grouped_as_the_address_says(site: Site, alice: Browser) -> None:
    names = [f"table_{number}" for number in range(45)]
    lines = ["version: '4.0'", "actions:", *(f"  {name}: {{run: python:latest {name}.py}}" for name in names)]
    site.study("wide-study", {"project.yaml": "\n".join([*lines, ""])})
    site.run("workspace", "add", "many", "--repo", "wide-study", "--branch", "main", "--as", "alice")
    assert "table… (45)" in alice.get("/many/").text
    assert "table… (45)" in alice.get("/many/?requested_actions=run_all").text
    assert "table… (44)" in alice.get("/many/?requested_actions=table_7").text
    assert "table… (45)" not in alice.get("/many/?group=stage&open=table@0").text
    assert "45 actions" in alice.get("/many/?group=status").text
    refused = alice.get("/many/?group=colour")
    assert refused.status_code == 400
    assert "choose stage, status, none" in refused.text
    hostile = alice.get("/many/", params={"group": "stage", "open": '"><script>alert(1)</script>'})
    assert "<script>alert" not in hostile.text
