"""Contact details: erasable, private, and never in git."""

import stat
from contextlib import closing
from pathlib import Path

import pytest

from jobserver.errors import Error
from jobserver.service.accounts.private_store import Contact, PrivateStore


def test_an_email_address_is_stored_privately_and_can_be_erased(tmp_path: Path) -> None:
    path = tmp_path / "private.sqlite3"
    with closing(PrivateStore(path)) as store:
        assert store.email("alice") == ""
        store.set_email("alice", "alice@example.org")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with closing(PrivateStore(path)) as store:
        assert store.email("alice") == "alice@example.org"
        store.set_email("alice", "")
    assert all(b"alice@example.org" not in file.read_bytes() for file in tmp_path.iterdir())


@pytest.mark.parametrize(
    "text", ["alice", "a b@example.org", "a@b", "x" * 70 + "@example.org", "a@example.org\nBcc: b@c.d"]
)
def test_a_malformed_address_is_refused(tmp_path: Path, text: str) -> None:
    with closing(PrivateStore(tmp_path / "p")) as store, pytest.raises(Error, match="address"):
        store.set_email("alice", text)


def test_how_to_reach_a_project_is_kept_and_erased(tmp_path: Path) -> None:
    path = tmp_path / "private.sqlite3"
    with closing(PrivateStore(path)) as store:
        assert store.project_contact("lab/p") == Contact()
        store.set_project_contact("lab/p", Contact(" lead@example.org", "+44 (0)20 7946-0000 ext 12 "))
        assert store.project_contact("lab/p") == Contact("lead@example.org", "+44 (0)20 7946-0000 ext 12")
        assert store.project_contact("lab/q") == Contact()
        store.set_project_contact("lab/p", Contact("", " "))
        assert store.project_contact("lab/p") == Contact()
    assert all(b"lead@example.org" not in file.read_bytes() for file in tmp_path.iterdir())


@pytest.mark.parametrize("number", ["call me", "1", "+", "0" * 60, "123\n456"])
def test_a_malformed_telephone_number_is_refused(tmp_path: Path, number: str) -> None:
    with closing(PrivateStore(tmp_path / "p")) as store, pytest.raises(Error, match="number"):
        store.set_project_contact("lab/p", Contact("", number))


def test_a_new_account_inherits_nothing_of_an_earlier_one_of_its_name(tmp_path: Path) -> None:
    """In every table that has something of a person. Once, they followed what the earlier person had followed."""
    with closing(PrivateStore(tmp_path / "private.sqlite3")) as private:
        tables = {
            str(table): [str(column) for _, column, *_ in private.run(f"PRAGMA table_info({table})")]
            for (table,) in private.run("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
        of_people = [table for table, columns in tables.items() if "username" in columns]
        assert len(of_people) > 5
        for table in of_people:
            for name in ("bob", "eve"):
                values = [name if column == "username" else f"{name}-1" for column in tables[table]]
                marks = ", ".join("?" * len(values))
                private.run(f"INSERT INTO {table} VALUES ({marks})", *values)
        private.forget("bob")
        left = {table: private.run(f"SELECT username FROM {table}") for table in of_people}
        assert left == {table: [("eve",)] for table in of_people}
