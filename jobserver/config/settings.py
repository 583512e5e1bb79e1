"""Settings from the environment and `.env`. Only entry points read them, and never at import.

A missing or malformed setting stops the start. The error names every such setting and says what is expected. An empty
setting counts as not set.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from jobserver import logs
from jobserver.config import checks
from jobserver.config.checks import as_value_error
from jobserver.domain.base import names, urls
from jobserver.errors import Fault, invalid
from jobserver.service.accounts.private_store import check_email
from jobserver.service.notify.email import mail
from jobserver.service.notify.email.smtp import Tls
from jobserver.store.git.remote import check_url

_FILE = ".env"
_EXPECTED = {  # pydantic's types of errors, in our words
    "missing": "required but not set",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_parsing": "expected a number",
    "finite_number": "expected a number",
    "bool_parsing": "expected true or false",
    "enum": "expected {expected}",
    "literal_error": "expected {expected}",
    "greater_than": "expected more than {gt}",
    "greater_than_equal": "expected {ge} or more",
    "less_than": "expected less than {lt}",
    "less_than_equal": "expected {le} or less",
}
_PATHS = ("state_repo", "study_repos", "release_storage", "signing_key", "index", "private_store")
_BESIDE_REPO = {"signing_key": ".key", "index": ".index.sqlite3", "private_store": ".private.sqlite3"}
_Names = Annotated[tuple[str, ...], NoDecode]
_Networks = Annotated[tuple[checks.Network, ...], NoDecode]


class RepositorySettings(BaseSettings):
    """The only setting that reading the record needs, so that auditors need none of the server's secrets."""

    model_config = SettingsConfigDict(
        env_file=_FILE, env_file_encoding="utf-8", extra="ignore", frozen=True, validate_default=False
    )

    state_repo: Path

    @classmethod
    def from_env(cls, **overrides: Any) -> Self:
        """Raises `Error` (invalid) that names every missing or malformed setting."""
        try:
            return cls(**overrides)
        except ValidationError as error:
            faults = [_fault(dict(detail)) for detail in error.errors(include_url=False, include_input=False)]
        except UnicodeDecodeError as error:
            faults = [Fault(f"expected UTF-8, found the byte 0x{error.object[error.start]:02x}", _FILE)]
        except OSError as error:
            faults = [Fault(f"can't be read: {error.strerror}", _FILE)]
        raise invalid("; ".join(map(str, faults)), "settings", faults)

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: dict[str, Any]) -> dict[str, Any]:
        return _without_empty(values)

    @field_validator("*", mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        return checks.plain_text(value) if isinstance(value, str) else value

    @field_validator(*_PATHS, mode="before", check_fields=False)
    @classmethod
    def _path(cls, value: Any) -> Any:
        return checks.path(value) if isinstance(value, str) else value

    @field_validator("state_repo")
    @classmethod
    def _named(cls, value: Path) -> Path:
        if value.name in ("", ".."):  # the names of other files begin with it
            raise ValueError("expected the path of a folder, with its name")
        return value


class Settings(RepositorySettings):
    """Attributes have the settings' names in lower case. A setting that is checked against another comes after it."""

    # People and pages
    secret_key: str = Field(repr=False)
    base_url: str
    admin_users: _Names
    backends: _Names = ()
    public_read: bool = False
    limit_reading: bool = False
    trusted_proxies: _Networks = ()

    # Studies and GitHub
    study_repos: Path | None = None
    github_token: str = Field(default="", repr=False)
    github_org: str = ""
    github_org_id: int | None = Field(default=None, ge=1, lt=2**63)
    opencodelists_url: str = ""
    social_auth_github_key: str = ""
    social_auth_github_secret: str = Field(default="", repr=False, validate_default=True)

    # OpenID Connect
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: str = Field(default="", repr=False, validate_default=True)
    oidc_name: str = "single sign-on"
    oidc_scopes: str = "openid profile email"
    oidc_claim: str = "groups"
    oidc_group: str = ""

    # Emails, webhooks, released files and error reports
    email_backend: str = ""
    email_from: str = ""
    mailgun_url: str = "https://api.mailgun.net/v3"
    mailgun_api_key: str = Field(default="", repr=False, validate_default=True)
    smtp_host: str = Field(default="", validate_default=True)
    smtp_port: int | None = Field(default=None, ge=1, le=65535)
    smtp_user: str = ""
    smtp_password: str = Field(default="", repr=False, validate_default=True)
    smtp_tls: Tls = "starttls"
    webhook_networks: _Networks = ()
    output_checking_repos: Annotated[dict[str, str], NoDecode] = Field(default_factory=dict)
    output_checking_token: str = Field(default="", repr=False)
    release_storage: Path | None = None
    sentry_dsn: str = Field(default="", repr=False)
    sentry_environment: str = ""

    # Controllers of backends
    rap_tokens: Annotated[Mapping[str, str], NoDecode] = Field(default={}, repr=False)

    # The log
    log_format: logs.Format = Field(default=logs.Format.TEXT, strict=False)
    log_level: logs.Level = Field(default=logs.Level.INFO, strict=False)

    # Traces
    otel_exporter_otlp_endpoint: str = ""

    # Several servers
    state_remote: str = Field(default="", repr=False)  # may contain a password
    state_remote_pushes_per_minute: float = Field(default=0, ge=0, allow_inf_nan=False)
    state_remote_poll_seconds: float = Field(default=5, gt=0, le=3600)
    state_remote_webhook_secret: str = Field(default="", repr=False)

    # Jobs
    readings_minutes: int = Field(default=5, ge=1, le=20)  # pages call a job lost after 30 minutes without a report

    # Limits for each caller
    max_writes_per_minute: int = Field(default=300, ge=0)
    max_backend_writes_per_minute: int = Field(default=6000, ge=0)
    max_stored_mib_per_day: int = Field(default=8192, ge=0)
    max_released_mib_per_day: int = Field(default=1024, ge=0)
    max_held_polls: int = Field(default=16, ge=0)
    max_open_pages: int = Field(default=100, ge=0)
    max_bodies: int = Field(default=8, ge=0)

    # Where the server listens, and its files beside STATE_REPO
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    signing_key: Path = Path()
    index: Path = Path()
    private_store: Path = Path()

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: dict[str, Any]) -> dict[str, Any]:
        values = _without_empty(values)
        try:
            repo = Path(checks.path(str(values.get("state_repo", ""))))
        except ValueError:  # the check of state_repo reports it
            return values
        if repo.name:
            for name, suffix in _BESIDE_REPO.items():
                values.setdefault(name, repo.with_name(repo.name + suffix))
        return values

    @field_validator("secret_key", "state_remote_webhook_secret")
    @classmethod
    def _secret(cls, value: str) -> str:
        if len(value.strip()) < 16:
            raise ValueError("expected at least 16 random characters")
        return value

    @field_validator("base_url", "mailgun_url", "opencodelists_url", "otel_exporter_otlp_endpoint")
    @classmethod
    def _url(cls, value: str) -> str:
        return checks.web_url(value)

    @field_validator("base_url")
    @classmethod
    def _base(cls, value: str) -> str:
        return checks.base_url(value)

    @field_validator("admin_users", "backends", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("admin_users")
    @classmethod
    def _usernames(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or not all(names.is_username(name) for name in value):
            raise ValueError("expected usernames, separated by commas")
        return value

    @field_validator("backends")
    @classmethod
    def _slugs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(names.is_slug(slug) for slug in value):
            raise ValueError("expected backends' slugs such as tpp, separated by commas")
        return value

    @field_validator("trusted_proxies", "webhook_networks", mode="before")
    @classmethod
    def _proxies(cls, value: Any) -> Any:
        return checks.networks(value)

    @field_validator("output_checking_repos", mode="before")
    @classmethod
    def _repositories(cls, value: Any) -> Any:
        return checks.output_repositories(value)

    @field_validator("rap_tokens", mode="before")
    @classmethod
    def _tokens(cls, value: Any) -> Any:
        return checks.tokens(value) if isinstance(value, str) else value

    @field_validator("github_org")
    @classmethod
    def _organisation(cls, value: str) -> str:
        if not names.is_username(value):
            raise ValueError("expected the name of an organisation on GitHub such as opensafely, not a URL")
        return value

    @field_validator("social_auth_github_secret")
    @classmethod
    def _pair(cls, value: str, info: ValidationInfo) -> str:
        if bool(value) != bool(info.data.get("social_auth_github_key")):
            raise ValueError("expected both SOCIAL_AUTH_GITHUB_KEY and SOCIAL_AUTH_GITHUB_SECRET, or neither")
        return value

    @field_validator("oidc_issuer")
    @classmethod
    def _issuer(cls, value: str) -> str:
        return checks.issuer(value)

    @field_validator("oidc_client_secret")
    @classmethod
    def _oidc(cls, value: str, info: ValidationInfo) -> str:
        if len({bool(value), *(bool(info.data.get(name)) for name in ("oidc_issuer", "oidc_client_id"))}) > 1:
            raise ValueError("expected all of OIDC_ISSUER, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET, or none")
        return value

    @field_validator("oidc_scopes")
    @classmethod
    def _scopes(cls, value: str) -> str:
        if "openid" not in value.split():
            raise ValueError("expected scopes with spaces between them, and openid among them")
        return value

    @field_validator("email_backend")
    @classmethod
    def _mailer(cls, value: str) -> str:
        return as_value_error(lambda: mail.kind(value) and value)

    @field_validator("email_from")
    @classmethod
    def _address(cls, value: str) -> str:
        return as_value_error(lambda: check_email(value))

    @field_validator("mailgun_api_key")
    @classmethod
    def _mailgun(cls, value: str, info: ValidationInfo) -> str:
        if not value and mail.kind(info.data.get("email_backend", "")) == mail.MAILGUN:
            raise ValueError("required by EMAIL_BACKEND but not set")
        return value

    @field_validator("smtp_host")
    @classmethod
    def _smtp(cls, value: str, info: ValidationInfo) -> str:
        if not value and mail.kind(info.data.get("email_backend", "")) == mail.SMTP:
            raise ValueError("required by EMAIL_BACKEND but not set")
        if value and not urls.is_host(value):
            raise ValueError("expected a host such as smtp.example.org, without a port")
        return value

    @field_validator("smtp_password")
    @classmethod
    def _credentials(cls, value: str, info: ValidationInfo) -> str:
        if bool(value) != bool(info.data.get("smtp_user")):
            raise ValueError("expected both SMTP_USER and SMTP_PASSWORD, or neither")
        return value

    @field_validator("state_remote")
    @classmethod
    def _remote(cls, value: str) -> str:
        as_value_error(lambda: check_url(value))
        if value.startswith("/") and not Path(value).is_dir():
            raise ValueError(f"expected a git repository, but {value} is not a folder")
        return value

    @field_validator("host")
    @classmethod
    def _listens(cls, value: str) -> str:
        return as_value_error(lambda: checks.check_host(value))

    @field_validator("study_repos", "release_storage")
    @classmethod
    def _folder(cls, value: Path) -> Path:
        return checks.folder(value)

    @field_validator("signing_key", "index", "private_store")
    @classmethod
    def _file(cls, value: Path, info: ValidationInfo) -> Path:
        if value.is_dir():
            raise ValueError(f"expected a file, but {value} is a folder")
        repo = info.data.get("state_repo")
        if not value.parent.is_dir() and (repo is None or value.parent != repo.parent):  # `init` creates that folder
            raise ValueError(f"expected a file in an existing folder, but {value.parent} does not exist")
        for other in ("state_repo", "signing_key", "index"):  # one would overwrite the other
            if other != info.field_name and (taken := info.data.get(other)) and taken.resolve() == value.resolve():
                raise ValueError(f"expected a different file from {other.upper()}, but both are {value}")
        return value

    @field_validator("index", "private_store")
    @classmethod
    def _database(cls, value: Path, info: ValidationInfo) -> Path:
        return checks.database(value, str(info.field_name))

    @property
    def sender(self) -> str:
        """The address that emails are sent from."""
        return self.email_from or f"jobserver@{self.hostname}"

    @property
    def is_https(self) -> bool:
        return self.base_url.startswith("https://")

    @property
    def hostname(self) -> str:
        """The host of BASE_URL, which is also the domain in the addresses of commit authors."""
        return urlsplit(self.base_url).hostname or ""


def _without_empty(values: Mapping[str, Any]) -> dict[str, Any]:
    """Leaves out empty settings, such as the lines of `dotenv-sample` that were not filled in."""
    plain = {name: value.strip() if isinstance(value, str) else value for name, value in values.items()}
    return {name: value for name, value in plain.items() if value != ""}


def _fault(detail: Mapping[str, Any]) -> Fault:
    wording = _EXPECTED.get(detail["type"])
    message = wording.format(**detail.get("ctx", {})) if wording else str(detail["msg"]).removeprefix("Value error, ")
    return Fault(message, key="_".join(map(str, detail["loc"][:1])).upper())
