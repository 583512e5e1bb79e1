"""What is in the state repository after an import, and that it is as the old server said."""

import contextlib
import sqlite3
from contextlib import closing

import pytest

from jobserver import bootstrap
from jobserver.audit.log import LogFilter, log
from jobserver.audit.verify import verify
from jobserver.domain.base import layout
from jobserver.domain.base.permissions import Actor, ActorKind, Role
from jobserver.domain.governance.project_limits import ProjectStatus
from jobserver.domain.job_requests import lifecycle
from jobserver.domain.record import RecordImport
from jobserver.domain.users import AddUser
from jobserver.errors import Error
from jobserver.service.accounts.private_store import Contact, PrivateStore
from jobserver.service.accounts.tokens import token_digest
from jobserver.service.imports import importer as importing
from jobserver.service.imports.database import TABLES, OldDatabase
from jobserver.store.read.snapshot import Snapshot
from tests.integration.service.imports import old_rules
from tests.integration.service.imports.conftest import NewServer
from tests.integration.service.imports.old_server import ROWS_2021, ROWS_2026

ADMIN = Actor(ActorKind.USER, "admin")


def rows_of(source: str) -> old_rules.Rows:
    with_years = {"2021": ROWS_2021, "2026": ROWS_2026}
    return with_years["2021" if "jobserver_projectinvitation" in tables(source) else "2026"]


def tables(source: str) -> set[str]:
    with closing(OldDatabase(source)) as old:
        return {table for table in TABLES if old.has(table)}


def statuses(server: NewServer) -> dict[str, str]:
    """identifier -> status, of every job request of every branch."""
    found: dict[str, str] = {}
    for branch in server.tips():
        if layout.branch_backend(branch) is not None:
            found |= server.app.repo.writer.read(branch, _statuses)
    return found


def _statuses(state: Snapshot) -> dict[str, str]:
    return {
        identifier: lifecycle.request_status([job.status for job in state.jobs(place).values()])
        for identifier, place in state.places().items()
    }


def test_every_status_is_the_old_one(server: NewServer, any_old: str) -> None:
    outcome = server.load(any_old)
    assert outcome.refused == 0
    rows, ours = rows_of(any_old), statuses(server)
    expected = old_rules.statuses(rows)
    if "_status" in rows["jobserver_jobrequest"][0]:  # its overall status says more than its jobs do
        expected |= {row["identifier"]: "succeeded" for row in rows["jobserver_jobrequest"] if row["id"] == 12}
        expected |= {row["identifier"]: "failed" for row in rows["jobserver_jobrequest"] if row["id"] == 13}
    renamed = {row["identifier"] for row in rows["jobserver_jobrequest"] if row["id"] in (6, 7)}
    assert len(expected) > 8
    assert {name: status for name, status in expected.items() if ours.get(name) != status and name not in renamed} == {}
    assert len(ours) == sum(old_rules.counts(rows).values())


def test_the_record_is_sound_and_says_what_was_imported(server: NewServer, any_old: str) -> None:
    outcome = server.load(any_old)
    verdict = verify(server.settings.state_repo)
    assert verdict.problems == []
    (statement, count), *more = verdict.imported.items()
    assert not more
    assert "statement 1" in statement
    assert count == sum(outcome.commits.values())
    assert server.git("fsck", "--full", "--strict") == ""


def test_again_changes_nothing(server: NewServer, any_old: str) -> None:
    server.load(any_old)
    before = server.tips()
    outcome = server.load(any_old)
    assert outcome.commits == {}
    assert server.tips() == before


