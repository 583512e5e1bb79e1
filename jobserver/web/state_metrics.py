"""The numbers of /metrics about the state: queues, runners, the index, the repository and the hosted repository.

They are read at each scrape, from memory where possible. Numbers that can't be read are left out, and counted in
`jobserver_unreadable_numbers`: an operator needs the others then.
"""

import logging
import platform
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily, Metric

from jobserver import __version__
from jobserver.domain.base.identifiers import micros
from jobserver.errors import Error
from jobserver.service.health import check_health
from jobserver.service.notify.outbox import Outbox
from jobserver.web.services import Services

_log = logging.getLogger(__name__)
_BATCH_SIZES = (1, 2, 5, 10, 20, 50, 100, 200)


class StateMetrics:
    """A collector of prometheus_client."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def describe(self) -> Iterator[Metric]:
        """Nothing: so registering it reads nothing."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        now = self._services.clock()
        yield InfoMetricFamily(
            "jobserver", "The running version", {"version": __version__, "python": platform.python_version()}
        )
        parts: tuple[Callable[[], Iterator[Metric]], ...] = (
            partial(self._queues, now),
            partial(self._backends, now),
            self._health,
            self._outbox,
            self._index,
            self._repository,
            self._batches,
            partial(self._hosted, now),
        )
        unreadable = 0
        for part in parts:
            try:
                yield from list(part())
            except (Error, OSError) as error:
                unreadable += 1
                _log.warning("some numbers of /metrics can't be read: %s", error)
        yield _gauge("unreadable_numbers", "Groups of numbers that could not be read", unreadable)

    def _queues(self, now: datetime) -> Iterator[Metric]:
        requests = _by_backend("queue_job_requests", "Job requests that are not finished")
        ages = _by_backend("queue_oldest_seconds", "Age of the oldest job request that is not finished, or 0")
        for slug in self._services.visible.slugs():
            items = self._services.index.listing([slug]).items
            requests.add_metric([slug], len(items))
            oldest = (micros(now) - items[-1][0][0]) / 1e6 if items else 0
            ages.add_metric([slug], max(oldest, 0))
        yield requests
        yield ages

    def _backends(self, now: datetime) -> Iterator[Metric]:
        """A backend that never connected counts from when it was added."""
        silent = _by_backend("backend_silent_seconds", "Since the runner of an active backend last called")
        limits = _by_backend("backend_alert_after_seconds", "When an active backend counts as silent")
        problems = _by_backend("controller_problem", "1 while the controller of the backend can't be used")
        contacts, directory = self._services.live.contacts(), self._services.index.directory()
        for slug in self._services.visible.slugs():
            backend = directory.backend(slug)
            if backend is not None and backend.active:
                contact = contacts.get(slug)
                last_seen = (contact.last_seen if contact is not None else None) or backend.created_at
                silent.add_metric([slug], max((now - last_seen).total_seconds(), 0))
                limits.add_metric([slug], backend.alert_after_minutes * 60)
                if backend.rap is not None:
                    has_problem = contact is not None and contact.problem is not None
                    problems.add_metric([slug], has_problem)
        yield silent
        yield limits
        yield problems

    def _health(self) -> Iterator[Metric]:
        services = self._services
        health = check_health(services.repo, services.index, services.hosted)
        yield _gauge("unreadable_documents", "Documents that /health-check/ lists", len(health.unreadable))
        yield _gauge("read_problems", "Problems that /health-check/read/ lists", len(health.read_problems))
        problems = len(health.read_problems) + len(health.write_problems)
        yield _gauge("write_problems", "Problems that /health-check/write/ lists", problems)
        yield _gauge("strayed_branches", "Branches that another program rewrote", len(services.strayed()))

    def _outbox(self) -> Iterator[Metric]:
        messages = GaugeMetricFamily(
            "jobserver_outbox_messages", "Emails and webhook calls in the outbox", labels=["kind", "state"]
        )
        oldest = GaugeMetricFamily(
            "jobserver_outbox_oldest_seconds", "Age of the oldest message that waits", labels=["kind"]
        )
        for kind, is_given_up, count, seconds in Outbox(self._services.private, self._services.clock).counts():
            messages.add_metric([kind, "given_up" if is_given_up else "waiting"], count)
            if not is_given_up:
                oldest.add_metric([kind], seconds)
        yield messages
        yield oldest

    def _index(self) -> Iterator[Metric]:
        behind = self._services.index.branches_behind()
        yield _gauge("index_behind_branches", "Branches whose rows in the index are older", behind)

    def _repository(self) -> Iterator[Metric]:
        sizes = self._services.repo.pack_sizes()
        yield _gauge("repository_packs", "Packs of the state repository", len(sizes))
        yield _gauge("repository_bytes", "Bytes of these packs", sum(sizes))
        yield _gauge("maintained_timestamp_seconds", "End of the last maintenance", self._services.repo.maintained_at())
        yield _gauge("waiting_writes", "Writes that wait for the next batch", len(self._services.repo.writer.queue))

    def _batches(self) -> Iterator[Metric]:
        sizes = dict(self._services.repo.writer.batch_sizes)
        buckets = [
            (str(limit), float(sum(count for size, count in sizes.items() if size <= limit))) for limit in _BATCH_SIZES
        ]
        buckets.append(("+Inf", float(sum(sizes.values()))))
        total = sum(size * count for size, count in sizes.items())
        yield HistogramMetricFamily("jobserver_batch_size", "Writes in one batch", buckets=buckets, sum_value=total)

    def _hosted(self, now: datetime) -> Iterator[Metric]:
        hosted = self._services.hosted
        if hosted is None:
            return
        lag = (now - hosted.status.seen_at).total_seconds()
        yield _gauge("host_lag_seconds", "Since the branches here last matched STATE_REMOTE", max(lag, 0))
        yield _gauge("host_down", "1 while STATE_REMOTE does not answer", hosted.status.down_since is not None)
        yield _gauge("frozen_branches", "Branches of STATE_REMOTE that an admin has to look at", len(hosted.frozen))


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"jobserver_{name}", text, value)


def _by_backend(name: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"jobserver_{name}", text, labels=["backend"])
