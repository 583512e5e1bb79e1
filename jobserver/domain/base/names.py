"""Which names are allowed for users, backends, workspaces, actions and the like, as patterns and in words."""

import re
from unicodedata import normalize

SLUG = r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?"
WORKSPACE = r"[a-z0-9][a-z0-9_-]{0,127}"
USERNAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
ACTION = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
DATABASE = r"[a-z0-9][a-z0-9_-]{0,63}"
JOB_ID = r"[A-Za-z0-9_-]{1,64}"
REQUEST_ID = r"[2-7a-z]{16}"
SHA = r"[0-9a-f]{40}"
DIGEST = r"[0-9a-f]{64}"
RELEASE_ID = r"[0-9a-f]{32}"
# What a project is called outside: 42 or POS-2025-2001.
PROJECT_NUMBER = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?"
DATA = r"[a-z0-9_]{1,64}"
CHECKED_RELEASE_ID = r"[0-9A-Za-z]{16,40}"
GITHUB_REPOSITORY = r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}"
PROJECT = rf"{SLUG}/{SLUG}"
PUSHER = rf"user/{USERNAME}|backend/{SLUG}"

# The same for people.
WORDS = {
    SLUG: "lowercase letters, digits and hyphens, at most 64, with no hyphen first or last",
    WORKSPACE: "lowercase letters, digits, - and _, at most 128, starting with a letter or digit",
    USERNAME: "letters, digits, - and _, at most 64, starting with a letter or digit",
    ACTION: "letters, digits, -, _ and dots, at most 128, not starting with - or a dot",
    DATABASE: "lowercase letters, digits, - and _, at most 64, starting with a letter or digit",
    JOB_ID: "letters, digits, - and _, at most 64",
    REQUEST_ID: "16 characters of 2-7 and a-z",
    SHA: "a full commit id, 40 digits of 0-9 and a-f",
    DIGEST: "a SHA-256, 64 digits of 0-9 and a-f",
    RELEASE_ID: "32 digits of 0-9 and a-f",
    PROJECT_NUMBER: "letters, digits and hyphens, at most 32, with no hyphen first or last",
    DATA: "lowercase letters, digits and _, at most 64",
    CHECKED_RELEASE_ID: "16 to 40 letters and digits",
    GITHUB_REPOSITORY: "the owner and name of a repository on GitHub, such as org/outputs",
    PROJECT: "org/project, each of lowercase letters, digits and hyphens",
    PUSHER: "user/<username> or backend/<slug>",
}

_SLUG = re.compile(SLUG)
_USERNAME = re.compile(USERNAME)
_NO_SLUG = re.compile(r"[^a-z0-9]+")
_ACTION = re.compile(ACTION)


def slug_of(name: str) -> str:
    """A slug made from this name; empty if no character of it is allowed."""
    plain = normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return _NO_SLUG.sub("-", plain).strip("-")[:64].rstrip("-")


def is_slug(text: str) -> bool:
    return _SLUG.fullmatch(text) is not None


def is_username(text: str) -> bool:
    return _USERNAME.fullmatch(text) is not None


def is_action(text: str) -> bool:
    return _ACTION.fullmatch(text) is not None
