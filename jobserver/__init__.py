"""jobserver: jobs for secure environments, recorded as signed commits in a git repository."""

__version__ = "0.2.0"
