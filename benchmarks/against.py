"""Two versions in turn, A B A B, on the same machine in the same minutes: ``--against REV`` of each benchmark.

A is ``jobserver`` at a git revision, in a temporary folder; B is this tree as it is. Both run this tree's benchmark
with the same Python, and share the made histories if their commits have the same policy. What is busy beside them slows
neighbours alike, so the ratio of each pair says more than the figures, and its range says how much to believe.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import common

_ROOT = Path(__file__).parents[1]
FIGURES = "BENCHMARK_FIGURES"  # the file to which `common.table` adds its tables, as JSON


def compare(module: str, revision: str, pairs: int, arguments: Sequence[str]) -> None:
    """Prints the ratios of every figure of ``python -m module arguments``."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _check_out(revision, folder / "old")
        runs: list[tuple[list[Any], list[Any]]] = []
        for number in range(pairs):
            runs.append((_run(module, folder / "old", arguments), _run(module, _ROOT, arguments)))
            load = os.getloadavg()[0]
            print(f"pair {number + 1} of {pairs}; {load:.1f} processes compute", file=sys.stderr)
    for at, (title, columns, _) in enumerate(runs[0][1]):
        rows = _ratios(columns, [(old[at][2], new[at][2]) for old, new in runs])
        heads = ("", "figure", "old", "new", "new / old, pair by pair", "min", "median", "max")
        common.table(f"{title}: {revision} and this tree, medians of {pairs}", heads, rows)


def _check_out(revision: str, folder: Path) -> None:
    """The revision's files, with this tree's benchmarks in place of its own."""
    folder.mkdir()
    command = ["git", "-C", _ROOT, "archive", revision, "--", ".", ":!benchmarks"]
    archive = subprocess.run(command, capture_output=True, check=False)
    if archive.returncode:
        raise SystemExit(archive.stderr.decode())
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
    (folder / "benchmarks").symlink_to(_ROOT / "benchmarks")
    subprocess.run([sys.executable, "-m", "compileall", "-q", folder / "jobserver"], check=True)


def _run(module: str, folder: Path, arguments: Sequence[str]) -> list[Any]:
    """The tables of one run: (title, columns, rows)."""
    with tempfile.NamedTemporaryFile("r") as figures:
        env = os.environ | {"PYTHONPATH": str(folder), FIGURES: figures.name}
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments], cwd=folder, env=env, stdout=subprocess.DEVNULL, check=False
        )
        if done.returncode:
            raise SystemExit(f"{module} failed with the jobserver in {folder}")
        return [json.loads(line) for line in figures]


def _ratios(columns: Sequence[str], runs: Sequence[tuple[list[Any], list[Any]]]) -> list[tuple[object, ...]]:
    """One row for each figure of each row: both medians, and new / old of each pair."""
    rows: list[tuple[object, ...]] = []
    for at, cells in enumerate(runs[0][1]):
        label = " ".join(str(cell) for cell in takewhile(lambda cell: not isinstance(cell, float), cells))
        for place, column in enumerate(columns):
            both = [(old[at][place], new[at][place]) for old, new in runs]
            if not all(isinstance(figure, float) for figures in both for figure in figures):
                continue
            ratios = [new / old if old else 1.0 for old, new in both]
            medians = (median(figures) for figures in zip(*both, strict=True))
            spread = (min(ratios), median(ratios), max(ratios))
            rows.append((label, column, *medians, " ".join(f"{ratio:.2f}" for ratio in ratios), *spread))
    return rows
