"""HTTP API v2: job requests for runners, and for people with scripts (CONTRACT section 4)."""
