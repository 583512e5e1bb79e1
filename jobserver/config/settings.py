"""Settings from the environment and `.env`; read by the entry points only, never at import.

docs/contract.md names them all. A missing or malformed one stops the start with its name and what is expected, and
all that are wrong are told at once. An empty one counts as not set.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from jobserver.domain.base import names, urls
from jobserver.errors import Error, Fault, invalid
from jobserver.index.sqlite.schema import APPLICATION
from jobserver.service.accounts.private_store import check_email
from jobserver.service.notify import mail
from jobserver.store.fs import application_of, home
from jobserver.store.git.remote import check_url

_FILE = ".env"
T = TypeVar("T")
# `docker run --env-file` and others take what stands after a value for a part of it.
_COMMENT = re.compile(r"(?:^|\s)#(?:\s|$)")
_QUOTED = re.compile(r"([\"']).*\1")
_PATHS = ("state_repo", "study_repos", "release_storage", "signing_key", "index", "private_store")
_SEGMENT = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._~-]+")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")  # a host that ends in one is an address
_USUAL_PORTS = {"http": 80, "https": 443}
_DATABASES = {"index": "an index, or a file that is not there yet", "private_store": "a private store"}
_Names = Annotated[tuple[str, ...], NoDecode]
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Networks = Annotated[tuple[_Network, ...], NoDecode]


class RepositorySettings(BaseSettings):
    """What reading the record needs: STATE_REPO alone, so that whoever audits need not know the server's secrets."""

    model_config = SettingsConfigDict(
        env_file=_FILE, env_file_encoding="utf-8", extra="ignore", frozen=True, validate_default=False
    )

    state_repo: Path

    @classmethod
    def from_env(cls, **overrides: Any) -> Self:
        """Raises `Error` (invalid) that names every setting that is missing or malformed."""
        try:
            return cls(**overrides)
        except ValidationError as error:
            faults = [_fault(dict(one)) for one in error.errors(include_url=False, include_input=False)]
        except UnicodeDecodeError as error:
            faults = [Fault(f"expected UTF-8, found the byte 0x{error.object[error.start]:02x}", _FILE)]
        except OSError as error:
            faults = [Fault(f"can't be read: {error.strerror}", _FILE)]
        raise invalid("; ".join(map(str, faults)), "settings", faults)

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: dict[str, Any]) -> dict[str, Any]:
        return _filled(values)

    @field_validator("*", mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if not value.isprintable():
            raise ValueError("expected printable characters only")
        if _COMMENT.search(value):
            raise ValueError(
                "has a comment in it, which is a part of the value here: comments stand on lines of their own"
            )
        if _QUOTED.fullmatch(value):
            raise ValueError("has quotes around it, which are a part of the value here: leave them out")
        return value

    @field_validator(*_PATHS, mode="before", check_fields=False)
    @classmethod
    def _path(cls, value: Any) -> Any:
        """As a shell would have it, which `.env` and service managers do not."""
        if not isinstance(value, str):
            return value
        if value.startswith("$") or "://" in value:
            raise ValueError("expected a path, whole or from here on")
        return _expanded(value)

    @field_validator("state_repo")
    @classmethod
    def _named(cls, value: Path) -> Path:
        if value.name in ("", ".."):  # other files get their names from it
            raise ValueError("expected the path of a folder, with its name")
        return value


class Settings(RepositorySettings):
    """Attribute names are the settings' names in lower case. What is judged by another setting stands after it."""

    secret_key: str = Field(repr=False)
    base_url: str
    admin_users: _Names

    backends: _Names = ()
    debug: bool = False
    study_repos: Path | None = None
    github_token: str = Field(default="", repr=False)
    github_org: str = ""
    github_org_id: int | None = Field(default=None, ge=1, lt=2**63)
    social_auth_github_key: str = ""
    social_auth_github_secret: str = Field(default="", repr=False, validate_default=True)
    public_read: bool = False
    trusted_proxies: _Networks = ()
    email_backend: str = ""
    email_from: str = ""
    mailgun_url: str = "https://api.mailgun.net/v3"
    mailgun_api_key: str = Field(default="", repr=False, validate_default=True)
    release_storage: Path | None = None
    sentry_dsn: str = Field(default="", repr=False)
    sentry_environment: str = ""
    state_remote: str = Field(default="", repr=False)  # may carry credentials
    state_remote_pushes_per_minute: float = Field(default=0, ge=0, allow_inf_nan=False)
    state_remote_poll_seconds: float = Field(default=5, gt=0, le=3600)
    state_remote_webhook_secret: str = Field(default="", repr=False)
    max_writes_per_minute: int = Field(default=300, ge=0)
    max_backend_writes_per_minute: int = Field(default=6000, ge=0)
    max_stored_mib_per_day: int = Field(default=8192, ge=0)
    max_released_mib_per_day: int = Field(default=1024, ge=0)
    max_held_polls: int = Field(default=16, ge=0)
    max_open_pages: int = Field(default=100, ge=0)
    max_bodies: int = Field(default=8, ge=0)
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    signing_key: Path = Path()
    index: Path = Path()
    private_store: Path = Path()

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: dict[str, Any]) -> dict[str, Any]:
        values = _filled(values)
        try:
            repo = Path(_expanded(values.get("state_repo", "")))
        except ValueError:  # said where this setting is judged
            return values
        if repo.name:
            for name, suffix in (
                ("signing_key", ".key"),
                ("index", ".index.sqlite3"),
                ("private_store", ".private.sqlite3"),
            ):
                values.setdefault(name, repo.with_name(repo.name + suffix))
        return values

    @field_validator("secret_key", "state_remote_webhook_secret")
    @classmethod
    def _secret(cls, value: str) -> str:
        if len(value.strip()) < 16:
            raise ValueError("expected at least 16 random characters")
        return value

    @field_validator("base_url", "mailgun_url")
    @classmethod
    def _url(cls, value: str) -> str:
        if not _is_web_url(value):
            raise ValueError("expected a URL such as https://jobs.example.org")
        return value.rstrip("/")

    @field_validator("base_url")
    @classmethod
    def _base(cls, value: str) -> str:
        """As browsers spell it: their word for where a form comes from is compared with this."""
        parts = urlsplit(value)
        if not all(_SEGMENT.fullmatch(one) for one in parts.path.split("/")[1:]):
            raise ValueError("expected a path of letters, digits and . _ ~ - such as https://example.org/jobs")
        host = _as_browsers_have_it(parts.hostname or "")
        shown = f"[{host}]" if ":" in host else host
        if parts.port not in (None, _USUAL_PORTS[parts.scheme]):
            shown += f":{parts.port}"
        return f"{parts.scheme}://{shown}{parts.path}"

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

    @field_validator("github_org")
    @classmethod
    def _organisation(cls, value: str) -> str:
        if not names.is_username(value):
            raise ValueError("expected an organisation's name on GitHub such as opensafely, and no URL")
        return value

    @field_validator("backends")
    @classmethod
    def _slugs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(names.is_slug(slug) for slug in value):
            raise ValueError("expected backends' slugs such as tpp, separated by commas")
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

    @field_validator("social_auth_github_secret")
    @classmethod
    def _pair(cls, value: str, info: ValidationInfo) -> str:
        if bool(value) != bool(info.data.get("social_auth_github_key")):
            raise ValueError("expected both, it and SOCIAL_AUTH_GITHUB_KEY, or none")
        return value

    @field_validator("email_backend")
    @classmethod
    def _mailer(cls, value: str) -> str:
        return _told(lambda: mail.kind(value) and value)

    @field_validator("email_from")
    @classmethod
    def _address(cls, value: str) -> str:
        return _told(lambda: check_email(value))

    @field_validator("mailgun_api_key")
    @classmethod
    def _mailgun(cls, value: str, info: ValidationInfo) -> str:
        if not value and mail.kind(info.data.get("email_backend", "")) == mail.MAILGUN:
            raise ValueError("required by EMAIL_BACKEND, and not set")
        return value

    @field_validator("state_remote")
    @classmethod
    def _remote(cls, value: str) -> str:
        _told(lambda: check_url(value))
        if value.startswith("/") and not Path(value).is_dir():
            raise ValueError(f"expected a git repository, and {value} is no folder")
        return value

    @field_validator("host")
    @classmethod
    def _listens(cls, value: str) -> str:
        return _told(lambda: check_host(value))

    @field_validator("study_repos", "release_storage")
    @classmethod
    def _folder(cls, value: Path) -> Path:
        """That is not there yet: the first study, or the first release, comes later."""
        if value.exists() and not value.is_dir():
            raise ValueError(f"expected a folder, and {value} is none")
        return value

    @field_validator("signing_key", "index", "private_store")
    @classmethod
    def _file(cls, value: Path, info: ValidationInfo) -> Path:
        if value.is_dir():
            raise ValueError(f"expected a file, and {value} is a folder")
        repo = info.data.get("state_repo")
        if not value.parent.is_dir() and (repo is None or value.parent != repo.parent):  # which `init` makes
            raise ValueError(f"expected a file in a folder that is there, and {value.parent} is not")
        for other in ("state_repo", "signing_key", "index"):  # one would be taken for the other, and overwritten
            if other != info.field_name and (taken := info.data.get(other)) and taken.resolve() == value.resolve():
                raise ValueError(f"expected another file than {other.upper()}, {value}")
        return value

    @field_validator("index", "private_store")
    @classmethod
    def _database(cls, value: Path, info: ValidationInfo) -> Path:
        found = _told(lambda: application_of(value))
        if found is not None and (found == APPLICATION) != (info.field_name == "index"):
            raise ValueError(f"expected {_DATABASES[str(info.field_name)]}, and {value} is another database")
        return value

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


