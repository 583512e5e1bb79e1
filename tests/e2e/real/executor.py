"""Runs no jobs: a test says what becomes of each, by a file named after its workspace and its action.

OpenSAFELY's runner loads it (its setting EXECUTOR), in an environment of its own.
"""

import json
import os
from pathlib import Path
from typing import Any

from jobrunner.job_executor import ExecutorState as State
from jobrunner.job_executor import JobResults, JobStatus

CONTROL = Path(os.environ["CONTROL"])
NEXT = {State.PREPARING: State.PREPARED, State.FINALIZING: State.FINALIZED}


class Executor:
    def __init__(self) -> None:
        self._states: dict[str, State] = {}

    def _told(self, job: Any) -> dict[str, Any] | None:
        try:
            told: dict[str, Any] = json.loads((CONTROL / f"{job.workspace}.{job.action}").read_text())
            return told
        except OSError:
            return None

    def _move(self, job: Any, state: State) -> JobStatus:
        self._states[job.id] = state
        return JobStatus(state)

    def get_status(self, job: Any) -> JobStatus:
        state = self._states.get(job.id, State.UNKNOWN)
        if state is State.EXECUTING and self._told(job) is not None:
            state = State.EXECUTED
        self._states[job.id] = state = NEXT.get(state, state)
        return JobStatus(state)

    def prepare(self, job: Any) -> JobStatus:
        if (told := self._told(job)) and "refused" in told:
            return JobStatus(State.ERROR, told["refused"])
        return self._move(job, State.PREPARING)

    def execute(self, job: Any) -> JobStatus:
        return self._move(job, State.EXECUTING)

    def finalize(self, job: Any) -> JobStatus:
        return self._move(job, State.FINALIZING)

    def terminate(self, job: Any) -> JobStatus:
        return self._move(job, State.ERROR)

    def cleanup(self, job: Any) -> JobStatus:
        self._states.pop(job.id, None)
        return JobStatus(State.UNKNOWN)

    def get_results(self, job: Any) -> JobResults:
        told = self._told(job) or {}
        outputs = {f"{job.action}.csv": "moderately_sensitive"}
        return JobResults(outputs, told.get("unmatched", []), told.get("exit_code", 0), "sha256:0", told.get("message"))

    def delete_files(self, workspace: str, privacy: Any, paths: list[str]) -> list[str]:
        return []