def test_a_dry_run_names_each_odd_row_and_changes_nothing(server: NewServer, old: str) -> None:
    before = server.tips()
    notes = server.dry_run(old)
    assert server.tips() == before
    lines = [str(note) for note in notes.notes]
    assert "jobserver_workspace 2: name 'My Study' is not a valid name: takes the name 'my-study'" in lines
    assert "jobserver_workspace 3: name 'jobs' is a page of the server: takes the name 'jobs-3'" in lines
    assert "jobserver_user 3: username 'ALICE' is taken: takes the name 'ALICE-3'" in lines
    assert "jobserver_job 9: status '0' is no status: takes 'failed'" in lines
    assert "jobserver_jobrequest 11: workspace_id names no workspace: not taken" in lines
    assert "jobserver_job 14: job_request_id names no job request: not taken" in lines
    assert "jobserver_jobrequest 5: created_by_id names no user: takes 'deleted-user'" in lines
    assert notes.missing == {"jobserver_stats": 1}
    assert lines == [str(note) for note in server.load(old).notes.notes]
    assert "jobserver_workspace.name: 2 rows: takes the name" in list(notes.summary())


def test_commits_have_the_old_authors_and_times(server: NewServer, old: str) -> None:
    server.load(old)
    identifier = ROWS_2021["jobserver_jobrequest"][0]["identifier"]
    shown = server.git(
        "log", "-1", "--format=%ae %at %(trailers:key=Imported-Row,valueonly)", f"--grep=Job-Request: {identifier}",
        "backends/tpp",
    )  # fmt: skip
    assert shown.split() == ["alice@users.jobs.example", "1619863200", "jobserver_jobrequest/1"]
    entry = next(log(server.settings.state_repo, LogFilter(request=identifier)))
    assert (entry.event, entry.actor) == ("job-request.imported", "server/jobserver")


def test_projects_keep_their_number_and_status(server: NewServer, any_old: str) -> None:
    server.load(any_old)

    def check(state: Snapshot) -> None:
        limits = {project.slug: (project.number, project.status) for project in state.projects()}
        expected = ("7", ProjectStatus.COMPLETED) if "orphan" in limits else (None, None)  # that of 2026, that of 2021
        assert limits["diabetes"] == expected

    server.app.repo.writer.read(layout.MAIN, check)


def test_people_backends_and_studies(server: NewServer, old: str) -> None:
    server.load(old)

    def check(state: Snapshot) -> None:
        alice, bob = state.user("alice"), state.user("Bob-O-Neil")
        assert alice is not None
        assert (alice.github_id, alice.name, alice.roles) == (583231, "Alice Ng", (Role.CORE_DEVELOPER,))
        assert bob is not None
        assert not bob.active
        admin = state.user("admin")
        assert admin is not None
        assert set(admin.roles) == {Role.SUPER_USER, Role.OUTPUT_CHECKER}
        tpp = state.backend("tpp")
        assert tpp is not None
        assert [token.sha256 for token in tpp.tokens] == [token_digest("secret-of-tpp")]
        project = state.project("datalab/diabetes")
        assert project is not None
        assert [member.roles for member in project.members] == [(Role.PROJECT_COORDINATOR, Role.PROJECT_DEVELOPER)]
        assert [invitation.username for invitation in project.invitations] == ["admin"]
        assert project.registration is not None
        assert project.registration.purpose == "Write to (email address)\nto know"
        assert [researcher.name for researcher in project.registration.researchers] == ["Bea Li"]
        study = state.workspace("my-study")
        assert study is not None
        assert (study.repo, study.branch, study.db) == ("https://github.com/opensafely/study", "main", "full")

    server.app.repo.writer.read(layout.MAIN, check)
    with closing(PrivateStore(server.settings.private_store)) as private:
        assert (private.email("alice"), private.email("Bob-O-Neil")) == ("a@x.org", "")
        assert private.project_contact("datalab/diabetes") == Contact("lead@x.org", "020 7946 0000")
        assert all(private.notified(branch) == tip for branch, tip in server.tips().items() if branch != layout.AUDIT)


