"""The WSGI application: every URL that there is, in one place."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bottle import Bottle

from jobserver.index.follow import Index
from jobserver.service.accounts.membership import Membership
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.accounts.tokens import Auth
from jobserver.service.budgets import Budgets
from jobserver.service.presence import Live
from jobserver.service.releases.upload import Releases
from jobserver.service.studies.registry import Studies
from jobserver.service.upstream.sync import Hosted
from jobserver.service.writes.gate import Gate
from jobserver.service.writes.job_requests import Requests
from jobserver.store.repo import StateRepo
from jobserver.web.api.common import Keys, Visible
from jobserver.web.api.job_requests import JobRequests
from jobserver.web.api.jobs import Jobs
from jobserver.web.api.openapi import describe
from jobserver.web.api.people import People as ApiPeople
from jobserver.web.api.releases import Releases as ApiReleases
from jobserver.web.authentication import Callers
from jobserver.web.clients import Network
from jobserver.web.endpoints import Endpoint, Endpoints
from jobserver.web.git.smart_http import StateGit
from jobserver.web.http import answer
from jobserver.web.metrics import Metrics
from jobserver.web.operations import Operations
from jobserver.web.pages.assets import Assets
from jobserver.web.pages.render import Renderer
from jobserver.web.pages.routes.backends import Backends
from jobserver.web.pages.routes.home import Work
from jobserver.web.pages.routes.invitations import InvitationLinks, Invitations
from jobserver.web.pages.routes.job_requests import JobRequests as JobRequestPages
from jobserver.web.pages.routes.jobs import Jobs as JobPages
from jobserver.web.pages.routes.live import Live as LivePages
from jobserver.web.pages.routes.orgs import Orgs
from jobserver.web.pages.routes.people import Identity, People
from jobserver.web.pages.routes.projects import Projects
from jobserver.web.pages.routes.releases import Releases as ReleasePages
from jobserver.web.pages.routes.workspaces import Workspaces
from jobserver.web.pages.sessions import Session, Sessions
from jobserver.web.pages.site import Site, Stand
from jobserver.web.server.bodies import Bodies
from jobserver.web.webhooks import Hooks


@dataclass(frozen=True, slots=True)
class Parts:
    """What the application stands on."""

    repo: StateRepo
    index: Index
    gate: Gate
    requests: Requests
    live: Live
    base_url: str
    backends: Sequence[str] = ()
    max_held: int = 256
    strayed: Callable[[], Sequence[str]] = tuple
    unsent: Callable[[], Sequence[str]] = tuple
    pages: "Pages | None" = None
    hosted: Hosted | None = None
    webhook_secret: str = ""
    releases: Releases | None = None
    budgets: Budgets = field(default_factory=Budgets)


@dataclass(frozen=True, slots=True)
class Pages:
    """What the pages stand on beyond that; without it there are none. ``identity``: GitHub's log-in, if set up."""

    secret_key: str
    private: PrivateStore
    studies: Studies
    clock: Callable[[], datetime]
    public: bool = False
    proxies: Sequence[Network] = ()
    identity: Identity | None = None
    membership: Membership | None = None
    sends_email: bool = False


