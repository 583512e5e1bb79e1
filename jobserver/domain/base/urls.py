"""Which hosts and URLs may be named in settings, in documents and by git."""

import re
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

_HOST = re.compile(r"[^\W_](?:[\w.-]*\w)?\.?")


def is_host(text: str) -> bool:
    """Whether a URL may have this host: a name on the Internet or in the local network, or an IP address."""
    try:
        return bool(_HOST.fullmatch(text) or ip_address(text))
    except ValueError:
        return False


def url_parts(text: str) -> SplitResult | None:
    """None if the text is not a URL, for example because its port is not a number."""
    try:
        parts = urlsplit(text)
        return None if parts.port == 0 else parts
    except ValueError:
        return None
