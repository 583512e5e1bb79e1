"""The messages that a server sends: emails, webhooks and issues, and the workers that write and send them."""

from functools import partial

from jobserver.bootstrap import App, Clock
from jobserver.domain.job_requests.requests import JobRequest
from jobserver.index.index import Index
from jobserver.index.queries.requests import earlier_outcome
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.notify.email import mail
from jobserver.service.notify.email.mail import Mailer
from jobserver.service.notify.email.writer import EmailWriter
from jobserver.service.notify.issues.client import Issues
from jobserver.service.notify.issues.writer import IssueWriter
from jobserver.service.notify.news import MessageWriter
from jobserver.service.notify.notifier import Notifier
from jobserver.service.notify.outbox import Outbox
from jobserver.service.notify.sender import Sender, Transport
from jobserver.service.notify.webhooks import store
from jobserver.service.notify.webhooks.client import WebhookClient
from jobserver.service.notify.webhooks.events import WebhookWriter
from jobserver.service.notify.webhooks.store import Webhooks
from jobserver.web.pages.routes.invitations import InvitationLinks


def _earlier_outcome(index: Index, request: JobRequest) -> str:
    with index.view() as sql:
        return earlier_outcome(sql, request)


def make_notifier(
    app: App, index: Index, private: PrivateStore, clock: Clock, outbox: Outbox, mailer: Mailer | None
) -> tuple[Notifier, Sender]:
    """With its sender. Both do nothing until there is a mailer, a webhook or a repository for issues."""
    settings, webhooks = app.settings, Webhooks(private)
    client = WebhookClient(settings.webhook_networks)
    transports: dict[str, Transport] = {"webhook": partial(store.send_queued, webhooks, client, clock)}
    writers: list[MessageWriter] = [WebhookWriter(app.repo, private, webhooks, settings.base_url, clock)]
    if mailer is not None:
        transports["mail"] = partial(mail.send_queued, private, mailer)
        links = InvitationLinks(settings.secret_key, settings.base_url)
        earlier = partial(_earlier_outcome, index)
        writers.append(
            EmailWriter(app.repo, private, settings.base_url, clock, links.url, earlier, settings.limit_reading)
        )
    if settings.output_checking_repos:
        token = settings.output_checking_token or settings.github_token
        transports["github"] = Issues(token, private).send
        writers.append(IssueWriter(app.repo, settings.output_checking_repos, settings.base_url))
    sender = Sender(outbox, transports)
    sender.start()
    notifier = Notifier(app.repo, private, outbox, writers)
    index.on_change(notifier.wake)
    notifier.start()
    return notifier, sender
