"""A 95% confidence interval of the median week, from many samples of the weekly counts. Takes about a minute."""

import csv
import json
import random
from pathlib import Path
from statistics import median_low, quantiles

SAMPLES = 3_000_000

with Path("output/weekly.csv").open(newline="") as file:
    counts = [int(row["admissions"]) for row in csv.DictReader(file) if row["admissions"]]

chance = random.Random(2024)
medians = [median_low(chance.choices(counts, k=len(counts))) for _ in range(SAMPLES)]
points = quantiles(medians, n=40)
Path("output/interval.json").write_text(json.dumps({"low": points[0], "high": points[-1]}, indent=1))
print(f"{points[0]:.0f} to {points[-1]:.0f} admissions in the median week")
