"""Who asked is told once, when what they asked for is finished."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from jobserver.domain.accounts import WelcomeUser
from jobserver.domain.base.permissions import SERVER, Role
from jobserver.domain.job_requests.requests import CancelJobs, RequestJobs
from jobserver.domain.members import Invitation
from jobserver.domain.orgs import AddOrg
from jobserver.domain.projects import AddProject, CancelInvitation, InviteToProject, RenameProject
from jobserver.domain.users import AddUser, AddUserToken
from jobserver.errors import Code, Error, invalid, unavailable
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.notify.email.mail import Console, Mail, Mailgun, send_queued
from jobserver.service.notify.email.writer import EmailWriter
from jobserver.service.notify.notifier import Notifier
from jobserver.service.notify.outbox import Outbox
from jobserver.service.notify.sender import Sender
from jobserver.store.git.objects import Objects
from jobserver.store.read.snapshot import Head
from tests.e2e.harness import until
from tests.site import ADMIN, ALICE, PIPELINE, START, Site, job


@dataclass
class Received:
    to: str
    subject: str
    body: str


class Sent:
    """A mailer that keeps what it gets; it fails so often first."""

    def __init__(self) -> None:
        self.mails: list[Received] = []
        self.fails = 0
        self.tried = 0
        self.refuses = False

    def send(self, to: str, mail: Mail) -> None:
        self.tried += 1
        if self.refuses:
            raise invalid("never")
        if self.fails:
            self.fails -= 1
            raise unavailable("not now")
        self.mails.append(Received(to, mail.subject, mail.body))


@pytest.fixture
def private(tmp_path: Path) -> Iterator[PrivateStore]:
    store = PrivateStore(tmp_path / "private.sqlite3")
    store.set_email("alice", "alice@example.org")
    yield store
    store.close()


class Notifications:
    """The notifier and the sender of one server; `send_due` is a round of each."""

    def __init__(self, site: Site, private: PrivateStore, sent: Sent) -> None:
        self.outbox = Outbox(private, site.clock)
        self.sender = Sender(self.outbox, {"mail": partial(send_queued, private, sent)})
        self.notifier = Notifier(
            site.repo,
            private,
            self.outbox,
            [EmailWriter(site.repo, private, "https://jobs.example", site.clock, link)],
        )

    def close(self) -> None:
        self.notifier.close()
        self.sender.close()

    def send_due(self) -> None:
        self.notifier.queue_news()
        self.sender.send_due()

    def problems(self) -> list[str]:
        return self.outbox.problems("mail")


def link(project: str, invitation: Invitation) -> str:
    return f"https://jobs.example/invitations/{project}:{invitation.username}/"


def ask(site: Site, is_told: bool = True) -> str:
    command = RequestJobs("trends", "tpp", ("generate",), "0" * 40, PIPELINE, will_notify=is_told)
    return str(site.do(ALICE, command).changes.result["identifier"])


def test_an_email_tells_a_cancellation_and_what_never_ran_from_failures(site: Site, private: PrivateStore) -> None:
    sent = Sent()
    notifier = Notifications(site, private, sent)
    notifier.send_due()
    cancelled, failed = ask(site), ask(site)
    site.do(ADMIN, CancelJobs(cancelled, "tpp"))
    codes = {"c1": "cancelled_by_user", "f2": "dependency_failed"}
    for identifier, names in ((cancelled, ["c1"]), (failed, ["f1", "f2"])):
        jobs = [job(name, "failed", 1, name).model_copy(update={"status_code": codes.get(name, "")}) for name in names]
        site.report(*((identifier, one) for one in jobs))
    notifier.send_due()
    first, second = sent.mails
    assert first.subject == "trends: jobs cancelled by admin"
    assert "jobs for trends on tpp were cancelled by admin." in first.body
    assert "c1: cancelled" in first.body
    assert second.subject == "trends: jobs failed"
    assert "  f1: failed\n  f2: skipped\n" in second.body
    notifier.close()


def test_the_requester_is_told_once(site: Site, private: PrivateStore) -> None:
    sent = Sent()
    notifier = Notifications(site, private, sent)
    before = ask(site)
    site.report((before, job("j0", "succeeded", 1)))
    notifier.send_due()
    assert sent.mails == []  # what was there before it first looked is old news
    first, silent = ask(site), ask(site, is_told=False)
    notifier.send_due()
    assert sent.mails == []
    site.report((first, job("j1", "failed", 1, message="patient 17 is odd")), (silent, job("j2", "succeeded", 1)))
    notifier.send_due()
    notifier.send_due()
    (mail,) = sent.mails
    assert mail.to == "alice@example.org"
    assert mail.subject == "trends: jobs failed"
    assert f"https://jobs.example/job-requests/{first}/" in mail.body
    assert "generate: failed" in mail.body
    assert "patient" not in mail.body
    site.report((first, job("j1", "running", 2)))
    site.report((first, job("j1", "succeeded", 3)))
    notifier.send_due()
    assert len(sent.mails) == 1
    notifier.close()


def test_superusers_are_told_whose_an_account_is_now(site: Site, private: PrivateStore) -> None:
    sent = Sent()
    private.set_email("admin", "admin@example.org")
    notifier = Notifications(site, private, sent)
    notifier.send_due()
    site.do(SERVER, WelcomeUser("Bob", 7))
    site.do(SERVER, WelcomeUser("dora", 8))  # who was nobody before
    notifier.send_due()
    notifier.send_due()
    (mail,) = sent.mails
    assert mail.to == "admin@example.org"
    assert "The account bob was added by name only" in mail.body
    assert "now belongs to GitHub account 7" in mail.body
    assert "https://jobs.example/users/bob/" in mail.body
    notifier.close()


def test_the_owner_of_a_token_gets_a_warning_a_week_before_it_expires(site: Site, private: PrivateStore) -> None:
    sent = Sent()
    notifier = Notifications(site, private, sent)
    site.do(ALICE, AddUserToken("alice", "laptop", "c" * 64, START + timedelta(days=30)))
    site.do(ALICE, AddUserToken("alice", "forever", "d" * 64))
    for days in (1, 22, 24, 25, 31):
        site.now = START + timedelta(days=days)
        notifier.send_due()
        assert len(sent.mails) == (days > 23)
    (mail,) = sent.mails
    assert (mail.to, mail.subject) == ("alice@example.org", "Your token 'laptop' expires soon")
    assert "expires on 2026-12-24 at 09:00 UTC" in mail.body
    assert "https://jobs.example/settings/" in mail.body
    notifier.close()


def test_requests_that_finished_meanwhile_are_told_at_the_next_start(site: Site, private: PrivateStore) -> None:
    ask(site)
    for sent in (Sent(), Sent()):
        notifier = Notifications(site, private, sent)
        notifier.send_due()
        notifier.close()
    identifier = ask(site)
    site.report((identifier, job("j1", "succeeded", 1)))
    notifier = Notifications(site, private, sent)
    notifier.notifier.start()
    notifier.sender.start()
    notifier.notifier.wake()
    while not sent.mails:
        pass
    notifier.close()


@pytest.mark.parametrize(
    ("trouble", "rounds"), [(unavailable("the disk is slow"), 2), (KeyError("a pack that git joined"), 1)]
)
def test_a_branch_that_cannot_be_read_for_a_moment_loses_no_message(
    site: Site, private: PrivateStore, monkeypatch: pytest.MonkeyPatch, trouble: Exception, rounds: int
) -> None:
    sent = Sent()
    notifier = Notifications(site, private, sent)
    identifier = ask(site)
    notifier.send_due()
    site.report((identifier, job("j1", "succeeded", 1)))
    real, troubles = Head.read, [trouble]

    def read(branch: str, tip: str | None, objects: Objects) -> Head:
        if branch == "backends/tpp" and troubles:
            raise troubles.pop()
        return real(branch, tip, objects)

    monkeypatch.setattr(Head, "read", read)
    for number in range(1, rounds + 1):
        notifier.send_due()
        assert len(sent.mails) == int(number == rounds)
    notifier.close()


def test_mail_that_could_not_be_sent_is_tried_again(site: Site, private: PrivateStore) -> None:
    sent = Sent()
    notifier = Notifications(site, private, sent)
    identifier = ask(site)
    notifier.send_due()
    sent.fails = 2
    site.report((identifier, job("j1", "succeeded", 1)))
    notifier.send_due()
    assert (sent.mails, sent.tried) == ([], 1)
    assert notifier.problems() == [f"job request {identifier}: not now; will be sent again"]
    notifier.close()
    notifier = Notifications(site, private, sent)  # after a restart
    site.now += timedelta(seconds=5)
    notifier.send_due()
    assert (sent.mails, sent.tried) == ([], 2)
    site.now += timedelta(seconds=10)
    notifier.send_due()
    assert len(sent.mails) == 1
    assert notifier.problems() == []
    notifier.close()


def test_mail_is_given_up_after_three_days(site: Site, private: PrivateStore) -> None:
    sent = Sent()
    sent.fails = 1000
    notifier = Notifications(site, private, sent)
    identifier = ask(site)
    notifier.send_due()
    site.report((identifier, job("j1", "succeeded", 1)))
    for _ in range(4 * 24 * 12):
        notifier.send_due()
        site.now += timedelta(minutes=5)
    assert 70 < sent.tried < 85  # the pauses grow to an hour
    assert notifier.problems() == [f"job request {identifier}: not now; not sent"]
    notifier.close()


def test_mail_that_is_refused_permanently_is_given_up_and_named(site: Site, private: PrivateStore) -> None:
    sent = Sent()
    sent.refuses = True
    notifier = Notifications(site, private, sent)
    identifier = ask(site)
    notifier.send_due()
    site.report((identifier, job("j1", "succeeded", 1)))
    for _ in range(10):
        notifier.send_due()
        site.now += timedelta(hours=1)
    assert sent.tried == 1
    assert notifier.problems() == [f"job request {identifier}: never; not sent"]
    notifier.close()


def test_an_address_that_is_erased_gets_nothing_more(site: Site, private: PrivateStore) -> None:
    sent = Sent()
    notifier = Notifications(site, private, sent)
    identifier = ask(site)
    notifier.send_due()
    sent.fails = 1
    site.report((identifier, job("j1", "succeeded", 1)))
    notifier.send_due()
    private.set_email("alice", "")
    site.now += timedelta(hours=1)
    notifier.send_due()
    assert (sent.mails, notifier.outbox.messages()) == ([], [])
    notifier.close()


def test_nobody_is_written_to_without_an_address(site: Site, private: PrivateStore) -> None:
    private.set_email("alice", "")
    sent = Sent()
    notifier = Notifications(site, private, sent)
    identifier = ask(site)
    notifier.send_due()
    site.report((identifier, job("j1", "succeeded", 1)))
    notifier.send_due()
    assert sent.mails == []
    notifier.close()


def test_the_console_prints_what_would_be_sent() -> None:
    stream = io.StringIO()
    Console("jobserver@example.org", stream).send("a@example.org", Mail("x: succeeded", "Hello\n"))
    assert "To: a@example.org" in stream.getvalue()
    assert "Hello" in stream.getvalue()


def test_mailgun_is_asked_as_it_wants_to_be() -> None:
    asked: list[tuple[str, str, bytes]] = []
    answers = [200, 401, 400, 429, 503]

    class Api(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Silence."""

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append((self.path, self.headers["Authorization"], body))
            self.send_response(answers[len(asked) - 1])
            self.end_headers()

    server = HTTPServer(("127.0.0.1", 0), Api)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    gun = Mailgun("key", "jobserver@mg.example.org", f"http://127.0.0.1:{server.server_address[1]}/v3")
    gun.send("a@example.org", Mail("x: succeeded", "Hello", "abc"))
    path, authorization, body = asked[0]
    assert path == "/v3/mg.example.org/messages"
    assert authorization == "Basic YXBpOmtleQ=="
    assert b"to=a%40example.org" in body
    assert b"h%3AMessage-Id=%3Cabc%40mg.example.org%3E" in body
    for status in answers[1:]:
        with pytest.raises(Error, match=str(status)) as error:
            gun.send("a@example.org", Mail("x", "Hello"))
        assert error.value.code is (Code.INVALID if status == 400 else Code.UNAVAILABLE)
    server.shutdown()
    server.server_close()
    with pytest.raises(Error, match="could not be sent"):
        gun.send("a@example.org", Mail("x", "Hello"))


