"""The WSGI application, with every URL that is not one of the API (`api.urls`)."""

from bottle import Bottle

from jobserver import steps
from jobserver.web.api.document_schemas import DocumentSchemas
from jobserver.web.api.urls import api_endpoints
from jobserver.web.authentication import Callers
from jobserver.web.endpoints import Endpoint, Endpoints
from jobserver.web.git.smart_http import StateGit
from jobserver.web.host_webhook import HostWebhook
from jobserver.web.metrics import Metrics
from jobserver.web.operations import Operations
from jobserver.web.pages.assets import Assets
from jobserver.web.pages.design.gallery import Design
from jobserver.web.pages.history.actions import Actions
from jobserver.web.pages.history.compare import Compare
from jobserver.web.pages.history.trends import Trends
from jobserver.web.pages.login.github import GitHubPages
from jobserver.web.pages.login.login import Login
from jobserver.web.pages.login.oidc import OidcPages
from jobserver.web.pages.reference import ApiReference
from jobserver.web.pages.render import Renderer
from jobserver.web.pages.routes.backends import Backends
from jobserver.web.pages.routes.find.event_log import EventLog
from jobserver.web.pages.routes.find.workspace_list import WorkspaceList
from jobserver.web.pages.routes.home import Home
from jobserver.web.pages.routes.invitations import InvitationLinks, Invitations
from jobserver.web.pages.routes.job_requests import JobRequests as JobRequestPages
from jobserver.web.pages.routes.jobs import Jobs as JobPages
from jobserver.web.pages.routes.live import Live as LivePages
from jobserver.web.pages.routes.new_workspace import NewWorkspace
from jobserver.web.pages.routes.orgs import Orgs
from jobserver.web.pages.routes.people import People
from jobserver.web.pages.routes.projects import Projects
from jobserver.web.pages.routes.releases.pages import add_release_pages
from jobserver.web.pages.routes.site_message import SiteMessagePage
from jobserver.web.pages.routes.workspaces import Workspaces
from jobserver.web.pages.site import Site
from jobserver.web.pages.workspace_settings import WorkspaceSettings
from jobserver.web.pages.workspace_webhooks import WebhookPages
from jobserver.web.server.bodies import Bodies
from jobserver.web.server.routes import compiled_at_the_end
from jobserver.web.services import Services
from jobserver.web.state_metrics import StateMetrics


def make_app(services: Services) -> Bottle:
    app, metrics = Bottle(), _metrics(services)
    budgets = services.budgets
    app.add_hook("before_request", Bodies(budgets.bodies, budgets.strangers, services.options.proxies).offer)
    callers = Callers(services)
    endpoints = Endpoints(app, services, callers, metrics)
    with compiled_at_the_end(app):
        for endpoint in (*api_endpoints(services, callers, metrics), *_operations(services, callers, metrics)):
            endpoints.add(endpoint)
        app.route("/state.git/<rest:path>", "ANY", StateGit(services, callers, metrics).call)
        endpoints.page = _add_pages(app, services, metrics).not_found
    return app


def _metrics(services: Services) -> Metrics:
    metrics, index = Metrics(), services.index
    metrics.gauge(
        "active_job_requests",
        "Job requests that are not finished",
        lambda: len(index.listing(services.visible.slugs()).items),
    )
    metrics.gauge("bodies", "Large bodies that callers are sending", lambda: services.budgets.bodies.count)
    metrics.add(StateMetrics(services))
    steps.listeners["metrics"] = metrics.observe_step
    return metrics


def _operations(services: Services, callers: Callers, metrics: Metrics) -> list[Endpoint]:
    operations = Operations(services, callers, metrics)
    schemas = DocumentSchemas(services.options.base_url)
    return [
        Endpoint("/schemas/<kind>.json", {"GET": schemas.show}, is_open=True),
        Endpoint("/health-check/", {"GET": operations.health}, is_open=True),
        Endpoint("/health-check/alive/", {"GET": operations.alive}, is_open=True),
        Endpoint("/health-check/read/", {"GET": operations.ready_to_read}, is_open=True),
        Endpoint("/health-check/write/", {"GET": operations.ready_to_write}, is_open=True),
        Endpoint("/hooks/state/", {"POST": HostWebhook(services).pushed}, is_open=True),
        Endpoint("/metrics", {"GET": operations.metrics}, is_open=True),
    ]


def _add_pages(app: Bottle, services: Services, metrics: Metrics) -> Site:
    assets = Assets()
    app.route("/static/<name>", ["GET", "HEAD"], assets.serve)
    site = Site(app, services, Renderer(assets, services.index.backend_name, services.is_https), metrics)
    live = LivePages(site)
    metrics.gauge("open_pages", "Open pages that follow changes", lambda: live.count)
    login = Login(site)
    GitHubPages(site, login)
    People(site, OidcPages(site, login))
    ApiReference(site)
    Home(site)
    EventLog(site)
    JobPages(site, JobRequestPages(site))
    Backends(site)
    Orgs(site)
    Projects(site)
    Invitations(site, InvitationLinks(services.options.secret_key, services.options.base_url))
    add_release_pages(site)
    SiteMessagePage(site)
    Design(site)
    NewWorkspace(site)
    WorkspaceList(site)
    WorkspaceSettings(site)
    WebhookPages(site)
    Actions(site)
    Trends(site)
    Compare(site)
    Workspaces(site)
    return site
