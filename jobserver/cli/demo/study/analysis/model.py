"""A yearly cycle fitted to the weekly counts: y = a + b cos(t) + c sin(t), by the normal equations."""

import csv
import json
import math
from pathlib import Path

with Path("output/weekly.csv").open(newline="") as file:
    counts = [(number, int(row["admissions"])) for number, row in enumerate(csv.DictReader(file)) if row["admissions"]]

rows = [(1.0, math.cos(2 * math.pi * week / 52.18), math.sin(2 * math.pi * week / 52.18)) for week, _ in counts]
matrix = [
    [sum(row[i] * row[j] for row in rows) for j in range(3)] + [sum(r[i] * y for r, (_, y) in zip(rows, counts))]
    for i in range(3)
]
for pivot in range(3):
    for other in range(3):
        if other != pivot:
            factor = matrix[other][pivot] / matrix[pivot][pivot]
            matrix[other] = [a - factor * b for a, b in zip(matrix[other], matrix[pivot])]
a, b, c = (matrix[i][3] / matrix[i][i] for i in range(3))
mean = sum(y for _, y in counts) / len(counts)
left = sum((y - (a + b * r[1] + c * r[2])) ** 2 for r, (_, y) in zip(rows, counts))
explained = 1 - left / sum((y - mean) ** 2 for _, y in counts)
Path("output/model.json").write_text(json.dumps({"mean": a, "cos": b, "sin": c, "explained": explained}, indent=1))
print(f"{a:.1f} a week, {math.hypot(b, c):.1f} more at the peak; {explained:.0%} of the variation explained")