def _as_browsers_have_it(host: str) -> str:
    """Raises ValueError where they would send another one than is written here."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        if not host.isascii() or _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
            raise ValueError(
                "expected the host as browsers send it: xn--bcher-kva.example for bücher.example, 10.0.0.1 for 10.1"
            ) from None
    return host


def check_host(text: str) -> str:
    """Where a server may listen. Raises `Error` (invalid)."""
    try:
        if "%" not in text:
            return str(ipaddress.ip_address(text))
    except ValueError:
        pass
    raise invalid("expected an IP address of this machine such as 127.0.0.1 or ::1, or 0.0.0.0 or :: for all", "HOST")


def _filled(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is empty, such as a line of `dotenv-sample` that nobody filled in."""
    plain = {name: value.strip() if isinstance(value, str) else value for name, value in values.items()}
    return {name: value for name, value in plain.items() if value != ""}


def _expanded(path: Any) -> str:
    """With a `~` at its beginning replaced. Raises ValueError where nobody has that home."""
    return _told(lambda: str(home(Path(path))))


def _fault(one: Mapping[str, Any]) -> Fault:
    message = "required, and not set" if one["type"] == "missing" else str(one["msg"]).removeprefix("Value error, ")
    return Fault(message, key="_".join(map(str, one["loc"][:1])).upper())


def _told(check: Callable[[], T]) -> T:
    """As pydantic has it, which adds the setting's name."""
    try:
        return check()
    except Error as error:
        raise ValueError(error.message) from None


def _is_web_url(text: str) -> bool:
    parts = urls.url_parts(text)
    if parts is None or parts.query or parts.fragment or "@" in parts.netloc or " " in text:
        return False
    return parts.scheme in ("http", "https") and urls.is_host(parts.hostname or "")
