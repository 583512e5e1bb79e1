"""Why requests wait and what their jobs do, for commands: from the index, which they bring up to date, and the private
store."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from jobserver import bootstrap
from jobserver.domain.base import layout
from jobserver.index.live.lag import Lag
from jobserver.index.live.rows import LiveRows
from jobserver.index.sqlite.schema import usable
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.forecasts import Forecasts, RequestForecast, forecast_items
from jobserver.service.presence import Presence
from jobserver.service.readings import Readings


@contextmanager
def forecasts_of(app: bootstrap.App) -> Iterator[Callable[[str, str], RequestForecast]]:
    """Forecasts of requests by id and backend. Empty ones if no server has written an index here yet."""
    settings = app.settings
    if not usable(settings.index):
        yield lambda identifier, backend: RequestForecast({})
        return
    with (
        closing(PrivateStore(settings.private_store)) as private,
        closing(LiveRows(settings.state_repo, app.repo.writer.refs, settings.index, Lag())) as rows,
    ):
        forecasts = Forecasts(
            app.repo,
            lambda slug: app.repo.writer.read(layout.MAIN, lambda state: state.backend(slug)),
            Presence(bootstrap.now, private).contacts,
            bootstrap.now,
        )

        def forecast_of(identifier: str, backend: str) -> RequestForecast:
            rows.catch_up(layout.backend_branch(backend))
            with rows.view() as sql:
                return forecasts.of(sql, identifier, [backend])

        yield forecast_of


@contextmanager
def readings_of(app: bootstrap.App) -> Iterator[Readings]:
    """As the server last wrote them, which it does every few seconds. None if no server ran here yet."""
    if not app.settings.private_store.exists():
        yield Readings(bootstrap.now)
        return
    with closing(PrivateStore(app.settings.private_store)) as private:
        yield Readings(bootstrap.now, private)


def added(row: dict[str, Any], forecast: RequestForecast) -> dict[str, Any]:
    """``row``, a request with its jobs, with what the API adds to it."""
    of_request, of_jobs = forecast_items(forecast)
    return row | of_request | {"jobs": [job | of_jobs.get(job["identifier"], {}) for job in row["jobs"]]}
