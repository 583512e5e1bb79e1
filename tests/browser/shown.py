"""Which pictures show which page, so that no page is without one."""

SHOWN = {
    "/": ("home", "home-newcomer", "new-home"),
    "/login/": ("login", "login-github"),
    "/login/link/<token>/": ("login-link", "error-429"),
    "/settings/": ("settings", "settings-token"),
    "/users/": ("people", "error-403"),
    "/users/<username>/": ("person",),
    "/jobs/": ("event-log", "event-log-empty", "new-event-log"),
    "/job-requests/<request>/jobs/<identifier>/": ("job", "job-failed", "job-lost"),
    "/job-requests/<request>/jobs/<identifier>/audit/": ("job-audit",),
    "/job-requests/<identifier>/": (
        *("request-waiting", "request-running", "request-succeeded", "request-failed"),
        *("request-cancel-requested", "request-compared", "request-as-it-was"),
    ),
    "/job-requests/<identifier>/audit/": ("audit", "request-audit"),
    "/status/": ("status", "status-paused", "new-status"),
    "/backends/": ("backends", "backends-token", "new-backends"),
    "/backends/<slug>/": ("backend", "backend-token", "backend-off"),
    "/backends/<slug>/audit/": ("backend-audit",),
    "/orgs/": ("orgs", "new-orgs"),
    "/orgs/new/": ("new-org", "new-org-refused"),
    "/orgs/<org>/": ("org",),
    "/orgs/<org>/new-project/": ("new-project",),
    "/orgs/<org>/<project>/": ("project", "project-registered", "project-newcomer"),
    "/orgs/<org>/<project>/settings/": ("project-settings", "project-invited", "project-members"),
    "/orgs/<org>/<project>/audit/": ("project-audit",),
    "/invitations/": ("invitation", "invitations-none"),
    "/invitations/<token>/": ("invitation-linked",),
    "/workspaces/new/": ("new-workspace", "new-workspace-refused"),
    "/<name>/": (
        *("workspace", "workspace-choose", "workspace-wide", "workspace-broken", "workspace-archived"),
        *("workspace-newcomer", "workspace-as-it-was", "error-404"),
    ),
    "/<workspace>/logs/": ("workspace-log",),
    "/<name>/audit/": ("workspace-audit",),
    "/<name>/releases/": ("releases", "releases-none"),
    "/<name>/releases/<identifier>": ("release",),
}

# What shows people nothing of its own: machines' addresses, forms that are sent, redirects, parts of pages.
NOTHING_TO_SEE = (
    *(
        "/health-check/",
        "/health-check/alive/",
        "/health-check/read/",
        "/health-check/write/",
        "/hooks/state/",
        "/metrics",
        "/state.git/<rest:path>",
        "/static/<name>",
        "/live/",
    ),
    *("/login/github/", "/login/github/callback/", "/logout/", "/job-requests/", "/status/<slug>/"),
    *("/job-requests/<identifier>/cancel/", "/job-requests/<identifier>/rerun/", "/<name>/switch/"),
    *("/orgs/<org>/<project>/<workspace>/", "/<name>/releases/<identifier>/<backend>/<path:path>"),
    *("/workspaces/new/branches/", "/workspaces/new/repositories/", "/jobs/<identifier>/", "/jobs/<identifier>/audit/"),
)
