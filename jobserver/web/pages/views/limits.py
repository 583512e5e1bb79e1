"""The limits of projects and people as pages show and change them: what they may use, and until when."""

import re
from typing import Any

from jobserver.domain.base.permissions import Permission
from jobserver.domain.governance.analysis_scope import KNOWN, scope_json
from jobserver.domain.governance.endings import endings
from jobserver.domain.governance.project_limits import ChangeProject, ProjectStatus
from jobserver.domain.outputs.approvals import DEFAULT_APPROVALS
from jobserver.domain.projects import Project, SetOutputApprovals
from jobserver.domain.users import ChangeUser, User, may_manage
from jobserver.errors import invalid
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.forms import text, texts

_SEPARATORS = re.compile(r"[\s,;]+")
SCOPES = {
    "dataset_permissions": ("Datasets", "Beyond those that every project can use."),
    "population_permissions": ("Populations", "People who are left out unless a project can include them."),
    "component_access": ("Components", "Parts of ehrQL beyond those that every project can use."),
}
Options = list[tuple[str, str, str]]
"""(value, label, meaning) of boxes."""


def project_limits(context: PageContext, project: Project, sees_people: bool) -> dict[str, Any]:
    """For the project's page. ``sees_people``: whether this person may know about the training of its members."""
    ends = endings(context.directory, project, context.now.date())
    return {
        "endings": [ending for ending in ends if sees_people or not ending.username],
        "scopes": [(SCOPES[key][0], names) for key, names in scope_json(project.analysis_scope).items()],
    }


def project_form(context: PageContext, project: Project) -> dict[str, Any]:
    """For the project's settings."""
    known = scope_json(project.analysis_scope)
    return {
        "can_limit": context.may(Permission.MANAGE_PROJECTS) or context.may(Permission.GOVERN),
        "can_govern": context.may(Permission.GOVERN, f"{project.org}/{project.slug}"),
        "default_approvals": DEFAULT_APPROVALS,
        "statuses": [(status.value, status.value.capitalize()) for status in ProjectStatus],
        "backend_options": backend_options(context),
        "scope_boxes": [
            (key, label, hint, _options((*KNOWN[key], *known.get(key, ()))), known.get(key, []))
            for key, (label, hint) in SCOPES.items()
        ],
    }


def project_command(name: str) -> ChangeProject:
    """The command of the form in the project's settings."""
    values: dict[str, Any] = {key: text(key, 100) or None for key in ("number", "status", "end_date")}
    values["backends"] = texts("backends") or None
    values["runner_types"] = list(filter(None, _SEPARATORS.split(text("runner_types", 5000)))) or None
    values["analysis_scope"] = {key: texts(key) for key in SCOPES}
    values["requires_training"] = bool(text("requires_training")) or None
    return ChangeProject(name, values)


def approvals_command(name: str) -> SetOutputApprovals:
    """The command of the form in the project's settings. Raises `Error` (invalid)."""
    number = text("output_approvals", 10)
    if number not in ("", "1", "2", "3"):
        raise invalid("expected 1, 2 or 3", "output_approvals")
    return SetOutputApprovals(name, int(number) if number else None)


def person_form(context: PageContext, person: User) -> dict[str, Any]:
    """For a person's page."""
    can_change = may_manage(context.directory, context.user, person)
    return {"can_change": can_change, "backend_options": backend_options(context)}


def person_command(username: str) -> ChangeUser:
    """The command of the form on a person's page."""
    values = {"backends": texts("backends") or None, "trained_until": text("trained_until", 100) or None}
    return ChangeUser(username, values)


def backend_options(context: PageContext) -> Options:
    return [(backend.slug, backend.name, "") for backend in context.directory.backends.values()]


def _options(names: tuple[str, ...]) -> Options:
    return [(name, name, "") for name in dict.fromkeys(names)]
