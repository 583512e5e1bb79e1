"""Email by SMTP, to a real SMTP server: STARTTLS, TLS, credentials, and answers that refuse for now or permanently."""

import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword

from jobserver.errors import Code, Error
from jobserver.service.notify.email import smtp
from jobserver.service.notify.email.mail import Mail
from jobserver.service.notify.email.smtp import SmtpMailer, SmtpServer
from tests.certificates import tls_context
from tests.e2e.harness import free_port

MAIL = Mail("trends: jobs succeeded", "Hello\n.\nhalló\n", "abc")


class Inbox:
    """Keeps the emails that the server accepts; ``answers`` replaces its answers to commands."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.answers: dict[str, str] = {}

    async def handle_RCPT(self, server: Any, session: Any, envelope: Envelope, address: str, options: Any) -> str:
        if "RCPT" in self.answers:
            return self.answers["RCPT"]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:
        if "DATA" in self.answers:
            return self.answers["DATA"]
        self.envelopes.append(envelope)
        return "250 OK"


@contextmanager
def smtp_server(inbox: Inbox, **options: Any) -> Iterator[int]:
    """Its port."""
    controller = Controller(inbox, "127.0.0.1", free_port(), **options)
    controller.start()
    try:
        yield int(controller.port)
    finally:
        controller.stop()


def check_credentials(server: Any, session: Any, envelope: Any, mechanism: str, data: LoginPassword) -> AuthResult:
    return AuthResult(success=(data.login, data.password) == (b"jobs", b"secret"), handled=False)


def mailer(port: int, tls: Any = "none", **credentials: str) -> SmtpMailer:
    return SmtpMailer(SmtpServer("127.0.0.1", port, tls=tls, **credentials), "jobserver@example.org")


def error_of(send: Callable[[], None]) -> Error:
    with pytest.raises(Error) as error:
        send()
    return error.value


def test_an_email_arrives_whole() -> None:
    inbox = Inbox()
    with smtp_server(inbox) as port:
        mailer(port).send("alice@example.org", MAIL)
    (envelope,) = inbox.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == ("jobserver@example.org", ["alice@example.org"])
    assert isinstance(envelope.content, bytes)
    message = message_from_bytes(envelope.content)
    assert (message["To"], message["Subject"]) == ("alice@example.org", "trends: jobs succeeded")
    assert message["Message-ID"] == "<abc@example.org>"
    assert message["Date"]
    body = message.get_payload(decode=True)
    assert isinstance(body, bytes)
    assert body.decode().replace("\r\n", "\n") == MAIL.body


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_credentials_go_over_tls_only(certificate: Path, monkeypatch: pytest.MonkeyPatch, tls: str) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    inbox, context = Inbox(), tls_context(certificate)
    options: dict[str, Any] = {"authenticator": check_credentials}
    if tls == "starttls":
        options |= {"tls_context": context, "require_starttls": True, "auth_required": True}
    else:
        options |= {"ssl_context": context, "auth_require_tls": False}
    with smtp_server(inbox, **options) as port:
        mailer(port, tls, user="jobs", password="secret").send("alice@example.org", MAIL)
        wrong = error_of(lambda: mailer(port, tls, user="jobs", password="guess").send("alice@example.org", MAIL))
    assert len(inbox.envelopes) == 1
    assert wrong.code is Code.UNAVAILABLE  # the settings can be corrected
    assert "refused SMTP_USER and SMTP_PASSWORD (535)" in wrong.message


def test_a_certificate_of_an_unknown_authority_gets_nothing(certificate: Path) -> None:
    inbox = Inbox()
    with smtp_server(inbox, tls_context=tls_context(certificate)) as port:
        error = error_of(lambda: mailer(port, "starttls", user="jobs", password="secret").send("a@example.org", MAIL))
    assert (error.code, inbox.envelopes) == (Code.UNAVAILABLE, [])


def test_a_server_without_starttls_gets_nothing() -> None:
    inbox = Inbox()
    with smtp_server(inbox) as port:
        error = error_of(lambda: mailer(port, "starttls").send("a@example.org", MAIL))
    assert (error.code, inbox.envelopes) == (Code.UNAVAILABLE, [])
    assert "check SMTP_TLS" in error.message


@pytest.mark.parametrize("command", ["RCPT", "DATA"])
@pytest.mark.parametrize(("answer", "code"), [("451 later, alice@", Code.UNAVAILABLE), ("550 no", Code.INVALID)])
def test_5xx_is_permanent_and_4xx_is_not(command: str, answer: str, code: Code) -> None:
    inbox = Inbox()
    inbox.answers[command] = answer
    with smtp_server(inbox) as port:
        error = error_of(lambda: mailer(port).send("alice@example.org", MAIL))
    assert error.code is code
    assert f"the mail server answered {answer[:3]}" in error.message
    assert "alice" not in error.message


def test_a_server_that_is_down_can_be_tried_again() -> None:
    error = error_of(lambda: mailer(free_port()).send("a@example.org", MAIL))
    assert error.code is Code.UNAVAILABLE
    assert "can't connect to the mail server" in error.message


def test_a_server_that_does_not_answer_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "SECONDS", 0.2)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        error = error_of(lambda: mailer(silent.getsockname()[1]).send("a@example.org", MAIL))
    assert error.code is Code.UNAVAILABLE
    assert "did not answer within" in error.message


def test_an_address_with_other_letters_needs_a_server_that_accepts_them() -> None:
    inbox = Inbox()
    with smtp_server(inbox, enable_SMTPUTF8=True) as port:
        mailer(port).send("zoé@example.org", MAIL)
    assert inbox.envelopes[0].rcpt_tos == ["zoé@example.org"]
    with smtp_server(inbox, enable_SMTPUTF8=False) as port:
        error = error_of(lambda: mailer(port).send("zoé@example.org", MAIL))
    assert error.code is Code.INVALID
    assert "does not accept this address" in error.message
