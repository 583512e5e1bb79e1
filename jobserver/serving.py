"""The wiring of a serving process: on top of a command's (`bootstrap`), the index, the upkeep and the web."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from jobserver import __version__
from jobserver.bootstrap import App, Clock, connect, ensure_admins, install_hooks, local_actor, now, release_store
from jobserver.config import Settings
from jobserver.index.index import Index
from jobserver.index.queries.api import has_unmoved
from jobserver.index.sqlite.build import Progress
from jobserver.service.accounts.github import GitHubLogin
from jobserver.service.accounts.membership import Membership
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.background.archiver import Archiver
from jobserver.service.background.maintenance import Maintenance
from jobserver.service.budgets import Budgets, WriteBudget
from jobserver.service.notify.mail import Mailer, mailer
from jobserver.service.notify.notifier import Notifier
from jobserver.service.presence import Presence
from jobserver.service.push.hook_server import PushSocket
from jobserver.service.push.receiver import Receiver
from jobserver.service.releases.upload import ReleaseService
from jobserver.service.upstream.relay import relay
from jobserver.service.writes.branch_guard import guard_branches
from jobserver.store.git.command import check_git
from jobserver.store.watch import Watch
from jobserver.web.app import make_app
from jobserver.web.pages.routes.invitations import InvitationLinks
from jobserver.web.server.mount import mounted
from jobserver.web.services import Options, Services

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Server:
    """What a serving process works with: an `App` with its index, behind a WSGI application."""

    app: App
    index: Index
    follow_up: Archiver
    pushes: PushSocket
    watch: Watch
    upkeep: Maintenance
    wsgi: Callable[..., Any]
    notifier: Notifier | None = None

    def close(self) -> None:
        if self.notifier is not None:
            self.notifier.close()
        self.upkeep.close()
        self.watch.close()
        self.pushes.close()
        self.follow_up.close()
        self.index.close()
        self.app.close()


def serve(settings: Settings, clock: Clock = now, progress: Progress = lambda branch, count: None) -> Server:
    """Opens STATE_REPO for a serving process, index up to date, ADMIN_USERS committed. Raises as `connect`."""
    check_git()
    _report_errors(settings)
    sending = make_mailer(settings)
    app = connect(settings, clock)
    index: Index | None = None
    try:
        hosted = app.hosted
        standing = guard_branches(app.repo)
        for what, problem in standing.inspect().items():
            _log.error("%s: %s", what, problem)
        if hosted is None or hosted.status.down_since is None:
            ensure_admins(app)
        index = Index(settings.state_repo, app.repo.writer.refs, settings.index, progress)
        app.repo.writer.listen(index.announce, index.refs_moved)
        index.refresh()
        index.start()
        follow_up = Archiver(app.repo, app.gate, _unmoved(index))
        install_hooks(settings)

        def moved() -> None:
            index.refs_moved()
            follow_up.moved()

        private = PrivateStore(settings.private_store)
        live = Presence(clock, private)
        relayed = partial(relay, hosted) if hosted is not None else None
        receiver = Receiver(app.repo, app.gate, clock, lambda branches: follow_up.moved(), relayed, live.record_report)
        pushes = PushSocket(settings.state_repo, receiver, local_actor(settings))
        follow_up.start()
        upkeep = Maintenance(app.repo)
        upkeep.start()
        if hosted is not None:
            hosted.follower.start(settings.state_remote_poll_seconds)
        app.gate.budget = WriteBudget(
            settings.max_writes_per_minute, settings.max_backend_writes_per_minute, settings.max_stored_mib_per_day
        )
        budgets = Budgets.of(
            settings.max_held_polls, settings.max_open_pages, settings.max_bodies, settings.max_released_mib_per_day
        )
        releases = _releases(app, clock, budgets)
        notifier: Notifier | None = None
        if sending is not None:
            links = InvitationLinks(settings.secret_key, settings.base_url)
            notifier = Notifier(app.repo, private, sending, settings.base_url, clock, links.url)
            index.on_change(notifier.wake)
            notifier.start()
        identity = None
        if settings.social_auth_github_key:
            identity = GitHubLogin(
                settings.social_auth_github_key,
                settings.social_auth_github_secret,
                settings.github_org,
                settings.github_token,
                is_ours=_is_ours(settings, private),
            )
        services = Services(
            options=Options(
                base_url=settings.base_url,
                secret_key=settings.secret_key,
                backends=settings.backends,
                proxies=settings.trusted_proxies,
                public_read=settings.public_read,
                webhook_secret=settings.state_remote_webhook_secret,
                sends_email=sending is not None,
            ),
            clock=clock,
            repo=app.repo,
            index=index,
            gate=app.gate,
            requests=app.requests,
            studies=app.studies,
            live=live,
            private=private,
            budgets=budgets,
            hosted=hosted,
            releases=releases,
            identity=identity,
            membership=Membership(identity.is_member, private) if identity is not None else None,
            strayed=lambda: [*follow_up.strayed, *standing.idle],
            unsent=notifier.problems if notifier is not None else tuple,
        )
        watch = Watch(settings.state_repo, moved)
        return Server(
            app, index, follow_up, pushes, watch, upkeep, mounted(make_app(services), settings.base_url), notifier
        )
    except BaseException:
        if index is not None:
            index.close()
        app.close()
        raise


def _is_ours(settings: Settings, private: PrivateStore) -> Callable[[int], bool]:
    """Whether GITHUB_ORG is the organisation of a number: what GITHUB_ORG_ID says, or else what it was at first."""
    name = f"github-org/{settings.github_org.lower()}"
    return lambda number: number == (settings.github_org_id or private.first(name, number))


def make_mailer(settings: Settings) -> Mailer | None:
    """None if EMAIL_BACKEND is not set. Raises `Error` (invalid)."""
    return mailer(settings.email_backend, settings.mailgun_api_key, settings.sender, settings.mailgun_url)


def _unmoved(index: Index) -> Callable[[str], bool]:
    def ask(branch: str) -> bool:
        with index.view() as sql:
            return has_unmoved(sql, branch)

    return ask


def _releases(app: App, clock: Clock, budgets: Budgets) -> ReleaseService | None:
    """With what an earlier process left settled, as far as that can be done now."""
    store = release_store(app.settings)
    if store is None:
        return None
    releases = ReleaseService(store, app.repo, app.gate, clock, budgets.released)
    releases.settle_interrupted()
    return releases


def _report_errors(settings: Settings) -> None:
    """To Sentry, if SENTRY_DSN is set; or else its library is not even loaded. Raises `Error` (invalid)."""
    if settings.sentry_dsn:
        from jobserver.service import sentry

        sentry.start(settings.sentry_dsn, settings.sentry_environment, f"jobserver@{__version__}")
