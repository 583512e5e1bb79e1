"""jobserver: jobs for secure environments, recorded as signed commits in a git repository."""

__version__ = "0.1.0"
