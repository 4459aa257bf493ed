"""The OpenAPI document: valid, whole, and the one that is committed."""

from __future__ import annotations

import json
from pathlib import Path

from openapi_spec_validator import validate

import app as application
from chalicelib.api import openapi

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"


def test_the_document_is_valid_openapi():
    validate(openapi.document(application.app))


def test_the_committed_document_is_that_of_the_code():
    committed = (REFERENCE / "openapi.json").read_text()
    assert openapi.text(application.app) == committed, (
        "the API changed: python -m chalicelib.api.openapi > docs/reference/openapi.json"
    )


def test_every_route_is_in_the_document_and_in_the_reference():
    paths = openapi.document(application.app)["paths"]
    reference = (REFERENCE / "http-api.md").read_text()
    for path, methods in application.app.routes.items():
        assert {method.lower() for method in methods} == set(paths[path])
        for method in methods:
            assert f"`{method} {path}`" in reference, f"{method} {path} is not in http-api.md"


def test_every_reference_in_the_document_leads_somewhere():
    document = openapi.document(application.app)
    text = json.dumps(document)
    for kind in ("schemas", "responses"):
        there = set(document["components"][kind])
        wanted = {part.split('"')[0] for part in text.split(f"#/components/{kind}/")[1:]}
        assert wanted <= there
        assert kind == "responses" or there == wanted


def test_what_optional_members_are_is_told():
    row = openapi.document(application.app)["components"]["schemas"]["JobRow"]
    assert "started_at" in row["required"]
    assert row["properties"]["created_at"] == {
        "format": "date-time",
        "title": "Created At",
        "type": "string",
    }
