"""project.yaml and diffs with marks: escaped whatever they hold, scripts linked at their commit and nowhere else."""

import re

import pytest

from jobserver.domain.job_requests.pipelines import PipelineAction
from jobserver.web.pages.format import highlight

REPO, SHA = "https://github.com/org/study", "a" * 40


@pytest.mark.parametrize(
    ("run", "wanted"),
    [
        ("python:latest python analysis/a.py --config b.yaml", ["analysis/a.py", "b.yaml"]),
        ("r:latest analysis/models/last.R output/x.csv", ["analysis/models/last.R"]),
        ("python:3.11 python a.py a.py", ["a.py"]),
        ("stata-mp:latest analysis/model.do", ["analysis/model.do"]),
        ("cohortextractor:latest generate_cohort --study-definition x", []),
        ("python:latest python ../secret.py /etc/x.py", []),
        ("python:latest python https://evil.example/x.py", []),
    ],
)
def test_the_scripts_of_a_run_line(run: str, wanted: list[str]) -> None:
    assert highlight.scripts(run) == wanted


def test_scripts_are_linked_at_the_commit_on_github_only() -> None:
    line = "    run: python:latest python analysis/a.py"
    assert f'<a href="{REPO}/blob/{SHA}/analysis/a.py">analysis/a.py</a>' in highlight.yaml(line, REPO, SHA)
    assert "<a" not in highlight.yaml(line, "study", SHA)
    assert "<b>run</b>:" in highlight.yaml(line, "study", SHA)


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "key<script>: <img src=x onerror=y>",
        "# <b onclick=x>a comment</b>",
        '  - "<i>\'quoted</i>" # <q>',
        'run: python a.py"><script>.py',
        "a: '<x>'",
    ],
)
def test_whatever_it_holds_is_text(text: str) -> None:
    for said in (
        str(highlight.yaml(text, REPO, SHA)),
        str(highlight.diff([text, f"+{text}", f"-{text}", f"+++{text}"])),
    ):
        left = re.sub(r"</?(?:b|i|q|ins|del)>|<a href=\"[^\"<>]*\">|</a>", "", said)
        assert "<" not in left
        assert ">" not in left


def test_nothing_is_lost_by_marking() -> None:
    text = "version: '4.0'\n# a comment\nactions:\n  a:\n    run: python:latest python a.py  # why\n    needs: [b, c]\n"
    plain = re.sub(r"<[^>]*>", "", str(highlight.yaml(text, REPO, SHA))).replace("&#39;", "'")
    assert plain == text.rstrip("\n")


def test_a_hash_in_a_string_is_no_comment() -> None:
    assert "<i>" not in highlight.yaml("run: python 'a # b.py'", "study", SHA)


def test_the_recorded_pipeline_reads_like_project_yaml() -> None:
    pipeline = {
        "a": PipelineAction(needs=(), run="python:latest python a.py"),
        "b": PipelineAction(needs=("a",), run="r:latest b.R"),
    }
    said = highlight.recorded(pipeline)
    assert "  b:\n    run: r:latest b.R\n    needs: [a]" in said


def test_a_long_file_is_shown_in_part() -> None:
    whole = "\n".join(["actions:", *(f"  a{n}: {{run: x}}" for n in range(999)), ""])
    assert "not shown" not in highlight.yaml(whole, REPO, SHA)
    assert highlight.yaml(f"{whole}  more: 1\n", REPO, SHA).endswith("<i># The rest of the file is not shown.</i>")
    assert "not shown" in highlight.yaml("x" * 50_001, REPO, SHA)
    many = {f"a{n}": PipelineAction(run="x") for n in range(1001)}
    assert "not shown" in highlight.yaml(highlight.recorded(many), REPO, SHA)
