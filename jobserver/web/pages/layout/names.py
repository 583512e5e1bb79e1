"""Long names, shortened in the middle so that they stay distinct. Pure."""

from collections.abc import Collection, Sequence

_END = 6  # characters that stay at each end where the middle shows a difference
_SIGNS = "_-."


def shortened(names: Collection[str], limit: int) -> dict[str, str]:
    """Name -> at most ``limit`` characters of it, different for each name. ``limit``: at least 12."""
    texts = {name: _without_middle(name, limit) for name in names}
    for alike in _alike(texts):
        differs = next((place for place, signs in enumerate(zip(*alike, strict=False)) if len(set(signs)) > 1), 0)
        texts.update({name: _around(name, differs, limit) for name in alike})
    for alike in _alike(texts):  # they differ in several places, of which only the first is shown
        for number, name in enumerate(alike, 1):
            mark = f"…{number}"
            texts[name] = texts[name][: limit - len(mark)] + mark
    return texts


def lines(text: str, limit: int) -> tuple[str, ...]:
    """On one line, or on two, broken at a sign if there is one. ``text``: at most `two_lines` characters."""
    if len(text) <= limit:
        return (text,)
    least = len(text) - limit
    cut = max((text.rfind(sign, least, limit) + 1 for sign in _SIGNS), default=0)
    cut = cut if cut >= least else limit
    return (text[:cut], text[cut:])


def two_lines(limit: int) -> int:
    """How many characters fit on two lines, wherever a sign breaks them."""
    return limit + limit // 2


def _without_middle(name: str, limit: int) -> str:
    if len(name) <= limit:
        return name
    tail = (limit - 1) // 2
    return f"{name[: limit - 1 - tail]}…{name[-tail:]}"


def _around(name: str, differs: int, limit: int) -> str:
    """Its start, what follows the place where it differs from others, and its end."""
    width = limit - 2 * _END - 2
    start = max(differs - 2, _END)
    if start + width + _END >= len(name):
        return f"{name[:_END]}…{name[-(limit - _END - 1) :]}"
    return f"{name[:_END]}…{name[start : start + width]}…{name[-_END:]}"


def _alike(texts: dict[str, str]) -> list[Sequence[str]]:
    """The names whose texts are the same, in groups."""
    groups: dict[str, list[str]] = {}
    for name, text in texts.items():
        groups.setdefault(text, []).append(name)
    return [names for names in groups.values() if len(names) > 1]
