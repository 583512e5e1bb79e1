"""What reads bytes of strangers, led by which branches they reach (atheris; one reader a process, as libFuzzer wants).

``python -m tests.fuzz.guided --seconds 60`` gives each reader so long, and stops at the first one that raises anything
but `Error`, or reads a document that is another when it is read again. Needs ``pip install atheris``, which is no part
of the tests: it has wheels for few Pythons.
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

from jobserver.errors import Error

SEEDS = Path(__file__).parents[2] / "state_repo_template"


def _readers() -> dict[str, tuple[Callable[[bytes], object], list[bytes]]]:
    """name -> (what reads, with what it begins)."""
    from jobserver.store.git import trees
    from jobserver.store.git.received_pack import ReceivedPack
    from jobserver.store.read.commits import parse_commit
    from jobserver.store.yaml import canonical
    from jobserver.web.git import fetch_request, pkt_line
    from tests.fuzz.readers import KINDS, PIPELINES, YAML, check_document, check_pipeline
    from tests.unit.store.git.test_received_pack import BASE, BLOB, COMMIT, DELTA, ID, REF_DELTA, TREE, entry, pack

    assert YAML is not None
    documents = [path.read_bytes() for path in SEEDS.rglob("*.yaml")]
    commit = b"tree " + b"1" * 40 + b"\nparent " + b"2" * 40 + b"\nauthor x <x@x> 1 +0000\ncommitter x <x@x> 1 +0000\n"
    commit += b"gpgsig -----BEGIN SSH SIGNATURE-----\n U1NI\n -----END SSH SIGNATURE-----\n\nx\n\nEvent: y\n"

    def packed(data: bytes) -> None:
        # zlib's checksums would keep the fuzzer out: it chooses what is packed, or a damage.
        kind, at, rest = data[:1], data[1:3], data[3:]
        match kind:
            case b"t" | b"c":
                ReceivedPack(pack(entry(TREE if kind == b"t" else COMMIT, rest)))
            case b"d":
                ReceivedPack(pack(entry(REF_DELTA, rest, ID))).supply_base(ID, b"blob", BASE)
            case _:
                raw = bytearray(pack(entry(BLOB, BASE), entry(REF_DELTA, DELTA, ID)))
                place = int.from_bytes(at, "big") % len(raw)
                ReceivedPack(bytes(raw[:place]) + rest + bytes(raw[place + len(rest) :]))

    def tree(data: bytes) -> None:
        try:
            found = trees.entry_set(data)
        except ValueError:
            return
        assert found == set(trees.entries(data)), data

    def asked(data: bytes) -> None:
        fetch = fetch_request.Fetch(pkt_line.decoded(data, ""))
        assert fetch_request.Fetch(fetch.without(fetch.commits)).commits <= set(fetch.wants)
        pkt_line.decoded(data, "gzip")

    return {
        "documents": (lambda data: [check_document(kind, data) for kind in KINDS], documents),
        "canonical YAML": (lambda data: canonical.parse(data), documents),
        "project.yaml": (check_pipeline, [text.encode() for text in PIPELINES]),
        "commits": (lambda data: parse_commit("1" * 40, data).trailers(), [commit]),
        "packs": (
            packed,
            [b"d00" + DELTA, b"t00100644 a\0" + bytes(20), b"c00" + commit, b"x00" + zlib.compress(BASE)],
        ),
        "trees": (tree, [b"100644 a\0" + bytes(20) + b"40000 b\0" + bytes(20)]),
        "packet lines": (asked, [b"0032want " + b"1" * 40 + b"\n0000"]),
    }


def _run(name: str, seconds: int, corpus: str) -> None:
    import atheris  # type: ignore[import-not-found]

    with atheris.instrument_imports(include=["jobserver", "tests.fuzz"]):
        reads, seeds = _readers()[name]
    from jobserver.store.yaml.canonical import Unusual

    for number, seed in enumerate(seeds):
        Path(corpus, f"seed{number}").write_bytes(seed)

    def once(data: bytes) -> None:
        with contextlib.suppress(Error, Unusual):
            reads(data)

    atheris.Setup(
        [sys.argv[0], corpus, f"-max_total_time={seconds}", "-timeout=20", "-max_len=4096", "-verbosity=0",
         "-print_final_stats=1", f"-artifact_prefix={corpus}/"], once)  # fmt: skip
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=60, help="for each reader")
    parser.add_argument("--only", default="")
    parser.add_argument("--corpus", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.corpus:
        _run(options.only, options.seconds, options.corpus)
        return 0
    print("| reader | tried | came upon |\n| --- | --- | --- |")
    for name in _readers():
        if options.only not in name:
            continue
        with tempfile.TemporaryDirectory(prefix="jobserver-fuzz-") as corpus:
            command = [sys.executable, "-m", "tests.fuzz.guided", "--only", name, "--corpus", corpus]
            command += ["--seconds", str(options.seconds)]
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
            if done.returncode:
                print(f"{name}:\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}", file=sys.stderr)
                return 1
            tried = next((line.split()[-1] for line in done.stderr.splitlines() if "number_of_executed" in line), "?")
            print(f"| {name} | {int(tried):,} | {len(list(Path(corpus).iterdir())):,} different paths |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
