"""What the loop has other threads do: check a study out and plan its jobs, run one job. Both tell how it went.

Imports errors and this package's parts, never the loop: it decides, this does.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from jobserver.errors import Code, Error
from jobserver.runner import plan
from jobserver.runner.execute import Executor, Outcome, Task
from jobserver.runner.model import Job, Request
from jobserver.runner.study import Studies, read_pipeline

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Expanded:
    """The jobs that a request means, or the one that says why it means none."""

    request: str
    plan: plan.Plan


@dataclass(frozen=True, slots=True)
class Ended:
    """``job`` as it was when it started."""

    request: str
    job: Job
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Work:
    """``tell`` is called from the thread that did the work. ``halt``: the whole runner stops."""

    studies: Studies
    executor: Executor
    now: Callable[[], datetime]
    tell: Callable[[Expanded | Ended], None]
    halt: threading.Event

    def expand(self, request: Request) -> None:
        """Tells `Expanded`, whatever goes wrong; nothing if the runner stops: its next start tries again."""
        try:
            planned = self._planned(request)
        except Error as error:
            if self.halt.is_set():
                return
            code = "internal_error" if error.code is Code.UNAVAILABLE else "job_error"
            planned = plan.failed_to_begin(request, code, str(error), self.now())
        except Exception as error:  # noqa: BLE001 - a bug must be reported, not leave the request waiting for ever
            _log.exception("job request %s", request.identifier)
            message = f"a bug in the runner: {type(error).__name__}: {error}"
            planned = plan.failed_to_begin(request, "internal_error", message, self.now())
        self.tell(Expanded(request.identifier, planned))

    def _planned(self, request: Request) -> plan.Plan:
        if plan.cancels_all(request):
            return plan.cancelled_at_once(request, self.now())
        self._checkout(request, self.halt)
        pipeline = read_pipeline(self.executor.study(request.identifier))
        return plan.expand(request, pipeline, self.executor.succeeded(request.workspace), self.now())

    def run(self, request: Request, job: Job, task: Task, stop: threading.Event) -> None:
        """Tells `Ended`, whatever goes wrong."""
        try:
            self._checkout(request, stop)  # it is there, unless somebody removed the folder
            outcome = self.executor.run(task, stop)
        except Error as error:
            outcome = Outcome("failed", "internal_error", str(error), stopped=stop.is_set())
        except Exception as error:  # noqa: BLE001 - as above
            _log.exception("job %s of %s", task.job, task.request)
            outcome = Outcome("failed", "internal_error", f"a bug in the runner: {type(error).__name__}")
        self.tell(Ended(task.request, job, outcome))

    def _checkout(self, request: Request, stop: threading.Event) -> None:
        target = self.executor.study(request.identifier)
        self.studies.checkout(request.repo, request.branch, request.sha, target, stop)
