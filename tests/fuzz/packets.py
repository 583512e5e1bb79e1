"""What git's clients say to the server, changed: each conversation begins as a real one."""

import base64
import gzip
import random
import subprocess

import httpx

from tests.e2e.harness import Site, git
from tests.fuzz.mutate import mutated
from tests.fuzz.tally import Broken, Tally

UPLOAD, RECEIVE = "git-upload-pack", "git-receive-pack"


def line(data: bytes) -> bytes:
    return b"%04x" % (len(data) + 4) + data


def fuzz(site: Site, chance: random.Random, tally: Tally) -> None:
    talks = _upload(site) + _receive(site)
    # A connection for each call: where a body was refused unread, the server closes it.
    once = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(base_url=site.url, timeout=60, limits=once) as client:
        while tally.goes_on:
            service, protocol, said = chance.choice(talks)
            who = chance.choice(("tpp", "tpp", "root", "emis", "alice"))
            body = mutated(said, chance) if chance.random() < 0.97 else said
            headers = {
                "Authorization": "Basic " + base64.b64encode(f"x:{site.tokens[who]}".encode()).decode(),
                "Content-Type": f"application/x-{service}-request",
            }
            if protocol or chance.random() < 0.1:
                headers["Git-Protocol"] = chance.choice(
                    ("version=2", protocol or "version=1", "version=9:x=" + "y" * 50)
                )
            if chance.random() < 0.15:
                headers["Content-Encoding"] = "gzip"
                body = gzip.compress(body)
                body = mutated(body, chance, 1) if chance.random() < 0.5 else body
            if chance.random() < 0.05:
                query = chance.choice((service, "git-upload-archive", "", "%00", service + "&service=x"))
                answer = client.get(f"/state.git/info/refs?service={query}", headers=headers)
            else:
                content = iter([body[:10], body[10:]]) if chance.random() < 0.1 else body
                answer = client.post(f"/state.git/{service}", content=content, headers=headers)
            what = f"{who} {service} {headers.get('Git-Protocol')} {body[:3000]!r}"
            tally.answered(answer.status_code, what, answer.content)
            if b"Traceback" in answer.content:
                raise Broken(f"a traceback for {what}\n{answer.text}")


def _upload(site: Site) -> list[tuple[str, str, bytes]]:
    main, tpp = site.git("rev-parse", "main").encode(), site.git("rev-parse", "backends/tpp").encode()
    old = site.git("rev-list", "--max-parents=0", "backends/tpp").encode()
    capable = b"want %s multi_ack_detailed side-band-64k thin-pack ofs-delta agent=git/2.47\n"
    talks = []
    for want in (main, tpp):
        first = line(capable % want) + b"0000"
        talks.append((UPLOAD, "", first + line(b"done\n")))
        talks.append((UPLOAD, "", first + line(b"have %s\n" % old) + line(b"done\n")))
        talks.append((UPLOAD, "", line(capable % want) + line(b"deepen 1\n") + b"0000" + line(b"done\n")))
        two = line(b"command=fetch") + line(b"agent=git/2.47") + line(b"object-format=sha1") + b"0001"
        two += line(b"thin-pack\n") + line(b"ofs-delta\n") + line(b"want %s\n" % want)
        talks.append((UPLOAD, "version=2", two + line(b"done\n") + b"0000"))
        talks.append((UPLOAD, "version=2", two + line(b"have %s\n" % old) + b"0000"))
    listing = line(b"command=ls-refs\n") + line(b"agent=git/2.47") + line(b"object-format=sha1") + b"0001"
    listing += line(b"peel\n") + line(b"symrefs\n") + line(b"ref-prefix refs/heads/\n") + b"0000"
    return [*talks, (UPLOAD, "version=2", listing)]


def _receive(site: Site) -> list[tuple[str, str, bytes]]:
    """Pushes that would be refused or taken as they are, for main and for a backend's branch."""
    talks = []
    for branch in ("main", "backends/tpp"):
        clone = site.folder / f"fuzz-{branch.replace('/', '-')}"
        git(site.folder, "clone", "-q", "-b", branch, str(site.repo), str(clone))
        old = git(clone, "rev-parse", "HEAD")
        for number in range(2):
            (clone / "README.md").write_text(f"changed {number}\n" * 20)
            git(clone, "commit", "-qam", f"a change {number}")
        new = git(clone, "rev-parse", "HEAD")
        packed = subprocess.run(
            ["git", "-C", clone, "pack-objects", "--stdout", "--revs", "--thin", "-q"],
            input=f"{new}\n^{old}\n".encode(), capture_output=True, check=True,
        ).stdout  # fmt: skip
        update = f"{old} {new} refs/heads/{branch}\0 report-status-v2 side-band-64k atomic agent=git/2.47".encode()
        gone = f"{old} {'0' * 40} refs/heads/{branch}\0 report-status delete-refs".encode()
        talks += [(RECEIVE, "", line(update) + b"0000" + packed), (RECEIVE, "", line(gone) + b"0000")]
    return talks
