"""Two requests of a workspace compared: their code, and the actions that differ in result and in time."""

import re
from html import unescape

from tests.e2e.harness import STUDY, Site, git, job, stamp
from tests.e2e.pages.browser import Browser


def words(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def report(site: Site, identifier: str, minutes: int, analyse: str) -> None:
    done = {"created_at": stamp(minutes), "started_at": stamp(60), "completed_at": stamp(60 * (minutes + 1))}
    with site.client("tpp") as tpp:
        tpp.report(
            job(identifier, f"g{identifier}", "succeeded", 1, **done),
            job(identifier, f"a{identifier}", analyse, 1, action="analyse", **done),
        ).raise_for_status()


def test_what_changed_between_two_requests(site: Site, alice: Browser) -> None:
    folder = site.study("changing", {"project.yaml": STUDY, "analyse.py": "print(1)\nprint(2)\n"})
    site.run("workspace", "add", "changing", "--repo", "changing", "--branch", "main", "--as", "alice")
    first = site.ask("analyse", workspace="changing")
    report(site, first, 5, "succeeded")
    (folder / "analyse.py").write_text("print(1)\nprint('<b>3')\n")
    (folder / "data.bin").write_bytes(b"\0\1\2")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "Count <to> three\n\nMore.")
    second = site.ask("analyse", workspace="changing")
    report(site, second, 20, "failed")

    page = alice.get(f"/changing/compare/?from={first}&to={second}").text
    shown = words(page)
    assert "1 of 2 ended differently" in shown
    rows = re.findall(r"<tr>\s*<td>.*?</tr>", page, re.DOTALL)
    assert "/changing/actions/analyse/" in rows[0], "what failed comes first"
    assert "15m 0s slower" in rows[1]
    assert "Count &lt;to&gt; three" in page
    assert "<del>-print(2)</del>" in page
    assert "<ins>+print(&#39;&lt;b&gt;3&#39;)</ins>" in page
    assert "data.bin" in page
    assert "not text, or too large" in page
    back = words(alice.get(f"/changing/compare/?from={second}&to={first}").text)
    assert "the newer request ran an older commit" in back
    link = f'<a href="/changing/compare/?from={first}&amp;to={second}">'
    request = alice.get(f"/job-requests/{second}/").text
    assert f"{link}what changed since then</a>" in request, "at the failure"
    assert f"{link}compare<" not in request, "once on the page"
    site.ask("analyse", workspace="changing")
    third = site.ask("analyse", workspace="changing")
    assert f'&amp;to={third}">compare<' in alice.get(f"/job-requests/{third}/").text, "at its facts"
    same = words(alice.get(f"/changing/compare/?from={first}&to={first}").text)
    assert "Both requests ran the same commit" in same


def test_what_cannot_be_compared_is_refused(site: Site, alice: Browser) -> None:
    other = site.ask("generate", workspace="slashed")
    mine = site.ask("generate")
    for query, status in {
        f"from={mine}&to={other}": 404,
        f"from={mine}": 400,
        f"from={mine}&to=nonsense": 400,
        f"from={mine}&to={'2' * 16}": 404,
        f"from={mine}&to={mine}&x=1": 400,
    }.items():
        assert alice.get(f"/plain/compare/?{query}").status_code == status, query
