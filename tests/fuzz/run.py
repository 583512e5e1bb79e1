"""Odd input without end: the API by its description, the readers, git's packet lines, and the pages' forms.

``python -m tests.fuzz.run --seconds 60`` gives each part so long, on one server. It stops at the first answer of 500,
traceback in the log, answer that does not come, dead process, or unsound record, and says what was asked; otherwise
it prints the table of docs/reliability.md.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e.harness import Site, job
from tests.fuzz import api, packets, pages, readers
from tests.fuzz.tally import Tally

PARTS: dict[str, Callable[[Site, random.Random, Tally], None]] = {
    "API, from its description": api.fuzz,
    "documents and project.yaml": readers.fuzz,
    "git's packet lines": packets.fuzz,
    "pages, forms and queries": pages.fuzz,
}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60, help="for each part")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", default="", help="the part whose name has this word")
    options = parser.parse_args()
    tallies = []
    with tempfile.TemporaryDirectory(prefix="jobserver-fuzz-") as folder:
        site = Site(Path(folder) / "site")
        site.start()
        try:
            with site.client("tpp") as tpp:
                tpp.report(job(site.ask("generate"), "jj", "failed", 1)).raise_for_status()
            for name, fuzz in PARTS.items():
                if options.only in name:
                    tally = Tally(name, site, options.seconds)
                    fuzz(site, random.Random(options.seed), tally)
                    tally.look()
                    tallies.append(tally)
            site.stop()
            site.check_record()
        except BaseException:
            print(f"seed {options.seed}\n{site.log()[-5000:]}", file=sys.stderr)
            raise
        finally:
            if site.server is not None:
                site.server.kill()
    kinds = sorted({kind for tally in tallies for kind in tally.counts})
    print(f"| seed {options.seed} | tried | {' | '.join(kinds)} |\n| --- | {'--- | ' * (len(kinds) + 1)}".rstrip())
    for tally in tallies:
        cells = [f"{tally.counts[kind]:,}" if tally.counts[kind] else "" for kind in kinds]
        print(f"| {tally.name} | {tally.counts.total():,} | {' | '.join(cells)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
