"""One-time links that log a person in."""

from jobserver import bootstrap
from jobserver.config.settings import Settings
from jobserver.domain.base import layout
from jobserver.errors import not_found
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.accounts.tokens import epoch
from jobserver.web.pages.sessions import Sessions


def login_path(settings: Settings, username: str) -> str:
    """The path of a new link, below BASE_URL. Raises `Error`: not_found, and as `bootstrap.connect`."""
    app = bootstrap.connect(settings)
    try:
        user = app.repo.writer.read(layout.MAIN, lambda state: state.user(username))
    finally:
        app.close()
    if user is None or not user.active:
        raise not_found(f"User {username} does not exist or is disabled")
    private = PrivateStore(settings.private_store)
    try:
        sessions = Sessions(settings.secret_key, private, bootstrap.now, settings.is_https)
        return f"/login/link/{sessions.link(username, epoch(user))}/"
    finally:
        private.close()
