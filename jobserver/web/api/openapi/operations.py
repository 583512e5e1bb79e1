"""What the operations share: answers, bodies, and the scope that a token needs (OpenAPI 3.1)."""

from typing import Any

from jobserver.domain.tokens import Scope
from jobserver.web.api.openapi.parameters import IDEMPOTENCY_KEY
from jobserver.web.api.openapi.schemas import TEXT, Schema, reference

COMMIT = {"X-Commit": {"schema": TEXT, "description": "The commit that records the change, already on the disk."}}
LOCATION = {"Location": {"schema": TEXT, "description": "Its URL."}, **COMMIT}
OPEN: Schema = {"security": []}
"""Marks an operation that needs no token."""


def reply(text: str, schema: Schema | None, headers: Schema | None = None) -> Schema:
    answer: Schema = {"description": text}
    if schema is not None:
        answer["content"] = {"application/json": {"schema": schema}}
    return answer | ({"headers": headers} if headers else {})


_DETAIL = reference("Detail")
_REFUSALS = {
    "400": reply("The field that is wrong, and why.", {}),
    "403": reply("The token is missing or invalid, or does not allow this.", _DETAIL),
    "404": reply("Not found.", None),
    "405": reply("This URL does not take this method.", _DETAIL),
    "409": reply("The state does not allow this, or the Idempotency-Key was used with another body.", _DETAIL),
    "413": reply("The body is larger than 10 MiB.", _DETAIL),
    "429": reply(
        "Too many invalid tokens came from this address, or this caller has used up a budget."
        " Try again after Retry-After seconds.",
        _DETAIL,
    ),
    "503": reply("Temporarily unavailable. Try again after Retry-After seconds.", _DETAIL),
}


def operation(tag: str, text: str, replies: Schema, *refusals: str, **more: Any) -> Schema:
    usual = ("503",) if more.get("security") == [] else ("403", "429", "503")
    answers = replies | {code: _REFUSALS[code] for code in (*usual, *refusals)}
    return {"tags": [tag], "summary": text, "responses": answers, **more}


def read(tag: str, text: str, schema: Schema, *refusals: str, **more: Any) -> Schema:
    """An operation that answers with 200 and JSON, and changes nothing."""
    return operation(tag, text, {"200": reply("OK.", schema)}, "400", *refusals, **more)


def write(
    tag: str, text: str, schema: Schema, fields: Schema | None = None, status: str = "200", **more: Any
) -> Schema:
    """A person's operation that changes something. ``schema``: the answer's; ``fields``: the body's."""
    given: Schema = {"requestBody": body(fields)} if fields is not None else {}
    parameters = [IDEMPOTENCY_KEY, *more.pop("parameters", ())]
    answers = {status: reply("As it is now.", schema, LOCATION if status == "201" else COMMIT)}
    scope = {"x-scope": more.pop("scope", Scope.ADMIN)}
    return operation(tag, text, answers, "400", "404", "409", "413", parameters=parameters, **given, **scope, **more)


def body(schema: Schema, required: bool = True) -> Schema:
    return {"required": required, "content": {"application/json": {"schema": schema}}}
