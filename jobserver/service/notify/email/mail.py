"""Ways to send an email: printing it, SMTP (`smtp`), or Mailgun's HTTP API (https://documentation.mailgun.com)."""

import sys
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from hashlib import sha256
from typing import Protocol, TextIO

import orjson

from jobserver.errors import invalid, unavailable
from jobserver.service import tls
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.notify.outbox import Message

_SECONDS = 20
_RETRIED = (401, 408, 425, 429)  # the key, the rate or the moment was wrong, not the email
CONSOLE, MAILGUN, SMTP = "console", "mailgun", "smtp"


@dataclass(frozen=True, slots=True)
class Mail:
    """Plain text. ``subject`` is one line. ``id`` is unique to the email and the same at each attempt; may be empty."""

    subject: str
    body: str
    id: str = ""

    def message_id(self, sender: str) -> str:
        """The Message-ID (RFC 5322), by which mail systems recognise an email that arrives twice. Empty without id."""
        return f"<{self.id}@{sender.rpartition('@')[2]}>" if self.id else ""


class Mailer(Protocol):
    def send(self, to: str, mail: Mail) -> None:
        """Raises `Error`: unavailable if it may work later, invalid if this email is refused permanently."""


def as_message(sender: str, to: str, mail: Mail) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, to, mail.subject
    message["Date"] = formatdate()
    if mail.id:
        message["Message-ID"] = mail.message_id(sender)
    message.set_content(mail.body)
    return message


class Console:
    """Prints emails, for trying things out."""

    def __init__(self, sender: str, stream: TextIO | None = None) -> None:
        self._sender, self._stream = sender, stream

    def send(self, to: str, mail: Mail) -> None:
        print(f"{as_message(self._sender, to, mail)}{'-' * 70}", file=self._stream or sys.stderr, flush=True)


class Mailgun:
    """``url`` is the API's, of the region; the domain is the sender's."""

    def __init__(self, key: str, sender: str, url: str) -> None:
        self._key, self._sender = key, sender
        self._url = f"{url.rstrip('/')}/{sender.rpartition('@')[2]}/messages"

    def send(self, to: str, mail: Mail) -> None:
        import httpx  # takes long to import, and few commands send anything

        fields = {"from": self._sender, "to": to, "subject": mail.subject, "text": mail.body}
        if mail.id:
            fields["h:Message-Id"] = mail.message_id(self._sender)
        try:
            answer = httpx.post(self._url, auth=("api", self._key), data=fields, timeout=_SECONDS, verify=tls.context())
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise unavailable(f"the email could not be sent: {type(error).__name__}", "EMAIL_BACKEND") from None
        if answer.is_success:
            return
        message = f"the email could not be sent: Mailgun answered {answer.status_code}"
        if answer.is_client_error and answer.status_code not in _RETRIED:
            raise invalid(message, "EMAIL_BACKEND")
        raise unavailable(message, "EMAIL_BACKEND")


def kind(backend: str) -> str:
    """Console, Mailgun, SMTP, or empty without EMAIL_BACKEND. Accepts job-server's names of Django's backends, such as
    `anymail.backends.mailgun.EmailBackend`.

    Raises `Error` (invalid).
    """
    for known in (CONSOLE, MAILGUN, SMTP):
        if known in backend.lower():
            return known
    if backend:
        raise invalid("expected smtp, mailgun or console, or nothing", "EMAIL_BACKEND")
    return ""


def queued(mark: str, username: str, subject: str, mail: Mail) -> Message:
    """The email for the outbox, without the person's address, which stays erasable until it is sent. ``subject``: for
    operators, who may not read whom somebody invited to what."""
    content = orjson.dumps({"subject": mail.subject, "body": mail.body}).decode()
    return Message(f"mail/{mark}", f"mail/{username}", subject, content)


def send_queued(private: PrivateStore, mailer: Mailer, message: Message) -> None:
    """Sends such a message, if the person still has an address. Raises as `Mailer.send`."""
    if to := private.email(message.address):
        fields = orjson.loads(message.content)
        mailer.send(to, Mail(fields["subject"], fields["body"], sha256(message.mark.encode()).hexdigest()[:32]))
