"""What git clients say, spoken by hand."""

import base64

import httpx

from tests.e2e.harness import Site


def fetch_by_hand(site: Site, body: bytes, **headers: str) -> httpx.Response:
    token = base64.b64encode(f"x:{site.tokens['tpp']}".encode()).decode()
    kind = {"Authorization": f"Basic {token}", "Content-Type": "application/x-git-upload-pack-request"}
    return httpx.post(f"{site.url}/state.git/git-upload-pack", content=body, headers=kind | headers, timeout=30)
