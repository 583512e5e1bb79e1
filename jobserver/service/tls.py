"""The authorities by which HTTP clients know other servers, read once: for each client anew that takes 20 ms."""

import os
import ssl
from functools import lru_cache
from pathlib import Path

_NAMED = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def context() -> ssl.SSLContext:
    """For all clients of this process. It is made anew when the files that the environment names change."""
    return _context_of(*((os.environ.get(name, ""), _changed(os.environ.get(name, ""))) for name in _NAMED))


def _changed(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns if path else 0
    except OSError:
        return 0


@lru_cache(maxsize=1)
def _context_of(*named: tuple[str, int]) -> ssl.SSLContext:
    """``named``: the cache's key."""
    import httpx  # takes long to import

    return httpx.create_ssl_context()
