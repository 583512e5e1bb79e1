"""Keys are followed from main's first commit: who may sign is changed only by a key that may sign at that point."""

import subprocess
from pathlib import Path

import pytest

from jobserver import bootstrap
from jobserver.audit.verify import verify
from jobserver.cli.keys import _followed
from jobserver.config.settings import Settings
from jobserver.domain.users import AddUser
from jobserver.errors import Error
from jobserver.store.git.cat_file import PipedObjects
from jobserver.store.keys import signers as keys
from jobserver.store.keys.key_walk import follow
from jobserver.store.keys.rotation import check_key, rotate, settle
from jobserver.store.keys.signing import SigningKey
from tests.integration.audit.tampering import commit, move, plant, problems, stolen, unpack, with_file
from tests.integration.service.push.pushing import EVE
from tests.samples import first
from tests.site import ADMIN, Site

SAYS = ("Actor: server/jobserver", "Branch: main")


def named(site: Site) -> str:
    return site.git("show", "main:allowed_signers")


def ours(site: Site) -> str:
    return site.repo.writer.keys.current().fingerprint


@pytest.fixture
def thief(tmp_path: Path) -> SigningKey:
    """Of somebody who can write the repository's files, and has no key of the server."""
    return SigningKey.create(tmp_path / "thief.key", "jobserver")


def take_over(site: Site, thief: SigningKey, event: str = "keys.rotated") -> str:
    """The commit by which the thief's key names itself; then it makes a SuperUser."""
    tree = with_file(site, "main", "allowed_signers", named(site) + thief.allowed_signer)
    first = stolen(site, "main", f"Event: {event}", *SAYS, tree=tree, key=thief)
    mallory = EVE.replace("eve", "mallory")
    tree = with_file(site, "main", "users/mallory.yaml", mallory)
    stolen(site, "main", "Event: user.created", *SAYS, tree=tree, key=thief)
    return first


@pytest.mark.parametrize("event", first(1, ["keys.rotated", "key.revoked", "branch.opened"]))
def test_a_key_does_not_vouch_for_itself(site: Site, thief: SigningKey, event: str) -> None:
    """Found: `audit verify` said "no fault", and the next start carried the thief's key to every branch."""
    before = named(site)
    made = take_over(site, thief, event)
    found = problems(site)
    assert f"main {made[:10]}: changes the server's keys, and is signed by {thief.fingerprint}" in found
    assert found.count(f"is signed by {thief.fingerprint}, which is not a key of the server, and no receipt") == 2
    with pytest.raises(Error, match=f"commit {made[:10]} changes the server's keys, and is signed by"):
        check_key(site.repo)
    settle(site.repo, site.clock())
    assert site.git("show", "backends/tpp:allowed_signers") == before
    with pytest.raises(Error, match=made[:10]):  # nor is anything built on it
        rotate(site.repo, site.clock(), by=ADMIN)
    move(site, "main", f"{made}^")
    check_key(site.repo)
    assert problems(site) == ""


def test_a_start_refuses_a_main_whose_keys_were_forged(site: Site, thief: SigningKey, tmp_path: Path) -> None:
    made = take_over(site, thief)
    before = site.git("for-each-ref")
    settings = Settings.from_env(
        _env_file=None,
        secret_key="0123456789abcdef",
        base_url="http://jobs.example",
        state_repo=site.path,
        signing_key=site.key,
        admin_users="admin",
    )
    for begin in (bootstrap.connect, bootstrap.create):
        with pytest.raises(Error, match=f"commit {made[:10]} changes the server's keys"):
            begin(settings)
    assert site.git("for-each-ref") == before
    with pytest.raises(Error, match=made[:10]):  # nor does `key list` or `key export` name them
        _followed(site.path, None)


def test_an_unsigned_change_of_keys_brings_none(site: Site, thief: SigningKey) -> None:
    tree = with_file(site, "main", "allowed_signers", named(site) + thief.allowed_signer)
    move(site, "main", commit(site, "main", "main", tree=tree))
    with pytest.raises(Error, match="changes the server's keys, and is not signed"):
        check_key(site.repo)
    site.do(ADMIN, AddUser("dora"))  # a server that did not look goes on upon it
    assert thief.fingerprint not in follow(site.path, site.git("rev-parse", "main").strip()).signers


def test_a_merge_does_not_change_keys(site: Site, thief: SigningKey) -> None:
    tree = with_file(site, "main", "allowed_signers", named(site) + thief.allowed_signer)
    aside = commit(site, "main", "main~1", tree=tree)
    move(site, "main", commit(site, "main", "main", aside, tree=tree))
    with pytest.raises(Error, match="changes the server's keys, and is a merge"):
        check_key(site.repo)


