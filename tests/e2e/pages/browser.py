"""A browser without JavaScript, and text that is never to be taken for HTML."""

import re

import httpx

from tests.e2e.harness import Site

HOSTILE = "<script>alert(1)</script>"


class Browser(httpx.Client):
    """Somebody with a session and no JavaScript."""

    def __init__(self, site: Site, who: str | None) -> None:
        super().__init__(base_url=site.url, timeout=30, verify=site.verify)
        if who is not None:
            link = site.login_link(who)
            page = self.get(link)
            assert page.status_code == 200, page.text
            answer = self.post(link, data={"form": self.token(page)})
            assert answer.status_code == 303, answer.text

    def __enter__(self) -> "Browser":
        return self  # it has called already

    def __exit__(self, *_: object) -> None:
        self.close()

    @staticmethod
    def token(page: httpx.Response) -> str:
        match = re.search(r'name="form" value="([^"]+)"', page.text)
        assert match, page.text
        return match[1]

    def lead(self, path: str, page: str | None = None, **fields: object) -> httpx.Response:
        """The page that the form leads to."""
        reply = self.submit(path, page, **fields)
        assert reply.status_code == 303, reply.text
        return self.get(reply.headers["Location"])

    def submit(self, path: str, page: str | None = None, **fields: object) -> httpx.Response:
        token = self.token(self.get(page or path))
        return self.post(path, data={"form": token, **fields})
