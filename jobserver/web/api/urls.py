"""Every URL of the API, with its methods, its filters and the scope that a personal token needs."""

from jobserver.domain.tokens import Scope
from jobserver.web.api.airlock.urls import airlock_endpoints
from jobserver.web.api.backends import BackendsApi
from jobserver.web.api.common import Keys
from jobserver.web.api.job_requests import REQUEST_FILTERS, JobRequestsApi
from jobserver.web.api.jobs import JobsApi
from jobserver.web.api.lists import PAGING
from jobserver.web.api.openapi.document import describe
from jobserver.web.api.outputs.urls import output_endpoints
from jobserver.web.api.people import USER_FILTERS, PeopleApi
from jobserver.web.api.projects import PROJECT_FILTERS, ProjectsApi
from jobserver.web.api.releases import ReleasesApi
from jobserver.web.api.searches import JOB_FILTERS, Searches
from jobserver.web.api.webhooks import WebhooksApi
from jobserver.web.api.workspaces import FILTERS as WORKSPACE_FILTERS
from jobserver.web.api.workspaces import WorkspacesApi
from jobserver.web.authentication import Callers
from jobserver.web.endpoints import Endpoint
from jobserver.web.http import answer
from jobserver.web.metrics import Metrics
from jobserver.web.polls import Polls
from jobserver.web.services import Services


def api_endpoints(services: Services, callers: Callers, metrics: Metrics) -> list[Endpoint]:
    keys, searches = Keys(services.gate.ledger), Searches(services)
    job_requests = JobRequestsApi(services, keys, Polls(services, callers, metrics), searches)
    jobs, releases = JobsApi(services, keys), ReleasesApi(services)
    workspaces, people = WorkspacesApi(services, keys), PeopleApi(services, keys)
    runs, api = Scope.REQUEST, "/api/v2"
    of_workspace = f"{api}/workspaces/<name>"
    return [
        Endpoint(f"{api}/job-requests/", {"GET": job_requests.index}, filters=REQUEST_FILTERS),
        Endpoint(f"{api}/job-requests/<identifier>/", {"GET": job_requests.show}),
        Endpoint(f"{api}/job-requests/<identifier>/cancel/", {"POST": job_requests.cancel}, scope=runs),
        Endpoint(f"{api}/job-requests/<identifier>/rerun/", {"POST": job_requests.rerun}, scope=runs),
        Endpoint(f"{api}/job-requests/<identifier>/retry/", {"POST": job_requests.retry}),
        Endpoint(f"{api}/job-requests/<identifier>/jobs/<job>/fail/", {"POST": job_requests.mark_job_failed}),
        Endpoint(f"{api}/jobs/", {"GET": searches.jobs, "POST": jobs.report}, filters=JOB_FILTERS),
        Endpoint(f"{api}/workspaces/", {"GET": workspaces.index, "POST": workspaces.create}, filters=WORKSPACE_FILTERS),
        Endpoint(f"{of_workspace}/", {"GET": workspaces.show, "PATCH": workspaces.edit}),
        Endpoint(f"{of_workspace}/statuses/", {"GET": workspaces.statuses}, filters=("backend", "field")),
        Endpoint(f"{api}/workspaces/<workspace>/job-requests/", {"POST": job_requests.create}, scope=runs),
        Endpoint(f"{of_workspace}/releases/", {"GET": releases.index}, filters=PAGING),
        Endpoint(f"{of_workspace}/releases/<identifier>", {"GET": releases.show, "PUT": releases.upload}),
        Endpoint(f"{of_workspace}/releases/<identifier>/<backend>/<path:path>", {"GET": releases.download}),
        Endpoint(f"{api}/users/", {"GET": people.users, "POST": people.add}, filters=USER_FILTERS),
        Endpoint(f"{api}/users/<username>/", {"GET": people.user, "PATCH": people.edit}),
        Endpoint(f"{api}/settings/", {"GET": people.settings, "PATCH": people.save_settings}),
        Endpoint(f"{api}/settings/tokens/<label>/", {"DELETE": people.revoke_token}),
        Endpoint(
            f"{api}/job-requests/<identifier>/follow/",
            {"PUT": people.follow_request, "DELETE": people.unfollow_request},
            scope=runs,
        ),
        Endpoint(
            f"{of_workspace}/follow/",
            {"PUT": people.follow_workspace, "DELETE": people.unfollow_workspace},
            scope=runs,
        ),
        Endpoint(f"{api}/workspaces/<workspace>/preview/", {"POST": job_requests.preview}, scope=runs),
        *_webhooks(WebhooksApi(services, keys)),
        *_projects(ProjectsApi(services, keys)),
        *_backends(BackendsApi(services, keys)),
        *airlock_endpoints(services),
        *output_endpoints(services, keys),
        Endpoint(f"{api}/openapi.json", {"GET": lambda _: answer(describe(services.options.base_url))}, is_open=True),
    ]


def _webhooks(webhooks: WebhooksApi) -> list[Endpoint]:
    url = "/api/v2/workspaces/<name>/webhooks"
    return [
        Endpoint(f"{url}/", {"GET": webhooks.index, "POST": webhooks.add}, filters=PAGING),
        Endpoint(f"{url}/<number>/", {"DELETE": webhooks.remove}),
    ]


def _projects(projects: ProjectsApi) -> list[Endpoint]:
    orgs, of_project = "/api/v2/orgs", "/api/v2/projects/<org>/<project>"
    return [
        Endpoint(f"{orgs}/", {"GET": projects.orgs, "POST": projects.add_org}, filters=PAGING),
        Endpoint(f"{orgs}/<org>/", {"GET": projects.org}),
        Endpoint("/api/v2/projects/", {"GET": projects.projects, "POST": projects.add}, filters=PROJECT_FILTERS),
        Endpoint(f"{of_project}/", {"GET": projects.project, "PATCH": projects.edit}),
        Endpoint(f"{of_project}/members/<username>/", {"PUT": projects.set_member, "DELETE": projects.remove_member}),
        Endpoint(f"{of_project}/invitations/", {"POST": projects.invite}),
        Endpoint(f"{of_project}/invitations/<username>/accept/", {"POST": projects.accept_invitation}),
        Endpoint(f"{of_project}/invitations/<username>/", {"DELETE": projects.cancel_invitation}),
    ]


def _backends(backends: BackendsApi) -> list[Endpoint]:
    message = {"GET": backends.message, "PUT": backends.set_message, "DELETE": backends.remove_message}
    return [
        Endpoint("/api/v2/backends/", {"GET": backends.index}, filters=PAGING),
        Endpoint("/api/v2/backends/<slug>/", {"GET": backends.show, "PATCH": backends.edit}),
        Endpoint("/api/v2/backends/<slug>/old-tokens/", {"DELETE": backends.revoke_old_tokens}),
        Endpoint("/api/v2/backends/<slug>/controller/", {"PUT": backends.connect, "DELETE": backends.disconnect}),
        Endpoint("/api/v2/site-message/", message),
    ]
