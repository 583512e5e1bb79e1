"""The operations on users, organisations, projects, backends and the site message."""

from jobserver.web.api.openapi import bodies as b
from jobserver.web.api.openapi import parameters as p
from jobserver.web.api.openapi import schemas as s
from jobserver.web.api.openapi.operations import OPEN, body, operation, read, reply, write
from jobserver.web.api.openapi.schemas import Schema, page_of, reference

PROJECTS, PEOPLE, SETTINGS, BACKENDS, SERVER = (
    "Organisations and projects",
    "People",
    "Your settings",
    "Backends",
    "The server",
)


def projects() -> Schema:
    org, project = reference("Org"), reference("Project")
    url = "/api/v2/projects/{org}/{project}"
    return {
        "/api/v2/orgs/": {
            "get": read(PROJECTS, "List organisations, by slug", page_of(org), parameters=p.PAGING),
            "post": write(PROJECTS, "Add an organisation (SuperUsers, ServiceAdministrators)", org, b.NEW_ORG, "201"),
        },
        "/api/v2/orgs/{org}/": {
            "parameters": [p.ORG],
            "get": read(PROJECTS, "Get an organisation", org, "404"),
        },
        "/api/v2/projects/": {
            "get": read(PROJECTS, "List projects, by organisation and slug", page_of(project), parameters=p.PROJECTS),
            "post": write(PROJECTS, "Add a project (SuperUsers, ServiceAdministrators)", project, b.NEW_PROJECT, "201"),
        },
        f"{url}/": {
            "parameters": p.PROJECT,
            "get": read(PROJECTS, "Get a project", project, "404"),
            "patch": write(PROJECTS, "Rename a project, or change its limits", project, b.PROJECT_CHANGE),
        },
        f"{url}/members/{{username}}/": {
            "parameters": [*p.PROJECT, p.USERNAME],
            "put": write(PROJECTS, "Add a member, or set their roles", project, b.MEMBER_ROLES),
            "delete": write(PROJECTS, "Remove a member", project),
        },
        f"{url}/invitations/": {
            "parameters": p.PROJECT,
            "post": write(PROJECTS, "Invite users", project, b.NEW_INVITATION),
        },
        f"{url}/invitations/{{username}}/": {
            "parameters": [*p.PROJECT, p.USERNAME],
            "delete": write(PROJECTS, "Cancel an invitation, or decline your own", project),
        },
        f"{url}/invitations/{{username}}/accept/": {
            "parameters": [*p.PROJECT, p.USERNAME],
            "post": write(PROJECTS, "Accept your invitation", project),
        },
    }


def people() -> Schema:
    account, own = reference("Account"), reference("Settings")
    return {
        "/api/v2/users/": {
            "get": read(PEOPLE, "List users, by username (who manages them)", page_of(account), parameters=p.USERS),
            "post": write(PEOPLE, "Add a user (SuperUsers, ServiceAdministrators)", account, b.NEW_USER, "201"),
        },
        "/api/v2/users/{username}/": {
            "parameters": [p.USERNAME],
            "get": read(PEOPLE, "Get a user's roles and permissions, sorted by name", s.USER, "404"),
            "patch": write(
                PEOPLE,
                "Change a user's roles or limits; disable or enable them (SuperUsers, ServiceAdministrators)",
                account,
                b.USER_CHANGE,
            ),
        },
        "/api/v2/settings/": {
            "get": read(SETTINGS, "Get your account, with your email address and your tokens' labels", own),
            "patch": operation(
                SETTINGS,
                "Set or remove your email address; choose when you get an email",
                {"200": reply("As it is now.", own)}, "400", "409", "413",
                parameters=[p.IDEMPOTENCY_KEY], requestBody=body(b.SETTINGS_CHANGE), **{"x-scope": "admin"},
            ),
        },
        "/api/v2/job-requests/{identifier}/follow/": {
            "parameters": [p.IDENTIFIER],
            "put": _settings("Follow a job request: you get an email when it ends", own),
            "delete": _settings("Follow a job request no longer", own),
        },
        "/api/v2/workspaces/{name}/follow/": {
            "parameters": [p.WORKSPACE],
            "put": _settings("Follow a workspace: you get an email when a request of it ends", own),
            "delete": _settings("Follow a workspace no longer", own),
        },
        "/api/v2/settings/tokens/{label}/": {
            "parameters": [p.LABEL],
            "delete": write(SETTINGS, "Revoke one of your tokens", own),
        },
    }  # fmt: skip


def _settings(text: str, own: Schema) -> Schema:
    """An operation that changes only what is not in git."""
    return operation(
        SETTINGS, text, {"200": reply("As it is now.", own)}, "400", "404", "409", "413",
        parameters=[p.IDEMPOTENCY_KEY], **{"x-scope": "request"},
    )  # fmt: skip


def backends() -> Schema:
    backend, message = reference("Backend"), reference("SiteMessage")
    return {
        "/api/v2/backends/": {
            "get": read(BACKENDS, "List backends, by slug", page_of(backend), parameters=p.PAGING),
        },
        "/api/v2/backends/{slug}/": {
            "parameters": [p.BACKEND],
            "get": read(BACKENDS, "Get a backend", backend, "404"),
            "patch": write(
                BACKENDS,
                "Pause or resume a backend; deactivate or activate it (SuperUsers)",
                backend,
                b.BACKEND_CHANGE,
                description="One of the two fields in each call.",
            ),
        },
        "/api/v2/backends/{slug}/old-tokens/": {
            "parameters": [p.BACKEND],
            "delete": write(BACKENDS, "Revoke all tokens of a backend except the newest (SuperUsers)", backend),
        },
        "/api/v2/backends/{slug}/controller/": {
            "parameters": [p.BACKEND],
            "put": write(
                BACKENDS,
                "Connect the controller that runs the backend's requests (SuperUsers)",
                backend,
                b.CONTROLLER,
                description="The server calls it, with the token in the setting RAP_TOKENS.",
            ),
            "delete": write(BACKENDS, "Disconnect the controller of a backend (SuperUsers)", backend),
        },
        "/api/v2/site-message/": {
            "get": read(BACKENDS, "Get the message that every page shows", message),
            "put": write(BACKENDS, "Set the message that every page shows (SuperUsers)", message, b.NEW_MESSAGE),
            "delete": write(BACKENDS, "Remove the message that every page shows (SuperUsers)", message),
        },
    }


def server() -> Schema:
    metrics = {"200": {"description": "Text.", "content": {"text/plain": {"schema": s.TEXT}}}}
    any_object: Schema = {"type": "object"}
    return {
        "/api/v2/openapi.json": {
            "get": operation(SERVER, "Get this description", {"200": reply("OpenAPI 3.1.", any_object)}, **OPEN)
        },
        "/health-check/": {
            "get": operation(
                SERVER, "Check that state can be read and written", {"200": reply("It can.", any_object)}, **OPEN
            )
        },
        "/metrics": {
            "get": operation(SERVER, "Prometheus metrics, for this machine, SuperUsers and Auditors", metrics)
        },
    }
