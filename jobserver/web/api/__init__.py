"""HTTP API v2: job requests for runners, and for people with scripts (docs/contract.md, section 4)."""
