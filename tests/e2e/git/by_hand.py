"""What git clients say, spoken by hand."""

import base64
import hashlib
import struct
import zlib
from collections.abc import Sequence

import httpx

from tests.e2e.harness import TLS, Site


def fetch_by_hand(site: Site, body: bytes, **headers: str) -> httpx.Response:
    token = base64.b64encode(f"x:{site.tokens['tpp']}".encode()).decode()
    kind = {"Authorization": f"Basic {token}", "Content-Type": "application/x-git-upload-pack-request"}
    return httpx.post(
        f"{site.url}/state.git/git-upload-pack", content=body, headers=kind | headers, timeout=30, verify=TLS
    )


def line(text: str) -> bytes:
    return b"%04x%s" % (len(text) + 4, text.encode())


def pack(objects: "Sequence[tuple[int, bytes] | tuple[int, bytes, bytes]]") -> bytes:
    """Of (kind, data), or (7, id of its base, delta)."""
    parts = [b"PACK", struct.pack(">II", 2, len(objects))]
    for kind, *base, data in objects:
        size = len(data)
        byte, size = kind << 4 | size & 15, size >> 4
        head = bytearray()
        while size:
            head.append(byte | 128)
            byte, size = size & 127, size >> 7
        head.append(byte)
        parts += [bytes(head), *base, zlib.compress(data)]
    body = b"".join(parts)
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def post(site: Site, old: str, new: str, data: bytes) -> str:
    line = f"{old} {new} refs/heads/backends/tpp\0report-status side-band-64k agent=test".encode()
    answer = raw(site, b"%04x%s0000" % (len(line) + 4, line) + data)
    answer.raise_for_status()
    said, at = b"", 0
    while size := int(answer.content[at : at + 4] or b"0", 16):
        said += answer.content[at + 5 : at + size]
        at += size
    return said.decode()


def raw(site: Site, body: bytes) -> httpx.Response:
    token = base64.b64encode(f"x:{site.tokens['tpp']}".encode()).decode()
    headers = {"Authorization": f"Basic {token}", "Content-Type": "application/x-git-receive-pack-request"}
    return httpx.post(f"{site.url}/state.git/git-receive-pack", content=body, headers=headers, timeout=30, verify=TLS)
