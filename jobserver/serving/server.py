"""The wiring of a server: adds the index, the background work and the web to a command's parts (`bootstrap`)."""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from jobserver.bootstrap import App, Clock, connect, install_hooks, local_actor, make_mailer, now, release_store
from jobserver.config.settings import Settings
from jobserver.index.index import Index
from jobserver.index.queries.requests import has_unarchived
from jobserver.index.sqlite.build import Progress
from jobserver.service.accounts.admins import ensure_admins
from jobserver.service.accounts.membership import Membership
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.background.archiver import Archiver
from jobserver.service.background.checkpointer import Checkpointer
from jobserver.service.background.maintenance import Maintenance
from jobserver.service.background.recorder import Recorder
from jobserver.service.budgets import Budgets, WriteBudget
from jobserver.service.notify.email.mail import Mailer
from jobserver.service.notify.notifier import Notifier
from jobserver.service.notify.outbox import Outbox
from jobserver.service.notify.sender import Sender
from jobserver.service.presence import Presence
from jobserver.service.push.hook_server import PushSocket
from jobserver.service.push.receiver import Receiver
from jobserver.service.rap.controllers import Controllers
from jobserver.service.rap.lease import REF, Lease
from jobserver.service.rap.record import RapRecord
from jobserver.service.readings import Readings
from jobserver.service.releases.checked import CheckedReleaseService
from jobserver.service.releases.upload import ReleaseService
from jobserver.service.reports.reports import Reports
from jobserver.service.upstream.relay import relay
from jobserver.service.writes.branch_guard import guard_branches
from jobserver.serving.from_settings import github_login, oidc_login, report_errors, send_traces, web_options
from jobserver.serving.messages import make_notifier
from jobserver.store.checked_files import CheckedFileStore
from jobserver.store.git.command import check_git
from jobserver.store.git.remote import RemoteRef
from jobserver.store.watch import Watch
from jobserver.web.app import make_app
from jobserver.web.server.mount import mounted
from jobserver.web.services import Services
from jobserver.worker import Worker

_log = logging.getLogger(__name__)
_ERASE_SECONDS = 3600.0  # between looks for withdrawn files whose bytes are still there


@dataclass(frozen=True, slots=True)
class Server:
    """The parts of a serving process: an `App` with its index and background work, behind a WSGI application."""

    app: App
    index: Index
    archiver: Archiver
    checkpointer: Checkpointer
    recorder: Recorder
    pushes: PushSocket
    watch: Watch
    maintenance: Maintenance
    eraser: Worker
    wsgi: Callable[..., Any]
    notifier: Notifier
    sender: Sender
    controllers: Controllers

    def close(self) -> None:
        self.controllers.close()
        self.notifier.close()
        self.sender.close()
        self.maintenance.close()
        self.eraser.close()
        self.watch.close()
        self.pushes.close()
        self.archiver.close()
        self.recorder.close()
        self.checkpointer.close()
        self.index.close()
        self.app.close()


def serve(settings: Settings, clock: Clock = now, progress: Progress = lambda branch, count: None) -> Server:
    """Opens STATE_REPO for a serving process, with the index up to date and ADMIN_USERS committed.

    Raises as `connect`.
    """
    check_git()
    report_errors(settings)
    send_traces(settings)
    mailer = make_mailer(settings)
    with ExitStack() as stack:
        app = connect(settings, clock)
        stack.callback(app.close)
        for place, problem in guard_branches(app.repo).inspect().items():
            _log.error("%s: %s", place, problem)
        if app.hosted is None or app.hosted.status.down_since is None:
            ensure_admins(app.repo, app.gate, settings.admin_users, settings.base_url)
        index = Index(settings.state_repo, app.repo.writer.refs, settings.index, progress)
        stack.callback(index.close)
        app.repo.writer.listen(index.announce, index.refs_moved)
        index.refresh()
        index.start()
        server = _start(app, index, clock, mailer)
        stack.pop_all()
        return server


