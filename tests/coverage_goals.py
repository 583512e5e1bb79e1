"""Branch coverage by package, from the data that `make coverage` combined; ends with 1 if one is below its goal.

What has to be right for the record to be right is run in every branch; the rest in nine of ten.
"""

import json
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from coverage import Coverage

_WHOLE = ("jobserver/store/", "jobserver/domain/", "jobserver/audit/", "jobserver/service/writes/gate.py")
_REST = ("index", "runner", "service", "web", "cli")


@dataclass
class Part:
    name: str
    goal: float  # percent of statements and branches together
    all: int = 0
    done: int = 0
    files: list[tuple[float, str]] = field(default_factory=list)  # percent, path: those that are not whole

    @property
    def percent(self) -> float:
        return 100 * self.done / self.all if self.all else 100.0


def _parts(files: dict[str, dict[str, dict[str, float]]]) -> list[Part]:
    whole = {path: Part(path.removeprefix("jobserver/").strip("/"), 100.0) for path in _WHOLE}
    rest = {f"jobserver/{name}/": Part(name, 90.0) for name in _REST} | {"jobserver/": Part("the modules above", 90.0)}
    for path, found in sorted(files.items()):
        summary = found["summary"]
        part = next(part for start, part in (whole | rest).items() if path.startswith(start))
        part.all += int(summary["num_statements"] + summary["num_branches"])
        part.done += int(summary["covered_lines"] + summary["covered_branches"])
        if summary["percent_covered"] < 100:
            part.files.append((summary["percent_covered"], path))
    return list((whole | rest).values())


def main() -> int:
    measured = Coverage()
    measured.load()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        measured.json_report(outfile=str(report))
        parts = _parts(json.loads(report.read_text())["files"])
    sys.stdout.write(f"{'package':22}{'covered':>9}{'goal':>6}  of statements and branches\n")
    for part in parts:
        sys.stdout.write(f"{part.name:22}{part.percent:8.1f}%{part.goal:5.0f}%  {part.all:6}\n")
    short = [part for part in parts if part.percent < part.goal]
    for part in short:
        for percent, path in sorted(part.files):
            sys.stdout.write(f"{percent:8.1f}%  {path}\n")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