def test_a_key_that_has_ended_changes_nothing_more(site: Site, tmp_path: Path) -> None:
    old = SigningKey.load(site.key, "jobserver")
    when = int(site.git("log", "-1", "--format=%ct", "main"))
    rotate(site.repo, site.clock(), by=ADMIN)
    lines = named(site).splitlines(keepends=True)
    tree = with_file(site, "main", "allowed_signers", old.allowed_signer + lines[1])
    made = stolen(site, "main", "Event: keys.rotated", *SAYS, tree=tree, key=old, time=when)
    assert f"main {made[:10]}: changes the server's keys, and is signed by {old.fingerprint}" in problems(site)
    with pytest.raises(Error, match="which ended before"):
        check_key(site.repo)


def test_an_end_moves_earlier_only(site: Site) -> None:
    """Also for who has the key that signs now."""
    first = site.git("show", "main:allowed_signers")
    rotate(site.repo, site.clock(), by=ADMIN)
    tree = with_file(site, "main", "allowed_signers", first + named(site).splitlines(keepends=True)[1])
    stolen(site, "main", "Event: keys.rotated", *SAYS, tree=tree)
    (old,) = keys.read(first)
    assert follow(site.path, site.git("rev-parse", "main").strip()).signers[old].before is not None


def test_a_folder_under_the_id_of_another_brings_no_key(site: Site, thief: SigningKey) -> None:
    """In an old commit, which the server did sign; `key export` then gave the thief's key to auditors."""
    forged = with_file(site, "main", "allowed_signers", named(site) + thief.allowed_signer)
    command = ["git", "-C", site.path, "cat-file", "tree", forged]
    data = subprocess.run(command, capture_output=True, check=True).stdout
    old = site.git("rev-parse", "main~2^{tree}").strip()
    unpack(site)
    plant(site, old, data, "tree")
    for look in (lambda: check_key(site.repo), lambda: _followed(site.path, None)):
        with pytest.raises(Error, match=f"the object stored as {old} is another object"):
            look()


@pytest.mark.parametrize("how", first(1, ["rotated", "revoked"]))
def test_an_auditor_follows_from_the_keys_of_last_month(site: Site, how: str) -> None:
    """Found: each routine rotation alarmed whoever kept the keys elsewhere."""
    last_month, old = named(site), ours(site)
    new = rotate(site.repo, site.clock(), old if how == "revoked" else "", by=ADMIN)
    site.do(ADMIN, AddUser("dora"))
    newest = rotate(site.repo, site.clock(), by=ADMIN)
    site.ask()
    verdict = verify(site.path, signers=last_month)
    assert verdict.problems == []
    assert list(verdict.followed) == [new, newest]
    assert verify(site.path, signers=named(site)).followed == {}
    assert verify(site.path).followed == {}


def test_an_auditor_follows_no_key_that_theirs_did_not_sign(site: Site, thief: SigningKey) -> None:
    text = named(site)
    take_over(site, thief)
    assert verify(site.path, signers=text).followed == {}
    assert "which is not a key of the server" in problems(site, signers=text)
    other = thief.allowed_signer
    assert problems(site, signers=other).count("which is not a key of the server") > 10  # nor whom main begins with


def test_what_a_stolen_key_signed_after_it_was_stolen_brings_no_key_for_who_knows_of_it(site: Site) -> None:
    """The auditor was told when the key was stolen; the thief uses it to end it, and to bring another one."""
    at = site.clock()
    site.clock()
    rotate(site.repo, site.clock(), ours(site), by=ADMIN)
    told = f'x valid-before="{at:%Y%m%d%H%M%SZ}" {named(site).splitlines()[0].partition(" ssh-")[2].join(["ssh-", ""])}'
    assert "which was not valid at" in problems(site, signers=told)


def test_the_commit_that_ends_a_key_as_of_earlier_is_its_last(site: Site) -> None:
    """Told by the old key, or nobody could follow; what it signed before that, and after its end, is named."""
    old, at = ours(site), site.clock()
    site.clock()
    bad = site.do(ADMIN, AddUser("dora")).commit
    rotate(site.repo, site.clock(), old, at, by=ADMIN)
    check_key(site.repo)
    assert [one.commit for one in verify(site.path).problems] == [bad]
    assert [one.commit for one in verify(site.path, signers=named(site)).problems] == [bad]


def test_a_backends_branch_is_told_of_a_new_key_by_the_old_one(site: Site) -> None:
    """A runner sees its own branch only."""
    old = ours(site)
    rotate(site.repo, site.clock(), by=ADMIN)
    signers = keys.read(named(site))
    objects = PipedObjects(site.path)
    try:
        for branch in ("main", "backends/tpp", "backends/emis"):
            made = objects.commit(site.git("log", "-1", "--format=%H", branch, "--", "allowed_signers").strip())
            assert keys.signed_by(made, signers) == old
    finally:
        objects.close()
    assert problems(site) == ""
