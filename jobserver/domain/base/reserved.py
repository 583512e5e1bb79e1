"""Names that no workspace, org or project may have, because the server has a page at that URL."""

from jobserver.domain.base.layout import Kind

# Segments of the server's own URLs: a workspace's page stands at the root beside them, and below its project.
RESERVED = frozenset(
    [
        "admin",
        "api",
        "audit",
        "backends",
        "favicon.ico",
        "health-check",
        "hooks",
        "invitations",
        "job-requests",
        "jobs",
        "live",
        "login",
        "logout",
        "metrics",
        "new",
        "orgs",
        "projects",
        "robots.txt",
        "settings",
        "state",
        "state.git",
        "static",
        "status",
        "users",
        "webhooks",
        "workspaces",
    ]
)


RESERVED_ORGS = frozenset(["new"])
RESERVED_PROJECTS = frozenset(["new-project", "settings"])


def is_page(kind: Kind, name: str) -> bool:
    """Whether a page of the server stands where this document's would."""
    match kind:
        case Kind.WORKSPACE:
            return name in RESERVED
        case Kind.ORG:
            return name in RESERVED_ORGS
        case Kind.PROJECT:
            return name.rpartition("/")[2] in RESERVED_PROJECTS
    return False
