"""spec.json: the description of a controller's calls (OpenAPI 3.1), made of the shapes that the calls are read with."""

from typing import Any

from jobserver.domain.rap.calls import RapCancellation, RapCreation, RapStatusRequest, schema_of

BASE = "/controller/v1"
_TIME = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{6})?Z$"}
_TEXT = {"type": "string"}
_MAYBE_TIME = {"anyOf": [_TIME, {"type": "null"}]}
_ON = {"enum": ["on", "off"]}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _list(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


_FLAG = _object(status=_ON, since=_MAYBE_TIME)
_BACKEND = _object(
    slug=_TEXT,
    last_seen=_MAYBE_TIME,
    paused=_FLAG,
    db_maintenance=_object(status=_ON, since=_MAYBE_TIME, type={"enum": ["scheduled", "manual", None]}),
)
_JOB = _object(
    identifier=_TEXT,
    rap_id=_TEXT,
    action=_TEXT,
    backend=_TEXT,
    status={"enum": ["pending", "running", "succeeded", "failed"]},
    status_code=_TEXT,
    status_message=_TEXT,
    created_at=_TIME,
    started_at=_MAYBE_TIME,
    completed_at=_MAYBE_TIME,
    updated_at=_MAYBE_TIME,
    metrics={"type": "object"},
    requires_db={"type": "boolean"},
    run_command=_TEXT,
    trace_context={"type": "object"},
)
_RESULT = _object(result=_TEXT, details=_TEXT, count={"type": "integer"})
_CREATED = _object(result=_TEXT, details=_TEXT, rap_id=_TEXT, count={"type": "integer"})
_REFUSAL = _object(error=_TEXT, details=_TEXT)
_BODIES: dict[str, type[RapCreation | RapCancellation | RapStatusRequest]] = {
    "rap/create/": RapCreation,
    "rap/cancel/": RapCancellation,
    "rap/status/": RapStatusRequest,
}
_ANSWERS: dict[str, dict[str, Any]] = {
    "rap/create/": {"200": _CREATED, "201": _CREATED, "400": _REFUSAL},
    "rap/cancel/": {"200": _RESULT, "400": _REFUSAL, "404": _REFUSAL},
    "rap/status/": {"200": _object(jobs=_list(_JOB), unrecognised_rap_ids=_list(_TEXT)), "400": _REFUSAL},
}


def spec() -> dict[str, Any]:
    parts: dict[str, Any] = {}
    paths: dict[str, Any] = {"/backend/status/": {"get": _operation({"200": _object(backends=_list(_BACKEND))})}}
    for path, model in _BODIES.items():
        schema = schema_of(model, "#/components/schemas/{model}")
        parts |= schema.pop("$defs", {}) | {model.__name__: schema}
        reference = {"$ref": f"#/components/schemas/{model.__name__}"}
        body = {"required": True, "content": {"application/json": {"schema": reference}}}
        paths[f"/{path}"] = {"post": _operation(_ANSWERS[path]) | {"requestBody": body}}
    token = {"type": "apiKey", "in": "header", "name": "Authorization"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "RAP controller", "version": "v1"},
        "servers": [{"url": f"{BASE}/"}],
        "paths": paths,
        "components": {"schemas": parts, "securitySchemes": {"token": token}},
        "security": [{"token": []}],
    }


def _operation(answers: dict[str, Any]) -> dict[str, Any]:
    return {
        "responses": {
            status: {"description": status, "content": {"application/json": {"schema": schema}}}
            for status, schema in {**answers, "401": _REFUSAL}.items()
        }
    }
