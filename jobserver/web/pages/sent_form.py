"""A form that was refused: what was typed, and which field is wrong in which way. Pure.

The one map from errors, which name keys of documents, to the fields and labels that people see.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from jobserver.domain.governance.analysis_scope import KNOWN
from jobserver.errors import Error, Fault
from jobserver.web.pages.views.registration_form import TEXTS

LABELS = {
    "actions": "Actions",
    "backend": "Backend",
    "backends": "Backends",
    "branch": "Branch",
    "component_access": "Components",
    "database_name": "Database",
    "databases": "Databases",
    "dataset_permissions": "Datasets",
    "db": "Database",
    "declaration": "Declaration",
    "email": "Email",
    "end_date": "Last day",
    "expires": "Expires",
    "github_id": "GitHub user id",
    "job_title": "Job title",
    "label": "Token name",
    "level": "Level",
    "name": "Name",
    "note": "Note",
    "number": "Number",
    "output_approvals": "Approvals for each file",
    "parent_directory": "Parent directory",
    "population_permissions": "Populations",
    "project": "Project",
    "project_lead": "Project lead",
    "q": "Search",
    "ref": "Branch, tag or commit",
    "region": "Region",
    "repo": "Repository",
    "requested_actions": "Actions",
    "requires_training": "Training",
    "roles": "Roles",
    "runner_types": "Runner types",
    "scope": "Scope",
    "slug": "Short name",
    "status": "Status",
    "team_name": "Team",
    "telephone": "Telephone",
    "text": "Message",
    "trained_until": "Trained until",
    "url": "URL",
    "username": "User name",
    "when": "Email me about job requests",
    "workspace": "Workspace",
} | TEXTS
"""Field of a form -> what people call it."""
# Key of a document -> the field of the form that it comes from, where the two differ.
_KEYS = (
    (re.compile(r"(?:registration\.)?researchers\.(\d+)\.name"), r"researcher_\1_name"),
    (re.compile(r"(?:registration\.)?researchers\.(\d+)\.passed_researcher_training_at"), r"researcher_\1_trained_at"),
    (re.compile(r"tokens\.\d+\.(\w+)"), r"\1"),
    (re.compile(r"(?:invitations|members)(?:\..*)?"), "username"),
    (re.compile(r"registration\.(\w+)"), r"\1"),
    (re.compile(r"analysis_scope\.(\w+)(?:\.\d+)?"), r"\1"),
    (re.compile(r"(\w+)\.\d+"), r"\1"),
)
_RESEARCHER = re.compile(r"researcher_(\d+)_(name|trained_at)")
# A browser leaves these out where none is checked.
_BOXES = frozenset({"roles", "requested_actions", "declaration", "backends", *KNOWN})
_WORD = re.compile(r"[a-z]+(?=[\s,:]|$)")
_SUBJECTS = ("username", "workspace", "label", "project")


@dataclass(frozen=True, slots=True)
class FormProblem:
    """``message``: one or more sentences. ``field``: the name of the form's field, or empty."""

    message: str
    field: str = ""

    @property
    def label(self) -> str:
        if match := _RESEARCHER.fullmatch(self.field):
            return f"Researcher {int(match[1]) + 1}, {'name' if match[2] == 'name' else 'date of training'}"
        return LABELS.get(self.field, "")


@dataclass(frozen=True, slots=True)
class FormState:
    """One of a page's forms: empty as the page has it, or as it was sent and refused."""

    prefix: str
    typed: Mapping[str, Sequence[str]] | None = None
    problems: Sequence[FormProblem] = ()

    def id(self, name: str) -> str:
        """Of the element of a field; no other form of the page has it."""
        return f"{self.prefix}{name}"

    def value(self, name: str, default: str = "") -> str:
        """What was typed, else ``default``."""
        values = (self.typed or {}).get(name)
        return values[0] if values else default

    def has(self, name: str, value: str, default: bool = False) -> bool:
        """Whether a box is checked."""
        return default if self.typed is None else value in self.typed.get(name, ())

    def error(self, name: str) -> str:
        return " ".join(problem.message for problem in self.problems if problem.field == name)

    def is_first(self, name: str) -> bool:
        """Whether this is the first field with a problem, which gets the focus."""
        return next((problem.field for problem in self.problems if problem.field), "") == name


