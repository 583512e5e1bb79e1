"""The controller of a backend: the key `rap` of a backend's document. Its token is a setting, and never in git."""

from typing import Annotated

from pydantic import AfterValidator, Field

from jobserver.domain.base.rules import KeyFault
from jobserver.domain.base.urls import is_host, url_parts
from jobserver.domain.base.values import Database, Document, Line
from jobserver.errors import some

GITHUB = "https://github.com/"
DATABASES = {"full": "default"}
"""``default`` is the only database that the controllers of 2026 know."""
_HERE = ("localhost", "127.0.0.1", "::1")


def _url(text: str) -> str:
    parts = url_parts(text)
    host = parts.hostname or "" if parts is not None else ""
    if parts is None or parts.scheme not in ("https", "http") or not is_host(host):
        raise ValueError("expected an address such as https://controller.example.org/controller/v1")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("expected an address without a password, a query and a fragment")
    if parts.scheme == "http" and host not in _HERE:
        raise ValueError("expected https: others on the way could read the token")
    return text.rstrip("/")


class RapController(Document):
    """``url``: the address before ``/rap/create/``. ``databases``: a database here -> its name at the controller.
    ``repositories``: what the addresses of the repositories that it takes begin with."""

    url: Annotated[Line, AfterValidator(_url)]
    databases: dict[Database, Line] = Field(min_length=1)
    repositories: Line = GITHUB

    def faults(self, backend: str, database: str, repo: str) -> list[KeyFault]:
        """Why it can't run a request with this database and repository: (key of the request, message)."""
        faults = []
        if database not in self.databases:
            known = some(sorted(self.databases))
            message = f"the controller of backend {backend} has no database {database!r}: expected one of {known}"
            faults.append(("database_name", message))
        if not repo.startswith(self.repositories):
            message = (
                f"the controller of backend {backend} takes repositories whose address begins with"
                f" {self.repositories}, and this workspace's is {repo}: choose another backend"
            )
            faults.append(("backend", message))
        return faults
