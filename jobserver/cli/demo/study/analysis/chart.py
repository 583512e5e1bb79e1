"""The counts as bars, the fitted cycle as a line."""

import csv
import json
import math
from pathlib import Path

model = json.loads(Path("output/model.json").read_text())
with Path("output/weekly.csv").open(newline="") as file:
    counts = [int(row["admissions"] or 0) for row in csv.DictReader(file)]

width, height, step = 8 * len(counts), 240, 8
scale = height / max(counts)
bars = "".join(
    f'<rect x="{n * step}" y="{height - y * scale:.1f}" width="{step - 2}" height="{y * scale:.1f}" fill="#9bb8d3"/>'
    for n, y in enumerate(counts)
)
points = []
for n in range(len(counts)):
    angle = 2 * math.pi * n / 52.18
    y = model["mean"] + model["cos"] * math.cos(angle) + model["sin"] * math.sin(angle)
    points.append(f"{n * step + 3},{height - y * scale:.1f}")
line = f'<polyline points="{" ".join(points)}" fill="none" stroke="#b3402e" stroke-width="2"/>'
Path("output/admissions.svg").write_text(
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">{bars}{line}</svg>'
)
print(f"{len(counts)} bars")
