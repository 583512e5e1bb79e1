"""Which workspaces the list of workspaces shows: by words, project, organisation and person, pinned or archived."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from jobserver.domain.job_requests.query import ME
from jobserver.domain.workspaces import Workspace
from jobserver.errors import Fault, invalid
from jobserver.index.directory import Directory
from jobserver.web.pages.forms import text, texts
from jobserver.web.pages.views.search import Choice, Facet

PARAMETERS = ("q", "project", "org", "by", "show", "page")
ADDRESS = "/workspaces/"
SHOWN = {"": "In use", "pinned": "Pinned", "archived": "Archived", "all": "All"}
_FIELDS = {"project": "Project", "org": "Organisation", "by": "Person"}
_MENU = 50


@dataclass(frozen=True, slots=True)
class WorkspaceFilter:
    """An empty field matches everything. ``show``: one of `SHOWN`. ``by``: who created it."""

    words: tuple[str, ...] = ()
    project: tuple[str, ...] = ()
    org: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    show: str = ""

    def url(self, **changes: object) -> str:
        """The URL of the list with this filter."""
        changed = replace(self, **changes)  # type: ignore[arg-type]
        fields = [(name, value) for name in _FIELDS for value in getattr(changed, name)]
        parameters = [("q", " ".join(changed.words)), *fields, ("show", changed.show)]
        query = urlencode([(name, value) for name, value in parameters if value], safe=":/,")
        return f"{ADDRESS}?{query}" if query else ADDRESS


def filter_of_url(directory: Directory) -> WorkspaceFilter:
    """Raises `Error` (invalid) for names that do not exist."""
    project, org, by = (tuple(dict.fromkeys(texts(name)[:_MENU])) for name in _FIELDS)
    chosen = WorkspaceFilter(tuple(text("q", 200).lower().split()), project, org, by, text("show", 20))
    owners = {workspace.created_by for workspace in directory.workspaces.values()}
    existing: dict[str, Collection[str]] = {
        "project": directory.projects,
        "org": directory.orgs,
        "by": {ME, *directory.users, *owners},
    }
    faults = [
        Fault(f"{_FIELDS[name].lower()} {value!r} does not exist", key=name)
        for name, names in existing.items()
        for value in getattr(chosen, name)
        if value not in names
    ]
    if chosen.show not in SHOWN:
        faults.append(Fault(f"expected one of: {', '.join(filter(None, SHOWN))}", key="show"))
    if faults:
        raise invalid(faults[0].message, faults[0].key, faults)
    return chosen


def listed(directory: Directory, chosen: WorkspaceFilter, username: str, pinned: Collection[str]) -> list[Workspace]:
    """Pinned ones first, then by name."""
    matches = [
        workspace
        for workspace in directory.workspaces.values()
        if not _misses(workspace, chosen, username) and _is_shown(workspace, chosen.show, pinned)
    ]
    return sorted(matches, key=lambda workspace: (workspace.name not in pinned, workspace.name))


def facets(directory: Directory, chosen: WorkspaceFilter, username: str, pinned: Collection[str]) -> list[Facet]:
    """The values of each filter with their numbers of workspaces, when all other filters are applied."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in _FIELDS}
    for workspace in directory.workspaces.values():
        if not _is_shown(workspace, chosen.show, pinned):
            continue
        misses = _misses(workspace, chosen, username)
        for name, value in _values(workspace).items():
            if value and misses in ([], [name]):
                counts[name][value] += 1
    return [Facet(label, _choices(chosen, name, counts[name])) for name, label in _FIELDS.items()]


def _choices(chosen: WorkspaceFilter, name: str, counts: Counter[str]) -> list[Choice]:
    known: tuple[str, ...] = getattr(chosen, name)
    return [
        Choice(
            value,
            chosen.url(**{name: tuple(v for v in known if v != value) if value in known else (*known, value)}),
            count,
            value in known,
        )
        for value, count in counts.most_common(_MENU)
    ]


def chips(chosen: WorkspaceFilter) -> list[tuple[str, str]]:
    """(what is applied, the URL without it)."""
    fields = [
        (f"{name}:{value}", chosen.url(**{name: tuple(v for v in getattr(chosen, name) if v != value)}))
        for name in _FIELDS
        for value in getattr(chosen, name)
    ]
    return [*fields, *((f"“{word}”", chosen.url(words=_without(chosen.words, word))) for word in chosen.words)]


def _without(words: Sequence[str], word: str) -> tuple[str, ...]:
    return tuple(other for other in words if other != word)


def _values(workspace: Workspace) -> Mapping[str, str]:
    project = workspace.project or ""
    return {"project": project, "org": project.partition("/")[0], "by": workspace.created_by}


def _misses(workspace: Workspace, chosen: WorkspaceFilter, username: str) -> list[str]:
    """The filters that the workspace does not meet; "words" if it does not have every word."""
    values = _values(workspace)
    misses = []
    for name, value in values.items():
        wanted = [username if name == "by" and entry == ME else entry for entry in getattr(chosen, name)]
        if wanted and value not in wanted:
            misses.append(name)
    about = f"{workspace.name} {workspace.repo} {workspace.branch} {values['project']} {workspace.created_by}".lower()
    return [*misses, *(["words"] if not all(word in about for word in chosen.words) else [])]


def _is_shown(workspace: Workspace, show: str, pinned: Collection[str]) -> bool:
    match show:
        case "pinned":
            return workspace.name in pinned
        case "archived":
            return workspace.archived
        case "all":
            return True
    return not workspace.archived
