"""Settings from the environment and `.env`; read by the entry points only, never at import.

CONTRACT section 3 names them all. A missing or malformed one stops the start with its name and what is expected.
"""

import ipaddress
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from jobserver.domain import names
from jobserver.errors import Fault, invalid

_Names = Annotated[tuple[str, ...], NoDecode]
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Networks = Annotated[tuple[_Network, ...], NoDecode]


class Settings(BaseSettings):
    """Attribute names are the settings' names in lower case."""

    model_config = SettingsConfigDict(env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True)

    secret_key: str = Field(min_length=16, repr=False)
    base_url: str
    state_repo: Path
    admin_users: _Names

    backends: _Names = ()
    debug: bool = False
    study_repos: Path | None = None
    github_token: str = Field(default="", repr=False)
    github_org: str = ""
    social_auth_github_key: str = ""
    social_auth_github_secret: str = Field(default="", repr=False)
    public_read: bool = False
    trusted_proxies: _Networks = ()
    email_backend: str = ""
    email_from: str = ""
    mailgun_url: str = "https://api.mailgun.net/v3"
    mailgun_api_key: str = Field(default="", repr=False)
    release_storage: Path | None = None
    sentry_dsn: str = Field(default="", repr=False)
    sentry_environment: str = ""
    state_remote: str = Field(default="", repr=False)  # may carry credentials
    state_remote_pushes_per_minute: float = Field(default=0, ge=0)
    state_remote_poll_seconds: float = Field(default=5, gt=0, le=3600)
    state_remote_webhook_secret: str = Field(default="", repr=False)
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    signing_key: Path = Path()
    index: Path = Path()
    private_store: Path = Path()

    @classmethod
    def from_env(cls, **overrides: Any) -> "Settings":
        """Raises `Error` (invalid) that names every setting that is missing or malformed."""
        try:
            return cls(**overrides)
        except ValidationError as error:
            faults = [
                Fault(
                    "required, and not set"
                    if one["type"] == "missing"
                    else str(one["msg"]).removeprefix("Value error, "),
                    key="_".join(map(str, one["loc"])).upper(),
                )
                for one in error.errors(include_url=False, include_input=False)
            ]
            raise invalid("; ".join(map(str, faults)), "settings", faults) from None

    @field_validator("admin_users", "backends", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("admin_users")
    @classmethod
    def _some_admin(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or not all(names.is_username(name) for name in value):
            raise ValueError("expected user names, separated by commas")
        return value

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _proxies(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return tuple(ipaddress.ip_network(part.strip()) for part in value.split(",") if part.strip())
        except ValueError as error:
            raise ValueError(f"expected addresses or networks, separated by commas: {error}") from None

    @field_validator("release_storage", mode="before")
    @classmethod
    def _storage(cls, value: Any) -> Any:
        return value or None

    @field_validator("base_url")
    @classmethod
    def _url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("expected a URL such as https://jobs.example.org")
        return value.rstrip("/")

    @model_validator(mode="before")
    @classmethod
    def _beside(cls, values: dict[str, Any]) -> dict[str, Any]:
        if repo := values.get("state_repo"):
            repo = Path(repo)
            for name, suffix in (
                ("signing_key", ".key"),
                ("index", ".index.sqlite3"),
                ("private_store", ".private.sqlite3"),
            ):
                values.setdefault(name, repo.with_name(repo.name + suffix))
        return values

    @model_validator(mode="after")
    def _pairs(self) -> "Settings":
        if bool(self.social_auth_github_key) != bool(self.social_auth_github_secret):
            raise ValueError("SOCIAL_AUTH_GITHUB_KEY and SOCIAL_AUTH_GITHUB_SECRET: expected both, or none")
        if self.state_remote_webhook_secret and len(self.state_remote_webhook_secret) < 16:
            raise ValueError("STATE_REMOTE_WEBHOOK_SECRET: expected at least 16 random characters")
        return self

    @property
    def sender(self) -> str:
        """Who emails are from."""
        return self.email_from or f"jobserver@{self.hostname}"

    @property
    def is_https(self) -> bool:
        return self.base_url.startswith("https://")

    @property
    def hostname(self) -> str:
        """The host of BASE_URL, which commit authors' addresses end in."""
        return urlsplit(self.base_url).hostname or ""
