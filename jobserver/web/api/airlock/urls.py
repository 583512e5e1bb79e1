"""The URLs that Airlock calls, as job-server has them: most have no slash at the end."""

from jobserver.web.api.airlock.events import EventsApi
from jobserver.web.api.airlock.files import FilesApi
from jobserver.web.api.airlock.login import LoginApi
from jobserver.web.api.airlock.releases import AirlockReleasesApi
from jobserver.web.api.airlock.snapshots import SnapshotsApi
from jobserver.web.endpoints import Endpoint
from jobserver.web.services import Services


def airlock_endpoints(services: Services) -> list[Endpoint]:
    login, events, releases = LoginApi(services), EventsApi(services), "/api/v2/releases"
    asked, files, snapshots = AirlockReleasesApi(services), FilesApi(services), SnapshotsApi(services)
    return [
        Endpoint(f"{releases}/authenticate", {"POST": login.authenticate}),
        Endpoint(f"{releases}/authorise", {"POST": login.authorise}),
        Endpoint(f"{releases}/workspace/<workspace>", {"GET": files.of_workspace, "POST": asked.create}),
        Endpoint(f"{releases}/release/<identifier>", {"GET": files.of_release, "POST": asked.upload}),
        Endpoint(f"{releases}/release/<identifier>/reviews", {"POST": asked.review}),
        Endpoint(f"{releases}/file/<file_id>", {"GET": files.download}),
        Endpoint("/api/v2/workspaces/<name>/snapshots", {"POST": snapshots.create}),
        Endpoint("/api/v2/workspaces/<name>/snapshots/create", {"POST": snapshots.create}),
        Endpoint("/api/v2/airlock/events/", {"POST": events.record}),
    ]