def make_app(parts: Parts) -> Bottle:
    app = Bottle()
    metrics = Metrics()
    membership = parts.pages.membership if parts.pages else None
    auth = Auth(parts.index, membership.is_out) if membership is not None else Auth(parts.index)
    sessions = _sessions(parts, auth)
    proxies = parts.pages.proxies if parts.pages else ()
    budgets = parts.budgets
    app.add_hook("before_request", Bodies(budgets.bodies, budgets.strangers, proxies).offer)
    callers = Callers(auth, parts.live, parts.base_url, proxies, sessions)
    visible = Visible(parts.index, parts.backends)
    keys = Keys(parts.gate.ledger)
    job_requests = JobRequests(
        parts.index,
        parts.requests,
        visible,
        keys,
        metrics,
        parts.base_url,
        parts.max_held,
        budgets.polls,
        callers.again,
    )
    people = ApiPeople(parts.index, visible)
    releases = ApiReleases(parts.index, parts.releases, parts.base_url)
    operations = Operations(
        parts.repo,
        parts.index,
        callers,
        metrics,
        parts.strayed,
        parts.hosted,
        parts.unsent,
        parts.base_url,
        proxies,
    )
    metrics.gauge("active_job_requests", "Not finished", lambda: len(parts.index.listing(visible.slugs()).items))
    metrics.gauge("unreadable_documents", "Named on /health-check/", lambda: sum(1 for _ in parts.index.faults()))
    metrics.gauge("bodies", "Large bodies on their way", lambda: budgets.bodies.count)
    description = describe(parts.base_url)
    hosted = parts.hosted
    hooks = Hooks(parts.webhook_secret, hosted.hint if hosted is not None else lambda: None)
    endpoints = Endpoints(app, callers, metrics, (lambda: hosted.seen_at) if hosted is not None else lambda: None)
    api = "/api/v2"
    for endpoint in (
        Endpoint(f"{api}/job-requests/", {"GET": job_requests.listed}, filters=("backend", "limit", "offset")),
        Endpoint(f"{api}/job-requests/<identifier>/", {"GET": job_requests.one}),
        Endpoint(f"{api}/job-requests/<identifier>/cancel/", {"POST": job_requests.cancel}),
        Endpoint(f"{api}/jobs/", {"POST": Jobs(parts.gate, parts.index, keys, parts.live).report}),
        Endpoint(f"{api}/users/<username>/", {"GET": people.user}),
        Endpoint(f"{api}/workspaces/<name>/statuses/", {"GET": people.statuses}, filters=("backend",)),
        Endpoint(f"{api}/workspaces/<workspace>/job-requests/", {"POST": job_requests.ask}),
        Endpoint(f"{api}/workspaces/<name>/releases/<identifier>", {"PUT": releases.upload}),
        Endpoint(f"{api}/openapi.json", {"GET": lambda _: answer(description)}, is_open=True),
        Endpoint("/health-check/", {"GET": operations.health}, is_open=True),
        Endpoint("/hooks/state/", {"POST": hooks.pushed}, is_open=True),
        Endpoint("/metrics", {"GET": operations.metrics}, is_open=True),
    ):
        endpoints.add(endpoint)
    state_git = StateGit(parts.repo, parts.index, callers)
    app.route("/state.git/<rest:path>", "ANY", state_git.call)
    if parts.pages is not None and sessions is not None:
        endpoints.page = _add_pages(app, parts, parts.pages, sessions, visible, metrics).nowhere
    return app


def _sessions(parts: Parts, auth: Auth) -> Sessions | None:
    more = parts.pages
    if more is None:
        return None

    def counts(session: Session, waits: bool) -> bool:
        return auth.person(session.username, session.since, session.github_id, waits) is not None

    return Sessions(more.secret_key, more.private, more.clock, parts.base_url.startswith("https://"), counts)


def _add_pages(app: Bottle, parts: Parts, more: Pages, sessions: Sessions, visible: Visible, metrics: Metrics) -> Site:
    assets = Assets()
    stand = Stand(
        parts.repo,
        parts.index,
        parts.gate,
        parts.requests,
        more.studies,
        parts.live,
        more.private,
        sessions,
        Renderer(assets, parts.base_url.startswith("https://")),
        visible,
        more.clock,
        parts.base_url,
        more.public,
        more.proxies,
        parts.hosted,
        more.sends_email,
        parts.releases,
    )
    app.route("/static/<name>", ["GET", "HEAD"], assets.serve)
    site = Site(app, stand, metrics)
    live = LivePages(site, parts.index, lambda: list(visible.slugs()), parts.budgets.pages)
    parts.index.on_release(live.close)
    metrics.gauge("open_pages", "Pages that follow what changes", lambda: live.count)
    People(site, more.identity, more.membership)
    Work(site)
    JobPages(site, JobRequestPages(site))
    Backends(site)
    Orgs(site)
    Projects(site)
    Invitations(site, InvitationLinks(more.secret_key, parts.base_url))
    ReleasePages(site)
    Workspaces(site)
    return site
