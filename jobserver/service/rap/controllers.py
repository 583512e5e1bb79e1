"""Which controllers there are, by the backends' documents and RAP_TOKENS, and a thread that asks each of them."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from jobserver.service.presence import Presence
from jobserver.service.rap.client import ControllerClient
from jobserver.service.rap.lease import Lease
from jobserver.service.rap.poll import ControllerPoll
from jobserver.service.rap.record import RapRecord
from jobserver.worker import Worker

_log = logging.getLogger(__name__)
_EVERY_SECONDS = 30.0  # changes of the documents wake it
_WAIT_SECONDS = 0.5  # for the last call to a controller that is asked no more
_NO_TOKEN = "The server has no token for the controller of this backend: set RAP_TOKENS."


@dataclass(frozen=True, slots=True)
class _Asked:
    """A controller that is being asked."""

    client: ControllerClient
    poll: ControllerPoll
    worker: Worker

    def close(self, patience: float) -> bool:
        """Whether no call is left."""
        ended = self.worker.close(patience=patience)
        if ended:
            self.client.close()
        return ended


class Controllers:
    """``tokens``: RAP_TOKENS. A slow controller holds up no other one, and nobody else."""

    def __init__(
        self,
        record: RapRecord,
        live: Presence,
        lease: Lease,
        tokens: Mapping[str, str],
        clock: Callable[[], datetime],
    ) -> None:
        self._record, self._live, self._lease, self._tokens, self._clock = record, live, lease, tokens, clock
        self._asked: dict[tuple[str, str], _Asked] = {}
        self._ending: list[_Asked] = []
        self._slugs: frozenset[str] = frozenset()
        self._worker = Worker("controllers", self._follow)

    def start(self) -> None:
        self._worker.start()

    def close(self, patience: float = 2.0) -> None:
        """Gives the lease back, unless a call is still being answered."""
        self._worker.close()
        ended = [asked.close(patience) for asked in (*self._asked.values(), *self._ending)]
        self._lease.close(gives_back=all(ended))

    def wake(self) -> None:
        """Something in the record has changed."""
        if self._record.backends().keys() != self._slugs:
            self._worker.wake()
        for asked in list(self._asked.values()):
            if self._record.state(asked.poll.slugs) != asked.poll.state:
                asked.worker.wake()

    def _follow(self) -> float:
        wanted: dict[tuple[str, str], list[str]] = {}
        backends = self._record.backends()
        for slug, backend in backends.items():
            assert backend.rap is not None
            if token := self._tokens.get(slug, ""):
                wanted.setdefault((backend.rap.url, token), []).append(slug)
            else:
                self._live.record_problem(slug, _NO_TOKEN)
        for slug in self._slugs - backends.keys():
            self._live.record_problem(slug, "")
        self._slugs = frozenset(backends)
        self._ending += [self._asked.pop(key) for key in self._asked.keys() - wanted.keys()]
        self._ending = [asked for asked in self._ending if not asked.close(patience=0.0)]
        if wanted:
            self._lease.start()
        for key, slugs in wanted.items():
            self._ask(key, slugs)
        return _WAIT_SECONDS if self._ending else _EVERY_SECONDS

    def _ask(self, key: tuple[str, str], slugs: Sequence[str]) -> None:
        """About backends for which no other controller is still being called."""
        busy = {slug for ending in self._ending for slug in ending.poll.slugs}
        free = tuple(slug for slug in slugs if slug not in busy)
        if key not in self._asked and free:
            self._asked[key] = self._begin(*key)
        if key in self._asked:
            self._asked[key].poll.slugs = free
            self._asked[key].worker.start()

    def _begin(self, url: str, token: str) -> _Asked:
        _log.info("calling the controller at %s", url)
        client = ControllerClient(url, token)
        poll = ControllerPoll(client, self._record, self._live, self._lease, self._clock)
        return _Asked(client, poll, Worker("controller", poll.step))
