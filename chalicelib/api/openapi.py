"""The OpenAPI 3.1 document, made of the app's own route table and the models at its edge.

`python -m chalicelib.api.openapi > docs/reference/openapi.json` writes it anew; a test compares.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from chalice.app import Chalice
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from chalicelib.api.edge import Operation
from chalicelib.api.problems import PROBLEM_JSON, STATUSES
from chalicelib.settings import VERSION

_REF = "#/components/schemas/{model}"
_REFUSED = "#/components/responses/{status}"
_EVERYWHERE = (400, 405, 415, 500, 503)
_OF_CALLERS = (401, 403, 429)
_PATH_PART = re.compile(r"{(\w+)}")
_WORDS = {
    304: "The client has it already",
    307: "It is there",
    **dict(STATUSES.values()),
    400: "The request is not valid",
    401: "Not authenticated",
    405: "The route does not know this method",
    415: "The body is not JSON",
    403: "Not allowed",
    404: "Not found",
    409: "Not possible in the present state",
    410: "It has expired",
    422: "Understood, and refused for what it says",
}
_PROBLEM = {
    "type": "object",
    "description": "RFC 9457 problem document. `error` repeats `detail` for clients of Strøm.",
    "required": ["type", "title", "status", "detail", "code", "error", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "error": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "message"],
                "properties": {"pointer": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


def document(app: Chalice) -> dict[str, Any]:
    """Return the document of all routes that the app has."""
    routes = list(_routes(app))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Strøm for AWS",
            "version": VERSION,
            "description": "The HTTP API: for people and programs under /api, for workers under "
            "/worker. Changes only add.",
        },
        "servers": [{"url": "/"}],
        "paths": _paths(routes),
        "components": {
            "schemas": dict(sorted({**_schemas(routes), "Problem": _PROBLEM}.items())),
            "responses": {str(status): _refusal(status) for status in sorted(_WORDS)},
            "securitySchemes": {
                "caller": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An access token or an API key, where people log in; "
                    "`x-permission` names what an operation needs",
                },
                "worker": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "STROEM_WORKER_TOKEN, where the installation has one",
                },
            },
        },
    }


def text(app: Chalice) -> str:
    """Return the document as it is committed."""
    return json.dumps(document(app), indent=2, ensure_ascii=False, sort_keys=False) + "\n"


Route = tuple[str, str, str, Operation]


def _routes(app: Chalice) -> Iterator[Route]:
    for path in sorted(app.routes):
        for method, entry in sorted(app.routes[path].items()):
            view = entry.view_function
            yield path, method.lower(), view.__name__, getattr(view, "operation")  # noqa: B009 - set by `answered`


def _paths(routes: list[Route]) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for path, method, name, operation in routes:
        paths.setdefault(path, {})[method] = _operation(path, name, operation)
    return paths


def _operation(path: str, name: str, operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": name,
        "summary": operation.summary,
        "tags": [_tag(path)],
        "parameters": list(_parameters(path, operation)),
        "responses": _responses(operation),
    }
    if operation.body is not None:
        found["requestBody"] = {"content": _content(operation.body), "required": True}
    if operation.form is not None:
        found["requestBody"] = {"content": {operation.form: {"schema": {"type": "object"}}}}
    if operation.by_worker:
        found["security"] = [{"worker": []}, {}]
    if operation.needs is not None:
        found["security"] = [{"caller": []}, {}]
        found["x-permission"] = operation.needs.value
    return found


def _tag(path: str) -> str:
    first = path.split("/")[1]
    return first if first in ("api", "worker", "approvals", "hooks") else "health"


def _parameters(path: str, operation: Operation) -> Iterator[dict[str, Any]]:
    for name in _PATH_PART.findall(path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    for name, what in operation.headers.items():
        text_only = {"type": "string"}
        yield {"name": name, "in": "header", "description": what, "schema": text_only}
    if operation.query is not None:
        schema = operation.query.model_json_schema(ref_template=_REF)
        for name, one in schema["properties"].items():
            yield {"name": name, "in": "query", "required": False, "schema": one}


def _responses(operation: Operation) -> dict[str, Any]:
    good: dict[str, Any] = {"description": "Done"}
    if operation.answer is not None:
        good["content"] = _content(operation.answer)
    else:
        of_text = operation.media.startswith("text/")
        schema = {"type": "string"} if of_text else {"type": "string", "format": "binary"}
        good["content"] = {operation.media: {"schema": schema}}
    refusals = (401,) if operation.by_worker else _OF_CALLERS if operation.needs else ()
    statuses = {*_EVERYWHERE, *operation.errors, *refusals}
    refused: dict[str, Any] = {
        str(status): {"$ref": _REFUSED.format(status=status)} for status in statuses
    }
    if operation.media == "text/html":
        pages = {
            str(status): {**good, "description": _WORDS[status]} for status in operation.errors
        }
        refused |= pages
    if operation.refusal is not None:
        problem = {PROBLEM_JSON: {"schema": {"$ref": _REF.format(model="Problem")}}}
        refused["400"] = {
            "description": _WORDS[400],
            "content": {**problem, **_content(operation.refusal)},
        }
    return {str(operation.status): good, **dict(sorted(refused.items()))}


def _refusal(status: int) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": _WORDS[status]}
    if status >= min(_EVERYWHERE):
        problem = {"$ref": _REF.format(model="Problem")}
        answer["content"] = {PROBLEM_JSON: {"schema": problem}}
    return answer


def _content(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REF.format(model=model.__name__)}}}


def _schemas(routes: list[Route]) -> Mapping[str, Any]:
    modes: dict[type[BaseModel], JsonSchemaMode] = {}
    queries: dict[str, Any] = {}
    for *_, operation in routes:
        if operation.answer is not None:
            modes[operation.answer] = "serialization"
        if operation.refusal is not None:
            modes[operation.refusal] = "serialization"
        if operation.body is not None:
            modes[operation.body] = "validation"
        if operation.query is not None:
            queries |= operation.query.model_json_schema(ref_template=_REF).get("$defs", {})
    _, schemas = models_json_schema(list(modes.items()), ref_template=_REF)
    return {**queries, **schemas["$defs"]}


if __name__ == "__main__":
    sys.stdout.write(text(importlib.import_module("app").app))
