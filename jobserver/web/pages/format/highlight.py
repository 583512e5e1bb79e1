"""project.yaml and diffs as text with marks: escaped always, coloured, scripts linked at their commit. Pure."""

import re
from collections.abc import Iterable, Mapping
from itertools import islice

from markupsafe import Markup, escape

from jobserver.domain.job_requests.pipelines import PipelineAction

_LINE = re.compile(r"(?P<lead>\s*(?:- )*)(?:(?P<key>[\w .\"'/-]+?)(?P<colon>:)(?=\s|$))?(?P<rest>.*)")
_COMMENT = re.compile(r"(?:^|\s)#.*$")
_SCRIPT = re.compile(
    r"(?<![\w./:@-])(?:[\w-][\w.-]*+/)*[\w-][\w.-]*\.(?:py|ipynb|R|r|Rmd|do|jl|sh|sql|yaml|yml|json)(?![\w./-])"
)
GITHUB = "https://github.com/"
_MOST_LINES, _MOST_CHARS = 1000, 50_000
_CUT = "and so on: this is its beginning"


def scripts(run: str) -> list[str]:
    """The files of the study that a run line names, each once."""
    return list(dict.fromkeys(path for path in _SCRIPT.findall(run) if ".." not in path))


def blob(repo: str, sha: str, path: str) -> str:
    """Where ``path`` can be read at that commit; empty where the study is not on GitHub."""
    return f"{repo}/blob/{sha}/{path}" if repo.startswith(GITHUB) else ""


def yaml(source: str, repo: str, sha: str) -> Markup:
    """project.yaml with its keys, comments and strings marked, and its scripts linked; of a long one the beginning."""
    lines = source[:_MOST_CHARS].splitlines()
    is_cut = len(source) > _MOST_CHARS or len(lines) > _MOST_LINES
    text = Markup("\n").join(_yaml_line(line, repo, sha) for line in lines[:_MOST_LINES])
    return text + Markup("\n<i># {}</i>").format(_CUT) if is_cut else text


def recorded(pipeline: Mapping[str, PipelineAction]) -> str:
    """The actions as a request's pipeline has them, written as in project.yaml; as many as `yaml` shows, and more."""
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
    found = _LINE.fullmatch(line)
    if found is None or not found["key"]:
        return _value(line, repo, sha)
    return escape(found["lead"]) + Markup("<b>{}</b>:").format(found["key"]) + _value(found["rest"], repo, sha)


def _value(text: str, repo: str, sha: str) -> Markup:
    bare = text.strip()
    if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "\"'":
        return Markup("{}<q>{}</q>").format(text[: text.index(bare)], bare)
    if not repo.startswith(GITHUB):
        return escape(text)
    said, at = Markup(), 0
    for match in _SCRIPT.finditer(text):
        if ".." not in match[0]:
            said += escape(text[at : match.start()])
            said += Markup('<a href="{}">{}</a>').format(blob(repo, sha, match[0]), match[0])
            at = match.end()
    return said + escape(text[at:])


def _diff_line(line: str) -> Markup:
    if line.startswith(("+++", "---", "@@", "rename ", "similarity ")):
        return Markup("<b>{}</b>").format(line)
    if line.startswith("+"):
        return Markup("<ins>{}</ins>").format(line)
    if line.startswith("-"):
        return Markup("<del>{}</del>").format(line)
    return escape(line)
