"""project.yaml and diffs as HTML: escaped, with highlighted parts, and scripts linked at their commit. Pure."""

import re
from collections.abc import Iterable, Mapping
from itertools import islice

from markupsafe import Markup, escape

from jobserver.domain.job_requests.pipelines import PipelineAction
from jobserver.web.pages.format.github import blob, is_on_github

_LINE = re.compile(r"(?P<lead>\s*(?:- )*)(?:(?P<key>[\w .\"'/-]+?)(?P<colon>:)(?=\s|$))?(?P<rest>.*)")
_COMMENT = re.compile(r"(?:^|\s)#.*$")
_SCRIPT = re.compile(
    r"(?<![\w./:@-])(?:[\w-][\w.-]*+/)*[\w-][\w.-]*\.(?:py|ipynb|R|r|Rmd|do|jl|sh|sql|yaml|yml|json)(?![\w./-])"
)
_MOST_LINES, _MOST_CHARS = 1000, 50_000
_CUT = "The rest of the file is not shown."


def scripts(run: str) -> list[str]:
    """The files of the study that a `run` line names, without duplicates."""
    return list(dict.fromkeys(path for path in _SCRIPT.findall(run) if ".." not in path))


def yaml(source: str, repo: str, sha: str) -> Markup:
    """project.yaml with its keys, comments and strings highlighted, and its scripts linked. A long file is cut."""
    lines = source[:_MOST_CHARS].splitlines()
    is_cut = len(source) > _MOST_CHARS or len(lines) > _MOST_LINES
    text = Markup("\n").join(_yaml_line(line, repo, sha) for line in lines[:_MOST_LINES])
    return text + Markup("\n<i># {}</i>").format(_CUT) if is_cut else text


def recorded(pipeline: Mapping[str, PipelineAction]) -> str:
    """The actions of a request's pipeline, written as in project.yaml; at least as many as `yaml` shows."""
    lines = ["actions:"]
    for name, action in islice(pipeline.items(), _MOST_LINES):
        lines += ["", f"  {name}:", f"    run: {action.run}"]
        if action.needs:
            lines.append(f"    needs: [{', '.join(action.needs)}]")
    return "\n".join(lines)


def diff(lines: Iterable[str]) -> Markup:
    return Markup("\n").join(_diff_line(line) for line in lines)


def _yaml_line(line: str, repo: str, sha: str) -> Markup:
    comment = _COMMENT.search(line)
    if comment and line[: comment.start()].count('"') % 2 == 0 and line[: comment.start()].count("'") % 2 == 0:
        return _yaml_line(line[: comment.start()], repo, sha) + Markup("<i>{}</i>").format(comment[0])
    match = _LINE.fullmatch(line)
    if match is None or not match["key"]:
        return _value(line, repo, sha)
    return escape(match["lead"]) + Markup("<b>{}</b>:").format(match["key"]) + _value(match["rest"], repo, sha)


def _value(text: str, repo: str, sha: str) -> Markup:
    bare = text.strip()
    if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "\"'":
        return Markup("{}<q>{}</q>").format(text[: text.index(bare)], bare)
    if not is_on_github(repo):
        return escape(text)
    html, end = Markup(), 0
    for match in _SCRIPT.finditer(text):
        if ".." not in match[0]:
            html += escape(text[end : match.start()])
            html += Markup('<a href="{}">{}</a>').format(blob(repo, sha, match[0]), match[0])
            end = match.end()
    return html + escape(text[end:])


def _diff_line(line: str) -> Markup:
    if line.startswith(("+++", "---", "@@", "rename ", "similarity ")):
        return Markup("<b>{}</b>").format(line)
    if line.startswith("+"):
        return Markup("<ins>{}</ins>").format(line)
    if line.startswith("-"):
        return Markup("<del>{}</del>").format(line)
    return escape(line)