def test_an_invited_person_is_told_once(site: Site, private: PrivateStore) -> None:
    roles = (Role.PROJECT_DEVELOPER, Role.PROJECT_COORDINATOR)
    site.do(ADMIN, AddOrg("lab"))
    site.do(ADMIN, AddProject("lab/p", "Heart"))
    site.do(ADMIN, AddUser("carol"))
    site.do(ADMIN, InviteToProject("lab/p", ("carol",), roles))
    sent = Sent()
    notifier = Notifications(site, private, sent)
    notifier.send_due()
    private.set_email("bob", "bob@example.org")
    private.set_email("carol", "carol@example.org")
    site.do(ADMIN, InviteToProject("lab/p", ("bob", "alice"), roles))
    site.do(ADMIN, CancelInvitation("lab/p", "alice"))
    sent.fails = 1
    notifier.send_due()
    assert not sent.mails
    assert notifier.problems() == ["an invitation: not now; will be sent again"]
    site.now += timedelta(minutes=1)
    notifier.send_due()
    notifier.send_due()
    (mail,) = sent.mails  # alice's was taken back, and carol's is older than this
    assert (mail.to, mail.subject) == ("bob@example.org", "Invitation to Heart")
    assert "admin has invited you to the project Heart (lab/p)\nas Project developer, Project coordinator." in mail.body
    assert "https://jobs.example/invitations/lab/p:bob/" in mail.body
    site.do(ADMIN, RenameProject("lab/p", "Lungs"))
    notifier.send_due()
    assert len(sent.mails) == 1
    site.do(ADMIN, CancelInvitation("lab/p", "bob"))
    site.do(ADMIN, InviteToProject("lab/p", ("bob",), roles))
    notifier.send_due()
    assert sent.mails[1].subject == "Invitation to Lungs"  # another invitation
    notifier.close()


def test_the_first_change_after_the_first_start_is_told(site: Site, private: PrivateStore) -> None:
    site.do(ADMIN, AddOrg("lab"))
    site.do(ADMIN, AddProject("lab/p", "Heart"))
    sent = Sent()
    notifier = Notifications(site, private, sent)
    notifier.notifier.start()
    until(lambda: private.notified("main") is not None, 4)  # and not when it next looks by itself
    site.do(ADMIN, InviteToProject("lab/p", ("alice",), (Role.PROJECT_DEVELOPER,)))
    notifier.close()
    notifier.sender.send_due()
    (mail,) = sent.mails
    assert mail.subject == "Invitation to Heart"