def test_a_later_import_adds_what_is_new(server: NewServer, old: str) -> None:
    server.load(old)
    with closing(sqlite3.connect(old)) as sql, sql:
        sql.execute("UPDATE jobserver_job SET status='succeeded', completed_at='2021-06-01 10:00:00',"
                    " updated_at='2021-06-01 10:00:00' WHERE job_request_id=3")  # fmt: skip
        sql.execute("UPDATE jobserver_jobrequest SET cancelled_actions='[\"analyse\"]' WHERE id=4")
        sql.execute("INSERT INTO jobserver_user (id, username, roles, is_active) VALUES (5, 'new', '[]', 1)")
        sql.execute("UPDATE jobserver_user SET first_name='Alicia' WHERE id=1")
    outcome = server.load(old)
    assert outcome.commits == {"user": 2, "job-request": 2}
    assert verify(server.settings.state_repo).problems == []
    assert len(verify(server.settings.state_repo).imported) == 2
    third = ROWS_2021["jobserver_jobrequest"][2]["identifier"]
    assert statuses(server)[third] == "succeeded"
    assert third in server.git("ls-tree", "-r", "--name-only", "backends/tpp", "archive/")


def test_peoples_work_stays_as_they_left_it(server: NewServer, old: str) -> None:
    server.load(old)
    server.app.gate.submit(ADMIN, AddUser("zoe"), "test")
    with closing(sqlite3.connect(old)) as sql, sql:
        sql.execute("UPDATE jobserver_user SET first_name='Alicia' WHERE id=1")
        sql.execute("INSERT INTO jobserver_user (id, username, roles, is_active) VALUES (5, 'new', '[]', 1)")
    assert server.load(old).commits == {"user": 1}


def test_a_repository_that_people_use_is_refused(server: NewServer, old: str) -> None:
    server.app.gate.submit(ADMIN, AddUser("zoe"), "test")
    with pytest.raises(Error, match="people have worked in this repository"):
        server.load(old)


def test_a_second_database_is_refused(server: NewServer, old: str) -> None:
    server.load(old)
    with closing(sqlite3.connect(old)) as sql, sql:
        sql.execute("UPDATE django_migrations SET applied='2022-01-01'")
    with pytest.raises(Error, match="another database was imported"):
        server.load(old)


def test_an_interrupted_import_goes_on(
    server: NewServer, old: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batch by batch: whatever was written before the end, the next run adds the rest, and nothing twice."""
    whole = NewServer(tmp_path_factory.mktemp("whole"), bootstrap.create)
    whole.load(old)
    expected = {branch: whole.git("ls-tree", "-r", branch).splitlines() for branch in whole.tips() if branch != "audit"}
    whole.app.close()
    monkeypatch.setattr(importing, "_BATCH", 3)
    write = importing.Importer._write
    for limit in range(12):
        written = 0

        def stopping(importer: importing.Importer, writes: list[importing._Write], limit: int = limit) -> None:
            nonlocal written
            if written >= limit:
                raise KeyboardInterrupt
            written += 1
            write(importer, writes)

        monkeypatch.setattr(importing.Importer, "_write", stopping)
        with contextlib.suppress(KeyboardInterrupt):
            server.load(old)
    monkeypatch.setattr(importing.Importer, "_write", write)
    server.load(old)
    ours = {branch: server.git("ls-tree", "-r", branch).splitlines() for branch in expected}
    keep = ("README.md", "allowed_signers", "users/admin.yaml")
    for branch, lines in expected.items():
        assert [line for line in ours[branch] if not line.endswith(keep)] == [
            line for line in lines if not line.endswith(keep)
        ]
    verdict = verify(server.settings.state_repo)
    assert verdict.problems == []
    assert len(verdict.imported) == 1


def test_a_commit_without_a_statement_is_a_fault(server: NewServer, old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    submit = server.app.gate.submit
    monkeypatch.setattr(
        server.app.gate,
        "submit",
        lambda actor, command, via: None if isinstance(command, RecordImport) else submit(actor, command, via),
    )
    server.load(old)
    messages = [problem.message for problem in verify(server.settings.state_repo).problems]
    assert len(messages) > 20
    assert all("which no statement on audit has" in message for message in messages)
