"""Records readings of jobs some minutes after a runner reported them, if no event has taken them along."""

import logging
from datetime import timedelta

from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.domain.job_requests.readings import RecordReadings
from jobserver.errors import Code, Error
from jobserver.service.readings import Readings
from jobserver.service.writes.gate import Gate
from jobserver.worker import Worker

_STEP_SECONDS = 10.0
_PASSING = (Code.UNAVAILABLE, Code.TOO_MANY)
_log = logging.getLogger(__name__)


class Recorder:
    def __init__(self, readings: Readings, gate: Gate, minutes: int) -> None:
        """``minutes``: how old readings become before they are recorded."""
        self._readings, self._gate, self._age = readings, gate, timedelta(minutes=minutes)
        self._worker = Worker("readings", self._step)

    def start(self) -> None:
        self._worker.start(_STEP_SECONDS)

    def close(self) -> None:
        """The next server goes on with what is not recorded."""
        self._worker.close(run_again=True)

    def record_due(self) -> None:
        for command in self._readings.due(self._age):
            self._record(command)

    def _record(self, command: RecordReadings) -> None:
        try:
            self._gate.submit(Actor(ActorKind.BACKEND, command.backend), command, "server")
        except Error as error:
            _log.warning("readings of backend %s are not recorded: %s", command.backend, error)
            if error.code in _PASSING:
                return
        self._readings.forget(command)

    def _step(self) -> float:
        self.record_due()
        self._readings.exchange()
        return _STEP_SECONDS
