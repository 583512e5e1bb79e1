"""Ways to send an email: printing it, or Mailgun's HTTP API (https://documentation.mailgun.com, "Messages")."""

import sys
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Protocol, TextIO

from jobserver.errors import invalid, unavailable

_SECONDS = 20
_LATER = (401, 408, 425, 429)  # the key may be mended, and the pace or the moment was wrong: not the email
CONSOLE, MAILGUN = "console", "mailgun"


@dataclass(frozen=True, slots=True)
class Mail:
    """Plain text. ``subject`` is one line."""

    to: str
    subject: str
    body: str


class Mailer(Protocol):
    def send(self, mail: Mail) -> None:
        """Raises `Error`: unavailable if it may work later, invalid if this email is refused for good."""


class Console:
    """Prints emails, for trying things out."""

    def __init__(self, sender: str, stream: TextIO | None = None) -> None:
        self._sender, self._stream = sender, stream

    def send(self, mail: Mail) -> None:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self._sender, mail.to, mail.subject
        message.set_content(mail.body)
        print(f"{message}{'-' * 70}", file=self._stream or sys.stderr, flush=True)


class Mailgun:
    """``url`` is the API's, of the region; the domain is the sender's."""

    def __init__(self, key: str, sender: str, url: str) -> None:
        self._key, self._sender = key, sender
        self._url = f"{url.rstrip('/')}/{sender.rpartition('@')[2]}/messages"

    def send(self, mail: Mail) -> None:
        import httpx  # takes long to import, and few commands send anything

        fields = {"from": self._sender, "to": mail.to, "subject": mail.subject, "text": mail.body}
        try:
            answer = httpx.post(self._url, auth=("api", self._key), data=fields, timeout=_SECONDS)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise unavailable(f"the email could not be sent: {type(error).__name__}", "EMAIL_BACKEND") from None
        if answer.is_success:
            return
        message = f"the email could not be sent: Mailgun answered {answer.status_code}"
        if answer.is_client_error and answer.status_code not in _LATER:
            raise invalid(message, "EMAIL_BACKEND")
        raise unavailable(message, "EMAIL_BACKEND")


def kind(backend: str) -> str:
    """Console, Mailgun, or none without EMAIL_BACKEND. job-server's names of Django's backends are understood.

    Raises `Error` (invalid).
    """
    for known in (CONSOLE, MAILGUN):
        if known in backend.lower():
            return known
    if backend:
        raise invalid("expected console or mailgun, or nothing", "EMAIL_BACKEND")
    return ""


def mailer(backend: str, key: str, sender: str, url: str) -> Mailer | None:
    """As the settings say; None without EMAIL_BACKEND. Raises `Error` (invalid)."""
    found = kind(backend)
    if not found:
        return None
    if found == CONSOLE:
        return Console(sender)
    if not key:
        raise invalid("required by EMAIL_BACKEND, and not set", "MAILGUN_API_KEY")
    return Mailgun(key, sender, url)
