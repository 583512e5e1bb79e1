"""Parts of a server that need its settings and nothing else: logins, options of the web, error reports, traces."""

from jobserver import __version__
from jobserver.config.settings import Settings
from jobserver.errors import invalid
from jobserver.service.accounts.github import GitHubLogin
from jobserver.service.accounts.oidc import OidcLogin, OidcProvider
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.web.services import Options


def github_login(settings: Settings, private: PrivateStore) -> GitHubLogin | None:
    if not settings.social_auth_github_key:
        return None

    def is_ours(number: int) -> bool:
        """Whether GITHUB_ORG has this number: that of GITHUB_ORG_ID, or else the one it had at first."""
        key = f"github-org/{settings.github_org.lower()}"
        return number == (settings.github_org_id or private.first(key, number))

    return GitHubLogin(
        settings.social_auth_github_key,
        settings.social_auth_github_secret,
        settings.github_org,
        settings.github_token,
        is_ours=is_ours,
    )


def oidc_login(settings: Settings) -> OidcLogin | None:
    """None if OIDC_ISSUER is not set."""
    if not settings.oidc_issuer:
        return None
    config = OidcProvider(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret,
        name=settings.oidc_name,
        scopes=settings.oidc_scopes,
        claim=settings.oidc_claim,
        group=settings.oidc_group,
    )
    return OidcLogin(config, f"{settings.base_url}/login/oidc/callback/")


def web_options(settings: Settings, *, sends_email: bool) -> Options:
    return Options(
        base_url=settings.base_url,
        secret_key=settings.secret_key,
        backends=settings.backends,
        proxies=settings.trusted_proxies,
        public_read=settings.public_read,
        limit_reading=settings.limit_reading,
        webhook_secret=settings.state_remote_webhook_secret,
        sends_email=sends_email,
        webhook_networks=settings.webhook_networks,
    )


def report_errors(settings: Settings) -> None:
    """Reports errors to Sentry if SENTRY_DSN is set; otherwise does not load its library. Raises `Error` (invalid)."""
    if settings.sentry_dsn:
        from jobserver.service import sentry

        sentry.start(settings.sentry_dsn, settings.sentry_environment, f"jobserver@{__version__}")


def send_traces(settings: Settings) -> None:
    """If OTEL_EXPORTER_OTLP_ENDPOINT is set; otherwise does not load the library. Raises `Error` (invalid)."""
    if settings.otel_exporter_otlp_endpoint:
        try:
            from jobserver.service import traces
        except ImportError:
            reason = "needs OpenTelemetry, which is not installed: pip install 'jobserver[otel]'"
            raise invalid(reason, "OTEL_EXPORTER_OTLP_ENDPOINT") from None
        traces.start(settings.otel_exporter_otlp_endpoint, __version__)
