"""plan(state, command, ...) -> Changes: what a command would change. It proposes; `admit` decides.

Each noun plans its own commands. A plan refuses commands that name something that does not exist, or exists already.
"""

from datetime import datetime
from typing import TypeAlias, assert_never

from pydantic import ValidationError

from jobserver.domain import accounts, backends, orgs, projects, record, releases, site_messages, users, workspaces
from jobserver.domain.base.layout import AUDIT, MAIN, backend_branch
from jobserver.domain.base.permissions import Actor
from jobserver.domain.base.state import Changes, State
from jobserver.domain.base.validation import invalid_values
from jobserver.domain.job_requests import jobs, readings, requests
from jobserver.domain.outputs import airlock, views
from jobserver.domain.outputs import commands as outputs

_OnMain: TypeAlias = (
    users.Command
    | accounts.Command
    | workspaces.Command
    | projects.Command
    | backends.Command
    | orgs.Command
    | site_messages.Command
)
_OnBackend: TypeAlias = (
    jobs.Command
    | readings.Command
    | requests.Command
    | releases.Command
    | outputs.Command
    | airlock.Command
    | views.RecordView
)
Command: TypeAlias = _OnBackend | record.Command | _OnMain


def branch_of(command: Command) -> str:
    """The branch that a command writes. A command writes one branch only."""
    if isinstance(command, _OnBackend):
        return backend_branch(command.backend)
    if isinstance(command, record.Command):
        return AUDIT
    if isinstance(command, _OnMain):
        return MAIN
    assert_never(command)


def plan(state: State, command: Command, actor: Actor, now: datetime, new_id: str) -> Changes:
    """What ``command`` would change on ``state``. Raises `Error` (invalid, conflict, not_found).

    ``new_id`` is the identifier of a job request or release that the command creates.
    """
    try:
        return _plan(state, command, actor, now, new_id)
    except ValidationError as error:
        raise invalid_values(error) from None


def _plan(state: State, command: Command, actor: Actor, now: datetime, new_id: str) -> Changes:
    if isinstance(command, jobs.Command):  # first, because most commands are reports
        return jobs.plan(state, command, actor, now)
    if isinstance(command, readings.Command):
        return readings.plan(state, command, actor, now)
    if isinstance(command, requests.Command):
        return requests.plan(state, command, actor, now, new_id)
    if isinstance(command, record.Command):
        return record.plan(state, command, now)
    if isinstance(command, releases.Command):
        return releases.plan(state, command, actor)
    if isinstance(command, airlock.Command):
        return airlock.plan(state, command, actor, now)
    if isinstance(command, outputs.Command):
        return outputs.plan(state, command, actor, now, new_id)
    if isinstance(command, views.RecordView):
        return views.plan(state, command, actor.name)
    return _plan_on_main(state, command, actor, now)


def _plan_on_main(state: State, command: _OnMain, actor: Actor, now: datetime) -> Changes:
    if isinstance(command, users.Command):
        return users.plan(state, command, actor, now)
    if isinstance(command, accounts.Command):
        return accounts.plan(state, command, now)
    if isinstance(command, workspaces.Command):
        return workspaces.plan(state, command, actor, now)
    if isinstance(command, projects.Command):
        return projects.plan(state, command, actor, now)
    if isinstance(command, backends.Command):
        return backends.plan(state, command, actor, now)
    if isinstance(command, orgs.Command):
        return orgs.plan(state, command, actor)
    if isinstance(command, site_messages.Command):
        return site_messages.plan(state, command, actor)
    assert_never(command)
