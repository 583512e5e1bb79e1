"""The URLs that Airlock calls, as job-server has them: most have no slash at the end."""

from jobserver.web.api.airlock.events import EventsApi
from jobserver.web.api.airlock.login import LoginApi
from jobserver.web.endpoints import Endpoint
from jobserver.web.services import Services


def airlock_endpoints(services: Services) -> list[Endpoint]:
    login, events, releases = LoginApi(services), EventsApi(services), "/api/v2/releases"
    return [
        Endpoint(f"{releases}/authenticate", {"POST": login.authenticate}),
        Endpoint(f"{releases}/authorise", {"POST": login.authorise}),
        Endpoint("/api/v2/airlock/events/", {"POST": events.record}),
    ]
