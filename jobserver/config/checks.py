"""Checks of single settings. Each returns the value to keep, or raises ValueError, as pydantic expects."""

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from jobserver.domain.base import names, urls
from jobserver.errors import Error, invalid
from jobserver.index.sqlite.schema import APPLICATION
from jobserver.store.fs import application_of, home

T = TypeVar("T")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
# `docker run --env-file` and others make a comment behind a value part of the value.
_COMMENT = re.compile(r"(?:^|\s)#(?:\s|$)")
_QUOTED = re.compile(r"([\"']).*\1")
_GITHUB_REPOSITORY = re.compile(names.GITHUB_REPOSITORY)
_SEGMENT = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._~-]+")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")  # browsers take a host that ends in a number for an address
_DEFAULT_PORTS = {"http": 80, "https": 443}


def as_value_error(check: Callable[[], T]) -> T:
    """The result of ``check``, whose `Error` becomes the ValueError that pydantic adds the setting's name to."""
    try:
        return check()
    except Error as error:
        raise ValueError(error.message) from None


def plain_text(value: str) -> str:
    if not value.isprintable():
        raise ValueError("expected printable characters only")
    if _COMMENT.search(value):
        raise ValueError("contains a comment, which would be part of the value: put comments on lines of their own")
    if _QUOTED.fullmatch(value):
        raise ValueError("is in quotes, which would be part of the value: remove the quotes")
    return value


def path(value: str) -> str:
    """With a leading `~` replaced, as a shell does, but `.env` and service managers do not."""
    if value.startswith("$") or "://" in value:
        raise ValueError("expected an absolute or relative path")
    return as_value_error(lambda: str(home(Path(value))))


def folder(value: Path) -> Path:
    """May not exist yet: the first study, or the first release, creates it."""
    if value.exists() and not value.is_dir():
        raise ValueError(f"{value} is not a folder")
    return value


def database(value: Path, setting: str) -> Path:
    """The index, or another database that is not the index. May not exist yet."""
    application = as_value_error(lambda: application_of(value))
    if application is not None and (application == APPLICATION) != (setting == "index"):
        kind = "an index" if setting == "index" else "a private store"
        raise ValueError(f"expected {kind} or a new file, but {value} is another database")
    return value


def networks(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in value.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(f"expected addresses or networks, separated by commas: {error}") from None


def output_repositories(value: Any) -> Any:
    """Slug of an organisation -> the repository on GitHub with its issues; the empty slug has that of all others."""
    if not isinstance(value, str):
        return value
    repositories: dict[str, str] = {}
    for part in filter(None, map(str.strip, value.split(","))):
        slug, _, repository = part.rpartition("=")
        if not _GITHUB_REPOSITORY.fullmatch(repository) or ("=" in part and not names.is_slug(slug)):
            raise ValueError("expected repositories such as org/outputs, and lab=org/outputs-of-lab for the lab's own")
        if slug in repositories:
            raise ValueError(f"expected one repository for {slug or 'all organisations without their own'}")
        repositories[slug] = repository
    return repositories


def web_url(value: str) -> str:
    parts = urls.url_parts(value)
    is_plain = parts is not None and not (parts.query or parts.fragment or "@" in parts.netloc or " " in value)
    if not is_plain or parts is None or parts.scheme not in _DEFAULT_PORTS or not urls.is_host(parts.hostname or ""):
        raise ValueError("expected a URL such as https://jobs.example.org")
    return value.rstrip("/")


def issuer(value: str) -> str:
    """Of OpenID Connect. Exactly as it is written, because ID tokens repeat it: a slash at the end counts."""
    web_url(value)
    parts = urlsplit(value)
    if parts.scheme != "https" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise ValueError("expected an https URL: people's identities depend on it")
    return value


def base_url(value: str) -> str:
    """As browsers spell it, because it is compared with the origin that they send with a form."""
    parts = urlsplit(value)
    if not all(_SEGMENT.fullmatch(segment) for segment in parts.path.split("/")[1:]):
        raise ValueError("expected a path of letters, digits and . _ ~ - such as https://example.org/jobs")
    host = _browser_host(parts.hostname or "")
    authority = f"[{host}]" if ":" in host else host
    if parts.port not in (None, _DEFAULT_PORTS[parts.scheme]):
        authority += f":{parts.port}"
    return f"{parts.scheme}://{authority}{parts.path}"


def _browser_host(host: str) -> str:
    """Raises ValueError if browsers would send another spelling."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        if not host.isascii() or _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
            raise ValueError(
                "expected the host as browsers send it: xn--bcher-kva.example for bücher.example, 10.0.0.1 for 10.1"
            ) from None
    return host


def tokens(value: str) -> dict[str, str]:
    """A backend's slug -> the token for its controller. The error does not repeat the value."""
    pairs = [pair.strip().partition("=") for pair in value.split(",") if pair.strip()]
    if not all(names.is_slug(slug) and token.isascii() and token.isprintable() and token for slug, _, token in pairs):
        raise ValueError("expected backends and the tokens for their controllers, such as tpp=token1,emis=token2")
    if len({slug for slug, _, _ in pairs}) < len(pairs):
        raise ValueError("expected each backend once")
    return {slug: token.strip() for slug, _, token in pairs}


def check_host(text: str) -> str:
    """An address for the server to listen at. Raises `Error` (invalid)."""
    try:
        if "%" not in text:
            return str(ipaddress.ip_address(text))
    except ValueError:
        pass
    raise invalid("expected an IP address of this machine such as 127.0.0.1 or ::1, or 0.0.0.0 or :: for all", "HOST")