def _start(app: App, index: Index, clock: Clock, mailer: Mailer | None) -> Server:
    settings = app.settings
    budgets = _budgets(app)
    archiver = Archiver(app.repo, app.gate, partial(_has_unarchived, index))
    install_hooks(settings)
    private = PrivateStore(settings.private_store)
    presence = Presence(clock, private)
    releases = _releases(app, clock, budgets)
    checked, eraser = _checked_releases(app, clock, budgets, releases)
    receiver = _receiver(app, (archiver, eraser), presence, clock)
    pushes = PushSocket(settings.state_repo, receiver, local_actor(settings))
    archiver.start()
    checkpointer = Checkpointer(app.repo, app.gate)
    checkpointer.start()
    readings, recorder = _readings(app, clock, private)
    maintenance = Maintenance(app.repo)
    maintenance.start()
    if app.hosted is not None:
        app.hosted.follower.start(settings.state_remote_poll_seconds)
    outbox = Outbox(private, clock)
    notifier, sender = make_notifier(app, index, private, clock, outbox, mailer)
    identity = github_login(settings, private)
    services = Services(
        options=web_options(settings, sends_email=mailer is not None),
        clock=clock,
        repo=app.repo,
        index=index,
        gate=app.gate,
        requests=app.requests,
        studies=app.studies,
        live=presence,
        readings=readings,
        private=private,
        budgets=budgets,
        hosted=app.hosted,
        releases=releases,
        checked_releases=checked,
        identity=identity,
        membership=Membership(identity.is_member, private) if identity is not None else None,
        oidc=oidc_login(settings),
        strayed=lambda: [*checkpointer.strayed, *guard_branches(app.repo).idle],
        unsent=outbox.problems,
    )

    watch = _watch(settings, index, archiver)
    wsgi = mounted(make_app(services), settings.base_url)
    controllers = _controllers(app, index, presence, clock)
    background = (archiver, checkpointer, recorder, pushes, watch, maintenance, eraser)
    return Server(app, index, *background, wsgi, notifier, sender, controllers)


def _controllers(app: App, index: Index, presence: Presence, clock: Clock) -> Controllers:
    """They call nobody until a backend's document names a controller."""
    hosted, path = app.hosted, app.settings.state_repo
    shared = RemoteRef(path, hosted.remote, REF) if hosted is not None else None
    lease = Lease(path / "jobserver.controllers", hosted.server if hosted is not None else "", shared)
    record = RapRecord(app.repo, index, Reports(app.gate, index, presence))
    controllers = Controllers(record, presence, lease, app.settings.rap_tokens, clock)
    index.on_change(controllers.wake)
    controllers.start()
    return controllers


def _readings(app: App, clock: Clock, private: PrivateStore) -> tuple[Readings, Recorder]:
    readings = Readings(clock, private)
    app.gate.hear = readings.hear
    recorder = Recorder(readings, app.gate, app.settings.readings_minutes)
    recorder.start()
    return readings, recorder


def _budgets(app: App) -> Budgets:
    """The limits for each caller: on writes, which the gate enforces, and on everything else."""
    settings = app.settings
    app.gate.budget = WriteBudget(
        settings.max_writes_per_minute, settings.max_backend_writes_per_minute, settings.max_stored_mib_per_day
    )
    return Budgets.of(
        settings.max_held_polls, settings.max_open_pages, settings.max_bodies, settings.max_released_mib_per_day
    )


def _watch(settings: Settings, index: Index, archiver: Archiver) -> Watch:
    def refs_moved() -> None:
        index.refs_moved()
        archiver.wake()

    return Watch(settings.state_repo, refs_moved)


def _receiver(app: App, woken: Sequence[Archiver | Worker], presence: Presence, clock: Clock) -> Receiver:
    """``woken``: who has to look at a push that was accepted."""

    def accepted(branches: Sequence[str]) -> None:
        for each in woken:
            each.wake()

    relayed = partial(relay, app.hosted) if app.hosted is not None else None
    return Receiver(app.repo, app.gate, clock, accepted, relayed, presence.record_report)


def _releases(app: App, clock: Clock, budgets: Budgets) -> ReleaseService | None:
    """Also completes or removes what an earlier process left unfinished, as far as possible now."""
    store = release_store(app.settings)
    if store is None:
        return None
    releases = ReleaseService(store, app.repo, app.gate, clock, budgets.released)
    releases.settle_interrupted()
    return releases


def _checked_releases(
    app: App, clock: Clock, budgets: Budgets, releases: ReleaseService | None
) -> tuple[CheckedReleaseService | None, Worker]:
    """As `_releases`. The worker erases what was withdrawn by a push, or by a process that was killed."""
    if releases is None:
        return None, Worker("eraser", lambda: None)
    store = CheckedFileStore(releases.store.root)
    checked = CheckedReleaseService(store, app.repo, app.gate, clock, budgets.released)
    checked.settle_interrupted()

    def erase() -> float:
        checked.settle_withdrawn()
        return _ERASE_SECONDS

    eraser = Worker("eraser", erase, settle_seconds=1.0)
    eraser.start()
    return checked, eraser


def _has_unarchived(index: Index, branch: str) -> bool:
    with index.view() as sql:
        return has_unarchived(sql, branch)
