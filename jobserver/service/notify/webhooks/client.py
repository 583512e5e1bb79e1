"""Calls a URL that somebody outside chose, without becoming a way into the networks of the server.

Only https, to public addresses; WEBHOOK_NETWORKS names networks that are allowed too, also without TLS. The address
that was checked is the one that is connected to, so a name can't change its meaning in between. Redirects are not
followed, and bodies of answers are not read. Where a proxy is set (https_proxy), the proxy looks up names and decides.
"""

import socket
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import SplitResult

from jobserver import __version__
from jobserver.domain.base import urls
from jobserver.errors import Error, invalid, unavailable
from jobserver.service import tls
from jobserver.service.studies.deadline import DeadlineRunner
from jobserver.store import proxies

if TYPE_CHECKING:
    import httpx

SECONDS = 10.0
_REFUSED = (400, 405, 410, 413, 415, 422)  # about the message, or for ever; others may be about the moment
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in its last 32 bits
_PORTS = {"http": 80, "https": 443}
_Address = IPv4Address | IPv6Address


class WebhookClient:
    """Thread-safe. ``networks``: WEBHOOK_NETWORKS."""

    def __init__(self, networks: Sequence[IPv4Network | IPv6Network] = ()) -> None:
        self._networks = networks
        self._run_until = DeadlineRunner()

    def check(self, url: str) -> None:
        """Raises `Error` (invalid, or unavailable without an address) for a URL that would not be called."""
        self._targets(_parts(url))

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Posts JSON, within `SECONDS`. Raises `Error`: unavailable if it may work later, invalid if it was refused
        permanently."""
        import httpx

        parts = _parts(url)
        sent = {**headers, "Content-Type": "application/json", "User-Agent": f"jobserver/{__version__}"}
        proxy = _proxy_of(url)
        with httpx.Client(timeout=SECONDS, verify=tls.context(), proxy=proxy, trust_env=False) as client:
            try:
                status = self._run_until(monotonic() + SECONDS, lambda: self._status(client, parts, body, sent))
            except TimeoutError:
                raise unavailable(f"the receiver did not answer within {SECONDS:.0f} s") from None
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise unavailable(f"the receiver can't be reached: {type(error).__name__}") from None
        if 200 <= status < 300:
            return
        message = f"the receiver answered {status}"
        raise invalid(message) if status in _REFUSED else unavailable(message)

    def _status(self, client: "httpx.Client", parts: SplitResult, body: bytes, headers: Mapping[str, str]) -> int:
        import httpx

        targets = self._targets(parts)
        for position, target in enumerate(targets):
            url = httpx.URL(parts.geturl()).copy_with(host=target)
            names = {"Host": parts.netloc, **headers}
            try:
                with client.stream(
                    "POST", url, content=body, headers=names, extensions={"sni_hostname": parts.hostname}
                ) as answer:
                    return answer.status_code
            except httpx.ConnectError:
                if position == len(targets) - 1:
                    raise
        raise AssertionError("a target is never missing")

    def _targets(self, parts: SplitResult) -> list[str]:
        """The addresses to connect to; the name itself if a proxy looks it up. Raises `Error`."""
        host = parts.hostname or ""
        if parts.scheme == "https" and _proxy_of(parts.geturl()) and not _is_address(host):
            return [host]
        addresses = resolve(host, parts.port or _PORTS[parts.scheme])
        for address in addresses:
            if any(address in network for network in self._networks):
                continue
            if not is_public(address):
                raise self._not_allowed("the host is in a private network")
            if parts.scheme != "https":
                raise self._not_allowed("expected https")
        return [str(address) for address in addresses]

    @staticmethod
    def _not_allowed(reason: str) -> Error:
        """Not permanent: the setting, or the name, can be corrected. Without the address: /health-check/ shows it."""
        return unavailable(f"{reason}; WEBHOOK_NETWORKS can allow it", "URL")


def _proxy_of(url: str) -> str | None:
    proxy = proxies.whole_proxy_of(url)
    return proxy if "://" in proxy else f"http://{proxy}" if proxy else None


def resolve(host: str, port: int) -> list[_Address]:
    """Raises `Error` (unavailable)."""
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise unavailable("the host has no address", "URL") from None
    return list(dict.fromkeys(ip_address(str(answer[4][0]).partition("%")[0]) for answer in answers))


def _parts(url: str) -> SplitResult:
    parts = urls.url_parts(url)
    is_plain = parts is not None and "@" not in parts.netloc and not parts.fragment
    is_plain = is_plain and url.isascii() and url.isprintable() and " " not in url
    if parts is None or not is_plain or parts.scheme not in _PORTS or not urls.is_host(parts.hostname or ""):
        raise invalid("expected a URL such as https://hooks.example.org/jobs", "URL")
    return parts


def _is_address(host: str) -> bool:
    try:
        return bool(ip_address(host))
    except ValueError:
        return False


def is_public(address: _Address) -> bool:
    """Whether this is an address of the Internet, also where it is another one in disguise."""
    if isinstance(address, IPv6Address):
        if address.teredo is not None:
            return False
        if address in _NAT64:
            return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
        inner = address.ipv4_mapped or address.sixtofour
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast
