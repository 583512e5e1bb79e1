"""What every handler may use: the services of one serving process, and the settings that the web needs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network
from typing import Protocol

from jobserver.index.index import Index
from jobserver.service.accounts.github import Person
from jobserver.service.accounts.membership import Membership
from jobserver.service.accounts.oidc import OidcLogin
from jobserver.service.accounts.preferences import Preferences
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.accounts.tokens import Auth
from jobserver.service.budgets import Budgets
from jobserver.service.notify.subscriptions import Subscriptions
from jobserver.service.notify.webhooks.client import WebhookClient
from jobserver.service.notify.webhooks.of_workspace import WorkspaceWebhooks
from jobserver.service.notify.webhooks.store import Webhooks
from jobserver.service.presence import Presence
from jobserver.service.readings import Readings
from jobserver.service.releases.checked import CheckedReleaseService
from jobserver.service.releases.looks import ReleaseViews
from jobserver.service.releases.upload import ReleaseService
from jobserver.service.studies.registry import StudyRegistry
from jobserver.service.upstream.sync import Hosted
from jobserver.service.writes.gate import Gate
from jobserver.service.writes.job_requests import JobRequestService
from jobserver.service.writes.workspaces import WorkspaceService
from jobserver.store.repo import StateRepo
from jobserver.web.clients import Network, address
from jobserver.web.pages.kept_forms import KeptForms
from jobserver.web.pages.new_secrets import NewSecrets
from jobserver.web.pages.sessions import Session, Sessions
from jobserver.web.visibility import Readers, VisibleBackends


class Identity(Protocol):
    """Logging in with GitHub: `jobserver.service.accounts.github`."""

    def login_url(self, state: str, back: str) -> str: ...
    def person(self, code: str) -> Person:
        """Raises `Error`: forbidden for a person outside the organisation, unavailable if GitHub does not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The settings that the web needs, as `jobserver.config.settings` describes them."""

    base_url: str
    secret_key: str
    backends: Sequence[str] = ()
    proxies: Sequence[Network] = ()
    public_read: bool = False
    limit_reading: bool = False
    webhook_secret: str = ""
    sends_email: bool = False
    webhook_networks: Sequence[IPv4Network | IPv6Network] = ()


@dataclass(frozen=True, kw_only=True)
class Services:
    """``identity`` and ``membership`` are None without GitHub's login, ``oidc`` without OIDC_ISSUER, ``hosted`` without
    STATE_REMOTE, ``releases`` and ``checked_releases`` without RELEASE_STORAGE. ``strayed`` and ``unsent`` list the
    problems that /health-check/ shows."""

    options: Options
    clock: Callable[[], datetime]
    repo: StateRepo
    index: Index
    gate: Gate
    requests: JobRequestService
    studies: StudyRegistry
    live: Presence
    readings: Readings
    private: PrivateStore
    budgets: Budgets = field(default_factory=Budgets)
    hosted: Hosted | None = None
    releases: ReleaseService | None = None
    checked_releases: CheckedReleaseService | None = None
    identity: Identity | None = None
    membership: Membership | None = None
    oidc: OidcLogin | None = None
    strayed: Callable[[], Sequence[str]] = tuple
    unsent: Callable[[str], Sequence[str]] = lambda kind: ()

    @cached_property
    def auth(self) -> Auth:
        if self.membership is None:
            return Auth(self.index, self.clock)
        return Auth(self.index, self.clock, self.membership.has_left)

    @cached_property
    def sessions(self) -> Sessions:
        def is_valid(session: Session, waits: bool) -> bool:
            user = self.auth.session_user(
                session.username, session.since, session.github_id, waits, oidc_id=session.oidc_id
            )
            return user is not None

        return Sessions(self.options.secret_key, self.private, self.clock, self.is_https, is_valid)

    @cached_property
    def subscriptions(self) -> Subscriptions:
        return Subscriptions(self.private)

    @cached_property
    def webhooks(self) -> Webhooks:
        return Webhooks(self.private)

    @cached_property
    def webhook_client(self) -> WebhookClient:
        """For checks of URLs only: calls go through the outbox."""
        return WebhookClient(self.options.webhook_networks)

    @cached_property
    def workspace_webhooks(self) -> WorkspaceWebhooks:
        return WorkspaceWebhooks(self.webhooks, self.private, self.webhook_client, self.repo.writer.refs)

    @cached_property
    def new_secrets(self) -> NewSecrets:
        return NewSecrets(self.sessions)

    @cached_property
    def kept_forms(self) -> KeptForms:
        return KeptForms(self.private, self.clock)

    @cached_property
    def preferences(self) -> Preferences:
        return Preferences(self.private)

    @cached_property
    def visible(self) -> VisibleBackends:
        return VisibleBackends(self.index, self.options.backends)

    @cached_property
    def views(self) -> ReleaseViews:
        return ReleaseViews(self.gate, self.index, self.clock)

    @cached_property
    def readers(self) -> Readers:
        return Readers(self.options.limit_reading)

    @cached_property
    def workspaces(self) -> WorkspaceService:
        return WorkspaceService(self.repo, self.gate, self.studies)

    @property
    def is_https(self) -> bool:
        return self.options.base_url.startswith("https://")

    def client(self) -> str:
        """The address of the client whose request is being handled."""
        return address(self.options.proxies)
