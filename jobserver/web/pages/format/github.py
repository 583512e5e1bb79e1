"""Links to a study on GitHub. Each is empty for a study that is somewhere else. Pure."""

_GITHUB = "https://github.com/"


def is_on_github(repo: str) -> bool:
    return repo.startswith(_GITHUB)


def short_name(repo: str) -> str:
    """``org/study``; a repository elsewhere as it is."""
    return repo.removeprefix(_GITHUB)


def tree(repo: str, revision: str) -> str:
    """The files at a branch or commit."""
    return f"{repo}/tree/{revision}" if is_on_github(repo) else ""


def blob(repo: str, sha: str, path: str) -> str:
    """One file at a commit."""
    return f"{repo}/blob/{sha}/{path}" if is_on_github(repo) else ""


def compare(repo: str, before: str, after: str) -> str:
    """The changes between two commits."""
    return f"{repo}/compare/{before}...{after}" if is_on_github(repo) else ""
