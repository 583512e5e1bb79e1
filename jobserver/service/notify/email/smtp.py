"""Sends email by SMTP (RFC 5321), with STARTTLS (RFC 3207) or TLS from the start (RFC 8314), and credentials."""

import ssl
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Literal

from jobserver.errors import Error, invalid, unavailable
from jobserver.service.notify.email.mail import Mail, as_message
from jobserver.service.studies.deadline import DeadlineRunner
from jobserver.store.fs import reason

if TYPE_CHECKING:
    import smtplib

Tls = Literal["starttls", "tls", "none"]
PORTS: dict[Tls, int] = {"starttls": 587, "tls": 465, "none": 25}
SECONDS = 20.0
_IDLE_SECONDS = 10.0  # for one answer of the server


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """``port`` 0: the usual one for ``tls``. Without ``user``, no credentials are sent."""

    host: str
    port: int = 0
    user: str = ""
    password: str = field(default="", repr=False)
    tls: Tls = "starttls"


class SmtpMailer:
    """One connection for each email. Certificates are checked against the system's authorities, or SSL_CERT_FILE."""

    def __init__(self, server: SmtpServer, sender: str) -> None:
        self._server, self._sender = server, sender
        self._run_until = DeadlineRunner(at_once=4)

    def send(self, to: str, mail: Mail) -> None:
        try:
            self._run_until(monotonic() + SECONDS, lambda: self._send(to, mail))
        except TimeoutError:
            raise self._unavailable(f"the mail server did not answer within {SECONDS:.0f} s") from None

    def _send(self, to: str, mail: Mail) -> None:
        import smtplib

        try:
            connection = self._connect()
        except smtplib.SMTPAuthenticationError as error:
            message = f"the mail server refused SMTP_USER and SMTP_PASSWORD ({error.smtp_code})"
            raise self._unavailable(message) from None
        except smtplib.SMTPNotSupportedError:
            raise self._unavailable("the mail server offers no STARTTLS, or no log-in: check SMTP_TLS") from None
        except (smtplib.SMTPException, OSError) as error:
            raise self._unavailable(f"can't connect to the mail server: {_reason(error)}") from None
        try:
            connection.send_message(as_message(self._sender, to, mail), self._sender, [to])
        except smtplib.SMTPRecipientsRefused as error:
            raise self._refused(error.recipients[to][0]) from None
        except smtplib.SMTPDataError as error:
            raise self._refused(error.smtp_code) from None
        except smtplib.SMTPNotSupportedError:
            raise invalid("the email could not be sent: the mail server does not accept this address") from None
        except (smtplib.SMTPException, OSError) as error:
            raise self._unavailable(f"the mail server failed: {_reason(error)}") from None
        finally:
            connection.close()  # the server has answered: its goodbye changes nothing

    def _connect(self) -> "smtplib.SMTP":
        import smtplib

        server, context = self._server, ssl.create_default_context()
        port = server.port or PORTS[server.tls]
        connection = (
            smtplib.SMTP_SSL(server.host, port, timeout=_IDLE_SECONDS, context=context)
            if server.tls == "tls"
            else smtplib.SMTP(server.host, port, timeout=_IDLE_SECONDS)
        )
        try:
            if server.tls == "starttls":
                connection.starttls(context=context)
            if server.user:
                connection.login(server.user, server.password)
        except BaseException:
            connection.close()
            raise
        return connection

    def _unavailable(self, reason: str) -> Error:
        return unavailable(f"the email could not be sent: {reason}", "SMTP_HOST")

    def _refused(self, code: int) -> Error:
        """5xx is permanent (RFC 5321, 4.2.1). The text of the answer may name the address, so it is not shown."""
        message = f"the email could not be sent: the mail server answered {code}"
        return invalid(message, "SMTP_HOST") if code >= 500 else unavailable(message, "SMTP_HOST")


def _reason(error: Exception) -> str:
    code = getattr(error, "smtp_code", None)
    return reason(error) if code is None else f"it answered {code}"
