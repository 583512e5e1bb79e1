"""Long names, shortened in the middle so that they stay distinct. Pure."""

from collections.abc import Collection, Iterable, Sequence

_END = 6  # characters that stay at each end where the middle shows a difference
_SIGNS = "_-."


def shortened(names: Collection[str], limit: int) -> dict[str, str]:
    """Name -> at most ``limit`` characters of it, different for each name. ``limit``: at least 18."""
    texts = {name: name for name in names if len(name) <= limit}
    for alike in _groups((name, (name[:_END], name[-_END:])) for name in names if len(name) > limit):
        differs = _first_difference(alike)
        texts.update({name: _short(name, differs, limit) for name in alike})
    for alike in _groups(texts.items()):  # they differ in several places, of which only the first is shown
        for number, name in enumerate(alike, 1):
            if len(alike) > 1:
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


def _short(name: str, differs: int, limit: int) -> str:
    """Without its middle; or, if that is where it differs from similar names, with the word that differs."""
    half = (limit - 1) // 2
    word = max(name.rfind(sign, 0, differs) + 1 for sign in _SIGNS)
    word = word if differs - word < half - _END else differs
    if differs < half - _END or word >= len(name) - half:
        return f"{name[: limit - 1 - half]}…{name[-half:]}"
    if len(name) - word <= limit - 1 - _END:
        return f"{name[: limit - 1 - len(name) + word]}…{name[word:]}"
    return f"{name[:_END]}…{name[word : word + limit - 2 * _END - 2]}…{name[-_END:]}"


def _first_difference(names: Sequence[str]) -> int:
    return next((place for place, signs in enumerate(zip(*names, strict=False)) if len(set(signs)) > 1), 0)


def _groups(keys: Iterable[tuple[str, object]]) -> list[list[str]]:
    """The names of (name, key) with the same key."""
    groups: dict[object, list[str]] = {}
    for name, key in keys:
        groups.setdefault(key, []).append(name)
    return list(groups.values())
