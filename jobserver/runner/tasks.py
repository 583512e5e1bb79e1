"""The work that the loop gives to other threads: check out a study and plan its jobs, or run one job."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from jobserver.errors import Code, Error
from jobserver.runner import plan
from jobserver.runner.execute import Executor, Outcome, Task
from jobserver.runner.model import RunnerJob, RunnerRequest
from jobserver.runner.study import StudyCheckouts, read_pipeline

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RequestPlanned:
    """The plan for the request with this id."""

    request: str
    plan: plan.Plan


@dataclass(frozen=True, slots=True)
class JobEnded:
    """The outcome of a job of the request with this id. ``job`` as it was at its start."""

    request: str
    job: RunnerJob
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class TaskRunner:
    """``send`` takes each result to the loop, from the thread that did the work. ``halt``: the runner is stopping."""

    checkouts: StudyCheckouts
    executor: Executor
    now: Callable[[], datetime]
    send: Callable[[RequestPlanned | JobEnded], None]
    halt: threading.Event

    def expand(self, request: RunnerRequest) -> None:
        """Sends `RequestPlanned`, even after an error. Sends nothing if the runner stops."""
        try:
            planned = self.plan_of(request)
        except Error as error:
            if self.halt.is_set():
                return
            code = "internal_error" if error.code is Code.UNAVAILABLE else "job_error"
            planned = plan.failed_to_begin(request, code, str(error), self.now())
        except Exception as error:  # noqa: BLE001 - report a bug, or the request would wait for ever
            _log.exception("job request %s", request.identifier)
            message = f"a bug in the runner: {type(error).__name__}: {error}"
            planned = plan.failed_to_begin(request, "internal_error", message, self.now())
        self.send(RequestPlanned(request.identifier, planned))

    def plan_of(self, request: RunnerRequest) -> plan.Plan:
        """Checks the study out, and says which jobs the request has. Raises `Error`."""
        if plan.cancels_all(request):
            return plan.cancelled_at_once(request, self.now())
        self._check_out(request, self.halt)
        pipeline = read_pipeline(self.executor.study(request.identifier))
        return plan.expand(request, pipeline, self.executor.succeeded(request.workspace), self.now())

    def run(self, request: RunnerRequest, job: RunnerJob, task: Task, stop: threading.Event) -> None:
        """Sends `JobEnded`, even after an error."""
        try:
            self._check_out(request, stop)  # does nothing unless somebody removed the folder
            outcome = self.executor.run(task, stop)
        except Error as error:
            outcome = Outcome("failed", "internal_error", str(error), stopped=stop.is_set())
        except Exception as error:  # noqa: BLE001 - report a bug, or the job would run for ever
            _log.exception("job %s of %s", task.job, task.request)
            outcome = Outcome("failed", "internal_error", f"a bug in the runner: {type(error).__name__}")
        self.send(JobEnded(task.request, job, outcome))

    def _check_out(self, request: RunnerRequest, stop: threading.Event) -> None:
        target = self.executor.study(request.identifier)
        self.checkouts.checkout(request.repo, request.branch, request.sha, target, stop)
