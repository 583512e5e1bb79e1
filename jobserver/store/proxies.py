"""The proxies that the environment names (https_proxy, http_proxy, all_proxy, no_proxy, in small or capital letters).

HTTP clients and git read these variables themselves, each in its own way. This module holds what all of them share.
"""

import os
from ipaddress import ip_address
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from jobserver.domain.base import urls
from jobserver.errors import Fault, invalid

_KINDS = ("http", "https", "socks5", "socks5h")
_OURS = ("http", "https", "all")


def check() -> None:
    """Raises `Error` (invalid) that lists every proxy setting that can't be used."""
    known = getproxies_environment()
    settings = {f"{kind}_PROXY".upper(): proxy for kind, proxy in known.items() if kind in _OURS}
    expected = "expected the URL of a proxy, such as http://proxy.example.org:3128 or socks5h://localhost:1080"
    faults = [Fault(expected, key=name) for name, proxy in settings.items() if not _can_be_used(proxy)]
    unread = [part for part in map(str.strip, known.get("no", "").split(",")) if part and not _can_be_read(part)]
    if unread:
        expected = (
            "expected names and addresses such as localhost, .example.org, ::1 or 10.0.0.0/8, separated by commas"
        )
        faults.append(Fault(f"{expected}; found {', '.join(unread)}", key="NO_PROXY"))
    if faults:
        raise invalid("; ".join(map(str, faults)), "the environment", faults)


def _can_be_used(proxy: str) -> bool:
    parts = urls.url_parts(proxy if "://" in proxy else f"http://{proxy}")
    return parts is not None and parts.scheme in _KINDS and urls.is_host(parts.hostname or "")


def _can_be_read(part: str) -> bool:
    """Whether every client can read it: some HTTP clients raise an error otherwise."""
    try:
        ip_address(part)
    except ValueError:
        return part.isascii() and "[" not in part and urls.url_parts(f"http://{part}") is not None
    return True


def variables() -> dict[str, str]:
    """The variables as git understands them, which ignores HTTP_PROXY in capital letters."""
    return {f"{kind}_proxy": proxy for kind, proxy in getproxies_environment().items() if kind in (*_OURS, "no")}


def proxy_of(url: str) -> str:
    """The proxy for requests to this URL, without its credentials, for display; empty if there is none."""
    return whole_proxy_of(url).rpartition("@")[2].rpartition("://")[2]


def whole_proxy_of(url: str) -> str:
    """The proxy for requests to this URL as it was set; empty if there is none."""
    parts, known = urlsplit(url), getproxies_environment()
    proxy = known.get(parts.scheme) or known.get("all", "")
    if not proxy or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return ""
    return proxy


def none_for(host: str) -> dict[str, str]:
    """The environment variables that make a process reach ``host`` without a proxy, beside the hosts in no_proxy."""
    known = os.environ.get("no_proxy") or os.environ.get("NO_PROXY", "")
    return dict.fromkeys(("no_proxy", "NO_PROXY"), ",".join(filter(None, (known, host))))
