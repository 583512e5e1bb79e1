"""Made-up admissions: more in winter, fewer at weekends."""

import csv
import math
import random
from datetime import date, timedelta
from pathlib import Path

POPULATION = 5000
START = date(2024, 1, 1)
DAYS = 728

chance = random.Random(2024)
weights = []
for day in range(DAYS):
    season = 1 + 0.4 * math.cos(2 * math.pi * day / 365.25)
    weekend = 0.7 if (START + timedelta(days=day)).weekday() >= 5 else 1.0
    weights.append(season * weekend)

Path("output").mkdir(exist_ok=True)
with Path("output/admissions.csv").open("w", newline="") as file:
    rows = csv.writer(file)
    rows.writerow(["patient_id", "admitted_on", "age"])
    for patient, day in enumerate(sorted(chance.choices(range(DAYS), weights, k=POPULATION)), 1):
        rows.writerow([patient, START + timedelta(days=day), round(chance.triangular(0, 100, 75))])
print(f"{POPULATION} admissions in {DAYS} days")
