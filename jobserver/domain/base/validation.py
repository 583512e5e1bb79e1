"""Makes documents from values, and turns pydantic's errors into messages that help to correct the values."""

from typing import Any, TypeVar

from pydantic import ValidationError

from jobserver.domain.base.values import Document, mismatch
from jobserver.errors import Error, Fault, invalid

D = TypeVar("D", bound=Document)

MISSING = "required, and missing"
_LIMITS = {
    "enum": "expected {expected}",
    "greater_than_equal": "expected at least {ge}",
    "less_than_equal": "expected at most {le}",
    "literal_error": "expected {expected}",
    "string_too_short": "expected at least {min_length} character",
    "too_short": "expected at least {min_length}",
}
_TYPES = {
    "bool_type": "expected true or false",
    "datetime_type": "expected a time such as 2026-11-23T20:15:04.123456Z",
    "dict_type": "expected a mapping",
    "is_instance_of": "expected text",
    "int_type": "expected a whole number",
    "list_type": "expected a list",
    "model_type": "expected a mapping",
    "string_type": "expected text",
    "tuple_type": "expected a list",
}


def checked(model: type[D], values: dict[str, Any]) -> D:
    """A document from values. Raises `Error` (invalid) with a fault for each field that is wrong."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise invalid_values(error) from None


def invalid_values(error: ValidationError) -> Error:
    """An `Error` (invalid) with pydantic's faults."""
    faults = [Fault(reason(fault), key=".".join(map(str, fault["loc"]))) for fault in error.errors(include_url=False)]
    return invalid(str(faults[0]), faults=faults)


def reason(fault: Any) -> str:
    """The message of one of pydantic's faults, in words for the person who edits the document."""
    if fault["type"] == "missing":
        return MISSING
    if fault["loc"][-1:] == ("sha256",):  # the value may be the token itself: never repeat it
        return "expected the SHA-256 of a token, 64 hex digits"
    if fault["type"] == "string_pattern_mismatch":
        return mismatch(fault["ctx"]["pattern"], fault["input"])
    if (limit := _LIMITS.get(fault["type"])) is not None:
        return limit.format(**fault["ctx"])
    if (expected := _TYPES.get(fault["type"])) is not None:
        return expected
    message = str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] == "too_long" and isinstance(fault["input"], str):
        message = f"at most {fault['ctx']['max_length']} characters are allowed"
    return message[0].lower() + message[1:]


def kind(value: Any) -> str:
    """The type of a JSON value, in words."""
    names = {dict: "an object", list: "a list", str: "text", bool: "a boolean", int: "a number", float: "a number"}
    if value == "":
        return "empty text"
    return names.get(type(value), "null")
