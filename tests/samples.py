"""How much of what can't be tried whole each time is tried: little by `make test`, much by `make test-whole`."""

import os

IS_WHOLE = bool(os.environ.get("WHOLE_SAMPLES"))


def size(small: int, whole: int) -> int:
    return whole if IS_WHOLE else small
