"""Webhooks: which URLs outside get a call about which events, and the calls' bodies and signatures.

A webhook is a row of the private store, because its URL (Slack's) or its secret must not be in git. Calls follow the
Standard Webhooks specification 1.0.0 (https://www.standardwebhooks.com); Slack's follow
https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks.
"""

import secrets
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Literal
from urllib.parse import urlsplit

import orjson

from jobserver.domain.base.values import timestamp
from jobserver.errors import not_found
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.notify.outbox import Message
from jobserver.service.notify.webhooks.client import WebhookClient

WebhookKind = Literal["standard", "slack"]
FINISHED, FAILED, SILENT, BACK = "job-request.finished", "job-request.failed", "backend.silent", "backend.back"
RELEASE_UPDATED = "release.updated"
EVENTS = (FINISHED, FAILED, SILENT, BACK, RELEASE_UPDATED)
"""What a webhook can subscribe to. `job-request.failed` is `job-request.finished` of those that failed only."""

_COLUMNS = "number, kind, url, secret, scope, events, created_by, created_at"


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """``id``: the same for every receiver and attempt. ``names``: subscriptions that it belongs to, its type first.

    ``data``: for programs. ``text``: for people, in Slack's markup. ``scopes``: the scopes that cover it, besides
    ``all``.
    """

    id: str
    names: tuple[str, ...]
    occurred_at: datetime
    data: Mapping[str, object]
    text: str
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Webhook:
    """``scope``: ``all``, ``workspace/NAME`` or ``project/ORG/PROJECT``. ``created_at``: seconds since 1970.

    ``secret``: base64 with the prefix ``whsec_``; empty for Slack, where the URL is the secret.
    """

    number: int
    kind: WebhookKind
    url: str
    secret: str
    scope: str
    events: tuple[str, ...]
    created_by: str
    created_at: int

    @property
    def shown_url(self) -> str:
        """Without what is secret."""
        return f"https://{urlsplit(self.url).hostname}/..." if self.kind == "slack" else self.url

    def covers(self, event: WebhookEvent) -> bool:
        return bool(set(self.events) & set(event.names)) and (self.scope == "all" or self.scope in event.scopes)

    def message(self, event: WebhookEvent) -> Message:
        """The event for the outbox."""
        if self.kind == "slack":
            body = orjson.dumps({"text": event.text})
        else:
            fields = {"type": event.names[0], "timestamp": timestamp(event.occurred_at), "data": event.data}
            body = orjson.dumps(fields)
        subject = f"webhook {self.number}: {event.id}"
        return Message(f"webhook/{self.number}/{event.id}", f"webhook/{self.number}", subject, body.decode())


class Webhooks:
    """The webhooks in the private store. Each method raises `Error` if the store can't be used."""

    def __init__(self, private: PrivateStore) -> None:
        self._private = private

    def add(
        self, kind: WebhookKind, url: str, scope: str, events: Sequence[str], created_by: str, now: datetime
    ) -> Webhook:
        """Stores a webhook, with a new secret."""
        secret = "" if kind == "slack" else f"whsec_{b64encode(secrets.token_bytes(32)).decode()}"
        rows = self._private.run(
            "INSERT INTO webhooks (kind, url, secret, scope, events, created_by, created_at)"
            f" VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING {_COLUMNS}",
            kind,
            url,
            secret,
            scope,
            ",".join(events),
            created_by,
            int(now.timestamp()),
        )
        return _webhook(rows[0])

    def all(self) -> list[Webhook]:
        return [_webhook(row) for row in self._private.run(f"SELECT {_COLUMNS} FROM webhooks ORDER BY number")]

    def find(self, number: int) -> Webhook:
        """Raises `Error` (not_found)."""
        rows = self._private.run(f"SELECT {_COLUMNS} FROM webhooks WHERE number = ?", number)
        if not rows:
            raise not_found(f"webhook {number} does not exist")
        return _webhook(rows[0])

    def remove(self, number: int) -> None:
        """Also removes the calls that wait. Raises `Error` (not_found)."""
        self.find(number)
        receiver = f"webhook/{number}"
        self._private.run_all(
            [
                ("DELETE FROM webhooks WHERE number = ?", (number,)),
                ("DELETE FROM outbox WHERE receiver = ?", (receiver,)),
            ]
        )


def _webhook(row: Sequence[object]) -> Webhook:
    number, kind, url, secret, scope, events, created_by, created_at = map(str, row)
    known: WebhookKind = "slack" if kind == "slack" else "standard"
    return Webhook(int(number), known, url, secret, scope, tuple(events.split(",")), created_by, int(created_at))


def headers(webhook: Webhook, event_id: str, body: str, now: datetime) -> dict[str, str]:
    """The headers of one attempt. ``event_id`` is hashed, because Standard Webhooks allows no dots in an id."""
    if webhook.kind == "slack":
        return {}
    from standardwebhooks import Webhook as Signer

    webhook_id = f"msg_{sha256(event_id.encode()).hexdigest()[:32]}"
    now = now.astimezone(UTC)
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Signer(webhook.secret).sign(webhook_id, now, body),
    }


def send_queued(webhooks: Webhooks, client: WebhookClient, clock: Callable[[], datetime], message: Message) -> None:
    """Raises as `WebhookClient.post`."""
    webhook = webhooks.find(int(message.address))
    event_id = message.mark.split("/", 2)[2]
    client.post(webhook.url, message.content.encode(), headers(webhook, event_id, message.content, clock()))
