"""Names that no workspace, org or project may have, because the server has a page at that URL."""

from jobserver.domain.base.layout import Kind

# First parts of the server's own URLs. The page of a workspace is beside them, and below its project.
RESERVED = frozenset(
    [
        "admin",
        "api",
        "audit",
        "backends",
        "design",
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
        "schemas",
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


_SINCE_POLICY_3 = frozenset(["design", "schemas"])  # commits of older policies may have these names
RESERVED_ORGS = frozenset(["new"])
RESERVED_PROJECTS = frozenset(["new-project", "settings"])


def is_page(kind: Kind, name: str, policy: int | None = None) -> bool:
    """Whether the server has a page of its own at the URL of this document."""
    match kind:
        case Kind.WORKSPACE:
            is_old = policy is not None and policy < 3
            return name in RESERVED and not (is_old and name in _SINCE_POLICY_3)
        case Kind.ORG:
            return name in RESERVED_ORGS
        case Kind.PROJECT:
            return name.rpartition("/")[2] in RESERVED_PROJECTS
    return False
