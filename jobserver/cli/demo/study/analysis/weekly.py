"""Admissions per week. Leaves out counts below 8, so that no person can be identified."""

import csv
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

SMALLEST = 8

with Path("output/admissions.csv").open(newline="") as file:
    days = [date.fromisoformat(row["admitted_on"]) for row in csv.DictReader(file)]
counts = Counter(day - timedelta(days=day.weekday()) for day in days)
with Path("output/weekly.csv").open("w", newline="") as file:
    rows = csv.writer(file)
    rows.writerow(["week", "admissions"])
    rows.writerows((week, count if count >= SMALLEST else "") for week, count in sorted(counts.items()))
print(f"{len(counts)} weeks, {min(counts.values())} to {max(counts.values())} admissions")
