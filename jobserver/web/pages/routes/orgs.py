"""Organisations, and registering a project in one of them."""

import logging
from collections import Counter

from bottle import HTTPResponse

from jobserver.domain.base import names
from jobserver.domain.base.permissions import Permission
from jobserver.domain.orgs import AddOrg, Org
from jobserver.domain.projects import AddProject, Project
from jobserver.errors import Error, invalid, not_found
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.forms import idempotency_key, text
from jobserver.web.pages.redirects import redirect
from jobserver.web.pages.site import Site
from jobserver.web.pages.views import registration_form
from jobserver.web.pages.views.registration_form import Answers

_log = logging.getLogger(__name__)


class Orgs:
    """Added before the projects, whose addresses are below these."""

    def __init__(self, site: Site) -> None:
        self._site, self._services = site, site.services
        site.add("/orgs/", self.index, filters=())
        site.add("/orgs/new/", self.new, self.add)
        site.add("/orgs/<org>/", self.show)
        site.add("/orgs/<org>/new-project/", self.new_project, self.register)

    def index(self, context: PageContext) -> HTTPResponse:
        projects: dict[str, list[tuple[str, Project]]] = {slug: [] for slug in context.directory.orgs}
        for name, project in context.directory.projects.items():
            projects.setdefault(project.org, []).append((name, project))
        return self._site.page(
            context, "projects/orgs.html", title="Projects", projects=projects, workspaces=_workspaces(context)
        )

    def new(self, context: PageContext) -> HTTPResponse:
        context.check_service(Permission.MANAGE_PROJECTS)
        return self._site.page(context, "projects/new_org.html", title="New organisation")

    def add(self, context: PageContext) -> HTTPResponse:
        context.check_service(Permission.MANAGE_PROJECTS)
        name = text("name", 1000)
        slug = text("slug", 100) or names.slug_of(name)
        if not slug:
            raise invalid("enter a name with letters or digits", "name")
        self._services.gate.submit(context.actor, AddOrg(slug, name), "web", idempotency_key(context.actor))
        return redirect(f"/orgs/{slug}/")

    def _find(self, context: PageContext, slug: str) -> Org:
        org = context.directory.org(slug)
        if org is None:
            raise not_found(f"organisation {slug!r} does not exist")
        return org

    def show(self, context: PageContext, org: str) -> HTTPResponse:
        document = self._find(context, org)
        projects = {name: project for name, project in context.directory.projects.items() if project.org == org}
        return self._site.page(
            context,
            "projects/org.html",
            title=f"Projects · {document.name}",
            org=document,
            projects=projects,
            workspaces=_workspaces(context),
        )

    # Registering a project

    def new_project(self, context: PageContext, org: str, answers: Answers | None = None) -> HTTPResponse:
        context.check_service(Permission.MANAGE_PROJECTS)
        return self._site.page(
            context,
            "projects/new_project.html",
            title="Register a project",
            org=self._find(context, org),
            answers=answers or registration_form.as_typed(context.sent.typed),
            lines=registration_form.LINES,
            texts=registration_form.TEXTS,
        )

    def register(self, context: PageContext, org: str) -> HTTPResponse:
        context.check_service(Permission.MANAGE_PROJECTS)
        self._find(context, org)
        answers = registration_form.read()
        if text("what") == "another":
            return self.new_project(context, org, registration_form.with_another_row(answers))
        name = answers.get("name")
        slug = answers.get("slug") or names.slug_of(name)
        project = f"{org}/{slug}"
        if not slug:
            raise invalid("enter a name with letters or digits", "name")
        contact = answers.contact.checked()
        command = AddProject(project, name, answers.registration())
        self._services.gate.submit(context.actor, command, "web", idempotency_key(context.actor))
        try:
            self._services.private.set_project_contact(project, contact)
        except Error as error:
            _log.warning("could not store the contact details of %s: %s", project, error)
            return redirect(f"/orgs/{project}/settings/?contact-lost=1")
        return redirect(f"/orgs/{project}/")


def _workspaces(context: PageContext) -> Counter[str | None]:
    """project -> number of workspaces that are not archived."""
    workspaces = context.directory.workspaces.values()
    return Counter(workspace.project for workspace in workspaces if not workspace.archived)
