"""Measurements, each a ratio or a limit within one run; `docs/performance.md` has the latest results."""
