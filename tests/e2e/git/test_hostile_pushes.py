"""Pushes that no honest client makes. Each ends in a clear answer, the branch as it was, and the server up."""

import base64
import socket

from tests.e2e.git.by_hand import fetch_by_hand, line, pack, post, raw
from tests.e2e.git.clone import Clone, active, document, run
from tests.e2e.harness import Site, git
from tests.samples import only_whole


def refused(site: Site, clone: Clone, words: str) -> str:
    before = site.git("for-each-ref")
    done = clone.push()
    assert done.returncode != 0
    assert words in done.stderr, done.stderr
    assert site.git("for-each-ref") == before
    assert site.git("fsck", "--full", "--strict") == ""
    assert site.get("/health-check/").status_code == 200
    return done.stderr


def test_folders_nested_too_deep_are_refused(site: Site, tpp: Clone) -> None:
    tpp.commit(**{"/".join(["a"] * 40) + "/x.yaml": "x"})
    refused(site, tpp, "nested deeper than 16")


def test_a_control_character_in_a_name_is_not_printed(site: Site, tpp: Clone) -> None:
    folder = active(site, site.ask("generate"))
    tpp.git("pull", "-q")
    tpp.commit(**{f"{folder}/jobs/a\nb\x1b[31m.yaml": document("x")})
    said = refused(site, tpp, "no document is allowed here")
    assert "\x1b" not in said


@only_whole
def test_ten_thousand_files_in_one_push(site: Site, tpp: Clone) -> None:
    folder = active(site, site.ask("generate"))
    tpp.git("pull", "-q")
    (tpp.folder / folder / "jobs").mkdir(parents=True)
    for number in range(10_000):
        (tpp.folder / folder / "jobs" / f"m{number}.yaml").write_text(document(f"m{number}"))
    tpp.commit()
    done = tpp.push()
    assert done.returncode == 0, done.stderr
    assert len(site.git("ls-tree", "-r", "--name-only", "backends/tpp", f"{folder}/jobs/").splitlines()) == 10_000


def test_a_push_is_of_one_branch_and_without_certificates(site: Site, tpp: Clone) -> None:
    """git starts a process for each line, also for branches that it hides; and it stores certificates at once."""
    tip = tpp.git("rev-parse", "HEAD")
    move = f"{tip} {'2' * 40} refs/heads/backends/tpp"
    before = site.git("count-objects", "-v")
    for said in (
        line(f"{move}\0report-status") + line(f"{move}1"),
        line("push-cert\0report-status\n") + line("certificate version 0.1\n") + line("push-cert-end\n"),
        line("push-cert\0report-status\n") + line(move) + line("push-cert-end\n"),
    ):
        answer = raw(site, said + b"0000" + pack([]))
        assert (answer.status_code, "push one branch at a time" in answer.text) == (400, True), answer.text
    assert site.git("count-objects", "-v") == before
    large = raw(site, line(f"{move}\0report-status") + b"0000" + pack([(3, bytes(9_000_000))]) + bytes(8_400_000))
    assert b"the limit is 8388608" in large.content


def test_each_backend_has_few_turns(site: Site, tpp: Clone) -> None:
    """One with hundreds of requests under way leaves the others theirs."""
    tip = tpp.git("rev-parse", "HEAD")
    slow = raw_head(site, "tpp")
    held = [socket.create_connection(("127.0.0.1", site.port)) for _ in range(8)]
    try:
        for one in held:
            one.sendall(slow + b"Content-Length: 100000\r\n\r\n" + b"0000")
        url = f"http://x:{site.tokens['emis']}@127.0.0.1:{site.port}/state.git"
        assert run(tpp.folder, "ls-remote", url).returncode == 0
        begun = [fetch_by_hand(site, line(f"want {tip}\n") + b"0000" + line("done\n")) for _ in range(2)]
        assert {answer.status_code for answer in begun} <= {200, 503}
    finally:
        for one in held:
            one.close()
    answer = fetch_by_hand(site, line(f"want {tip}\n") + b"0000" + line("done\n"))
    assert answer.status_code == 200


def raw_head(site: Site, who: str) -> bytes:
    token = base64.b64encode(f"x:{site.tokens[who]}".encode()).decode()
    return (
        f"POST /state.git/git-receive-pack HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {token}\r\n"
        "Content-Type: application/x-git-receive-pack-request\r\n"
    ).encode()


def test_a_push_that_moves_nothing_leaves_no_receipt(site: Site, tpp: Clone) -> None:
    tip, receipts = tpp.git("rev-parse", "HEAD"), site.count("audit")
    assert "the branch is already at this commit" in post(site, tip, tip, pack([]))
    assert site.count("audit") == receipts


def test_a_malformed_push_is_refused(site: Site, tpp: Clone) -> None:
    tip = tpp.git("rev-parse", "HEAD")
    for body in (b"", b"garbage", b"0008abcd"):
        assert raw(site, body).status_code == 400
    assert raw(site, b"0000").status_code == 200  # what git asks first where a push is large
    line = f"{tip} {'0' * 40} refs/heads/backends/tpp\0report-status".encode()
    assert b"ng refs/heads/backends/tpp" in raw(site, b"%04x%s0000" % (len(line) + 4, line)).content
    assert site.git("rev-parse", "backends/tpp") == tip


def test_a_runners_author_is_its_own_and_the_receipt_tells(site: Site, tpp: Clone) -> None:
    folder = active(site, site.ask("generate"))
    tpp.git("pull", "-q")
    tpp.write(f"{folder}/jobs/forged.yaml", document("forged"))
    tpp.git("add", "-A")
    tpp.git("-c", "user.name=root", "-c", "user.email=root@users.127.0.0.1", "commit", "-qm", "root was here")
    assert "its author is root@users.127.0.0.1: expected tpp@backends." in tpp.push().stderr
    tpp.git("commit", "-q", "--amend", "--reset-author", "--no-edit")
    assert tpp.push().returncode == 0
    log = site.command("audit", "log", "--event", "pushed", "--limit", "1").stdout
    assert "backend/tpp" in log
    assert "root was here" in log
    # A checkpoint of the last minute may stand above the receipt.
    newest = git(site.repo, "log", "-1", "--grep=^Pusher: ", "--format=%(trailers:key=Pusher,valueonly)", "audit")
    assert newest.strip() == "backend/tpp"
