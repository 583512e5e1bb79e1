"""Renders dokku's nginx.conf.sigil: of Go's text/template (https://pkg.go.dev/text/template), what our file uses."""

import re
import shlex
from collections.abc import Mapping
from typing import Any

_TAG = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)


def render(template: str, variables: Mapping[str, str]) -> str:
    tokens = _TAG.split(template)  # text, tag, text, tag, ...
    output, end = _block(tokens, 0, {"$": dict(variables), ".": dict(variables)})
    assert end == len(tokens), "an {{ end }} too many"
    return output


def _block(tokens: list[str], place: int, names: dict[str, Any]) -> tuple[str, int]:
    """What is there up to the tag that ends this block, and where that tag is."""
    output: list[str] = []
    while place < len(tokens):
        if place % 2 == 0:
            output.append(tokens[place])
            place += 1
            continue
        tag = tokens[place].strip()
        if tag in ("end", "else"):
            return "".join(output), place
        place += 1
        if tag.startswith("/*"):
            continue
        if tag.startswith("range "):
            name, _, expression = tag.removeprefix("range ").partition(":=")
            end = _skip(tokens, place)
            for value in _value(expression, names):
                output.append(_block(tokens, place, {**names, name.strip(): value})[0])
            place = end + 1
        elif tag.startswith("if "):
            chosen, middle = _block(tokens, place, dict(names))
            other, end = "", middle
            if tokens[middle].strip() == "else":
                other, end = _block(tokens, middle + 1, dict(names))
            output.append(chosen if _value(tag.removeprefix("if "), names) else other)
            place = end + 1
        elif match := re.fullmatch(r"(\$\w+) := (.*)", tag):
            names[match[1]] = _value(match[2], names)
        else:
            output.append(str(_value(tag, names)))
    return "".join(output), place


def _skip(tokens: list[str], place: int) -> int:
    depth = 1
    while True:
        tag = tokens[place].strip() if place % 2 else ""
        depth += tag.startswith(("range ", "if ")) - (tag == "end")
        if depth == 0:
            return place
        place += 1


def _value(expression: str, names: dict[str, Any]) -> Any:
    first, *filters = expression.split("|")
    value = _call(shlex.split(first.replace("(", " ( ").replace(")", " ) "), posix=False), names)
    for one in filters:
        name, argument = shlex.split(one)
        assert name == "split"
        value = value.split(argument)
    return value


def _call(words: list[str], names: dict[str, Any]) -> Any:
    arguments: list[Any] = []
    while words:
        word = words.pop(0)
        if word == "(":
            end = words.index(")")
            arguments.append(_call(words[:end], names))
            del words[: end + 1]
        else:
            arguments.append(_word(word, names))
    if len(arguments) == 1:
        return arguments[0]
    function, *given = arguments
    return function(*given)


def _word(word: str, names: dict[str, Any]) -> Any:
    functions = {"index": lambda items, place: items[place], "eq": lambda a, b: a == b, "and": lambda a, b: a and b}
    if word in functions:
        return functions[word]
    if word[0] == '"':
        return word[1:-1]
    if word.isdigit():
        return int(word)
    if word.startswith("$."):
        return names["$"].get(word[2:], "")
    if word.startswith("."):
        return names["."].get(word[1:], "")
    return names[word]