@dataclass(frozen=True, slots=True)
class SentForm:
    """``typed``: field -> values, in the order of the form. ``problems``: in the order of their fields. ``is_kept``: it
    was not sent, because the session had ended."""

    typed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    problems: Sequence[FormProblem] = ()
    is_kept: bool = False

    def form(self, button: str = "", subject: str = "") -> FormState:
        """The form with the button ``button`` about ``subject``; on a page with one form, neither is needed."""
        prefix = "".join(f"{re.sub(r'[^A-Za-z0-9_-]', '-', part)}-" for part in (button, subject) if part)
        return FormState(prefix, self.typed, self.problems) if self._is(button, subject) else FormState(prefix)

    def _is(self, button: str, subject: str) -> bool:
        subjects = [value for key in _SUBJECTS for value in self.typed.get(key, ())]
        was_sent = bool(self.typed or self.problems)
        return was_sent and button in ("", *self.typed.get("what", ())) and (not subject or subject in subjects)

    def address(self, problem: FormProblem) -> str:
        """Where the summary of problems links to; empty for a problem without a field on the page."""
        if not problem.field or not (problem.field in self.typed or problem.field in _BOXES):
            return ""
        buttons = self.typed.get("what", ())
        subject = next((self.typed[key][0] for key in _SUBJECTS if key in self.typed and _is_hidden(key, buttons)), "")
        return f"#{self.form(buttons[0] if buttons else '', subject).id(problem.field)}"


def _is_hidden(key: str, buttons: Sequence[str]) -> bool:
    """Whether this field says which of several equal forms was sent."""
    return key == "username" and "member" in buttons


def sent_form(error: Error, fields: Sequence[tuple[str, str]], names: Collection[str]) -> SentForm:
    """``fields``: (name, value) as the browser sent them. ``names``: of people and things, which stay as they are."""
    typed = _grouped(fields)
    order = list(typed)
    words = {word for values in typed.values() for value in values for word in re.split(r"[\s,;]+", value)}
    problems = dict.fromkeys(_problems(error, typed, words.union(names)))

    def place(problem: FormProblem) -> int:
        return order.index(problem.field) if problem.field in typed else len(order)

    return SentForm(typed, sorted(problems, key=place))


def kept_form(fields: Sequence[tuple[str, str]]) -> SentForm:
    """``fields``: as for `sent_form`; none where nothing was kept."""
    return SentForm(_grouped(fields), is_kept=bool(fields))


def _grouped(fields: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    typed: dict[str, list[str]] = {}
    for name, value in fields:
        typed.setdefault(name, []).append(value)
    return typed


def _problems(error: Error, typed: Mapping[str, Sequence[str]], names: Collection[str]) -> Iterator[FormProblem]:
    for fault in error.faults or [Fault(error.message, key=error.field or error.where)]:
        name = _field(fault.key) or error.field
        yield FormProblem(sentence(_message(fault, "".join(typed.get(name, "x"))), names), name)


def _field(key: str) -> str:
    """The field of the form for a key of a document; empty for a key that no form has."""
    for pattern, name in _KEYS:
        if pattern.fullmatch(key):
            key = pattern.sub(name, key)
            break
    return key if key in LABELS or _RESEARCHER.fullmatch(key) else ""


def _message(fault: Fault, value: str) -> str:
    if fault.path and not fault.path.endswith(".yaml"):
        return f"{fault.path}: {fault.message}"
    if fault.path.endswith("project.yaml") and "/" not in fault.path:  # the person's own file, not one of the record
        return f"project.yaml{f', line {fault.line}' if fault.line else ''}: {fault.message}"
    if not value and fault.message.startswith("expected"):
        return f"fill in this field: {fault.message}"
    return fault.message


def sentence(message: str, names: Collection[str] = ()) -> str:
    """With a capital, unless it begins with one of ``names``, and a full stop."""
    first = _WORD.match(message)
    if first is not None and first[0] not in names:
        message = message[0].upper() + message[1:]
    return message if message.endswith((".", "?", "!", ":")) else f"{message}."
