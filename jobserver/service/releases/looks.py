"""Names those in the record who look at released files only because they give technical support, before they see one.

At most one commit for each person, release and day (UTC): the idempotency key of the second look is that of the first.
"""

from collections.abc import Callable
from datetime import datetime

from jobserver.domain.base.permissions import Actor
from jobserver.domain.outputs.views import RecordView, ReleaseView, is_recorded
from jobserver.index.index import Index
from jobserver.service.writes.gate import Gate
from jobserver.service.writes.idempotency import Key


class ReleaseViews:
    def __init__(self, gate: Gate, index: Index, clock: Callable[[], datetime]) -> None:
        self._gate, self._index, self._clock = gate, index, clock

    def record(self, actor: Actor, workspace: str, backend: str, identifier: str, via: str) -> None:
        """For a person who may look. Raises `Error` if the look can't be recorded: then there is none."""
        directory = self._index.directory()
        user, document = directory.user(actor.name), directory.workspace(workspace)
        if user is None or document is None or not is_recorded(directory, user, document):
            return
        day = self._clock().date().isoformat()
        key = Key.of(actor, "VIEW", f"{backend}/{workspace}/{identifier}", day, b"")
        self._gate.submit(actor, RecordView(backend, ReleaseView(workspace=workspace, identifier=identifier)), via, key)
