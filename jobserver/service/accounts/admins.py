"""Makes the people in ADMIN_USERS SuperUsers at each start."""

import logging
from collections.abc import Sequence

from jobserver.domain.accounts import EnsureAdmin
from jobserver.domain.base import layout
from jobserver.domain.base.permissions import SERVER
from jobserver.service.writes.gate import Gate
from jobserver.store.read.snapshot import Snapshot
from jobserver.store.repo import StateRepo

_log = logging.getLogger(__name__)


def ensure_admins(repo: StateRepo, gate: Gate, admins: Sequence[str], base_url: str) -> None:
    """People whom somebody disabled stay disabled, and the log names them.

    If nobody else is an active SuperUser, the first of them is enabled again, without the tokens they had.
    """
    for username in admins:
        gate.submit(SERVER, EnsureAdmin(username), "settings")

    def disabled_users(state: Snapshot) -> list[str]:
        return [name for name in admins if (user := state.user(name)) is not None and not user.active]

    disabled = repo.writer.read(layout.MAIN, disabled_users)
    if disabled and gate.submit(SERVER, EnsureAdmin(disabled[0], recovers=True), "settings").changed:
        _log.warning(
            "ADMIN_USERS: no SuperUser was active, so %s is enabled again, without old tokens", disabled.pop(0)
        )
    for username in disabled:
        page = f"{base_url}/users/{username}/"
        _log.warning(
            "ADMIN_USERS: %s is disabled and stays disabled. A SuperUser can enable them at %s", username, page
        )
