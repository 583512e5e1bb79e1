"""The ref at which a person asked for jobs, if it was not the newest commit of the workspace's branch.

Documents have it as git writes it in full: a branch (`refs/heads/dev`), a tag (`refs/tags/v1.0`), or a commit's id.
"""

import re

HEADS, TAGS = "refs/heads/", "refs/tags/"
MAX_REF = 255  # characters

_NO_NAME = re.compile(r"[\x00-\x20\x7f~^:?*\[\\\ud800-\udfff]|\.\.|//|@\{|^[/-]|^@$|(?:^|/)\.|(?:\.|/)$|\.lock(?:/|$)")


def is_name(name: str) -> bool:
    """Whether git allows this name for a branch or a tag."""
    return 0 < len(name) <= MAX_REF and not _NO_NAME.search(name)


def is_ref_of(ref: str, sha: str, branch: str) -> bool:
    """Whether a request at the commit ``sha`` of ``branch`` can have been asked for at ``ref``."""
    return ref in (sha, f"{HEADS}{branch}") or (ref.startswith(TAGS) and is_name(ref.removeprefix(TAGS)))


def in_words(ref: str) -> str:
    """``branch dev``, ``tag v1.0`` or ``commit 1a2b3c4d5e``; empty for an empty ref."""
    for prefix, word in ((HEADS, "branch"), (TAGS, "tag")):
        if ref.startswith(prefix):
            return f"{word} {ref.removeprefix(prefix)}"
    return f"commit {ref[:10]}" if ref else ""
