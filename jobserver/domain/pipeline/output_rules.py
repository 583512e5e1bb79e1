"""The allowed paths of outputs, and the outputs that commands of ehrQL need. Part of `pipeline`; pure."""

import posixpath
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch

HIGHLY, MODERATELY, MINIMALLY = LEVELS = ("highly_sensitive", "moderately_sensitive", "minimally_sensitive")

# Files that people can view outside of the secure database: tables, images, reports.
_SHOWN = (".csv", ".jpg", ".jpeg", ".png", ".svg", ".svgz", ".html", ".txt", ".log", ".json", ".md")
_DRIVE = re.compile(r"[A-Za-z]:/")
_EHRQL = re.compile(r"(?:ehrql|databuilder):\S+ generate[-_](dataset|measures)")


def path_problem(path: str, level: str) -> str:
    """What is wrong with an output's path, in words that follow the path; empty if nothing is."""
    if "\\" in path:
        return "has a backslash; expected / between folders"
    if pattern := next((sign for sign in ("**", "?", "[") if sign in path), ""):
        return f"has {pattern}; only * is allowed"
    name = path.rpartition("/")[2]
    dot = name.rfind(".")
    suffix = name[dot:] if 0 < dot < len(name) - 1 else ""
    if suffix == "" or suffix.endswith("*"):
        return "has no file type; expected one at its end, such as .csv"
    if level == MODERATELY and suffix not in _SHOWN:
        return f"can't be {MODERATELY}; expected one of: {', '.join(_SHOWN)}"
    if path.startswith("/") or _DRIVE.match(path):
        return "is absolute; expected a path inside the study"
    if posixpath.normpath(path) != path:
        return "is not a plain path; expected one without `..`, `.` and double slashes"
    if path.startswith("metadata/"):
        return "is in metadata/, where the runner keeps its own files"
    return ""


def ehrql_problem(run: str, words: Sequence[str], outputs: Mapping[str, Sequence[str]]) -> str:
    """What is wrong with the outputs of a command that makes a dataset or measures; empty if nothing is.

    ``outputs``: level -> paths.
    """
    match = _EHRQL.match(run)
    if match is None:
        return ""
    if match[1] == "dataset" and (outputs.get(MODERATELY) or outputs.get(MINIMALLY)):
        return f"a dataset is {HIGHLY}; expected no output of another level"
    target = _target(words)
    if not target:
        return "the command has no --output"
    paths = [*outputs.get(HIGHLY, ()), *(outputs.get(MODERATELY, ()) if match[1] == "measures" else ())]
    *above, name = [part for part in target.split("/") if part not in ("", ".")] or [""]
    folder, separator, kind = name.rpartition(":")
    if not separator:
        return "" if target in paths else f"no output has the path of --output, {target}"
    place = "/".join([*above, folder] if folder else above) or "."
    pattern = f"{'/' if target.startswith('/') else ''}{place}/*.{kind}"
    if all(fnmatch(path, pattern) for path in paths):
        return ""
    return f"--output says {target}; expected outputs like {pattern}"


def _target(words: Sequence[str]) -> str:
    """The value of the first ``--output`` of a command; empty if there is none."""
    for index, word in enumerate(words):
        if word == "--output":
            return words[index + 1] if index + 1 < len(words) else ""
        if word.startswith("--output="):
            return word.removeprefix("--output=")
    return ""
