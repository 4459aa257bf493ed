"""What bodies may be: size, depth, form."""

from __future__ import annotations

import base64
import json

import pytest

import app as application
from tests.api.world import problem_in

EXECUTE = "/api/workspaces/shop/tasks/one/execute"


def test_a_body_of_a_megabyte_is_taken_and_one_more_is_not(world):
    fits = json.dumps({"input": {"a": ""}}).encode()
    most = fits.replace(b'""', b'"' + b"a" * (1024 * 1024 - len(fits)) + b'"')
    assert len(most) == 1024 * 1024
    assert world.post(EXECUTE, most).status_code == 200
    problem_in(world.post(EXECUTE, most + b" "), 413, "too-large")


def nested(levels):
    """The body, that many levels deep in all."""
    return b'{"input": {"a": ' + b"[" * (levels - 2) + b"]" * (levels - 2) + b"}}"


def test_a_body_is_taken_to_fifty_levels(world):
    assert world.post(EXECUTE, nested(50)).status_code == 200
    for levels in (51, 100_000):
        detail = problem_in(world.post(EXECUTE, nested(levels)), 400, "invalid")["detail"]
        assert "nested" in detail


@pytest.mark.parametrize(
    "body",
    [
        b'{"input": {"a": NaN}}',
        b'{"input": {"a": Infinity}}',
        b'{"input": {"a": "\\ud800"}}',
        b'{"input": {"\\udfff": 1}}',
        b'{"input": {"a": "\xff"}}',
        b"\xef\xbb\xbf{}",
        b'{"input": {}} more',
        b"{'input': {}}",
        b'{"input": ' + b"9" * 5000 + b"}",
        b"null",
        b'{"input": []}',
        b'{"input": null}',
    ],
)
def test_what_is_no_proper_json_object_is_refused(world, body):
    problem_in(world.post(EXECUTE, body), 400, "invalid")


def test_a_body_of_another_type_is_refused(world):
    answer = world.post(EXECUTE, b"input=1", Content_Type="application/x-www-form-urlencoded")
    problem_in(answer, 415, "unsupported-media-type")
    assert world.post(EXECUTE, Content_Type="application/json; charset=utf-8").status_code == 200


def test_a_body_that_the_gateway_encoded_is_decoded(world):
    def event(body):
        return {
            "requestContext": {
                "httpMethod": "POST",
                "resourcePath": "/api/workspaces/{ws}/tasks/{task}/execute",
                "requestId": "from-the-gateway",
            },
            "headers": {"content-type": "application/json"},
            "pathParameters": {"ws": "shop", "task": "one"},
            "multiValueQueryStringParameters": None,
            "stageVariables": {},
            "body": body,
            "isBase64Encoded": True,
        }

    good = application.app(event(base64.b64encode(b'{"input": {}}').decode()), None)
    assert good["statusCode"] == 200
    assert good["headers"]["X-Request-Id"] == "from-the-gateway"
    assert good["isBase64Encoded"] is False
    bad = application.app(event("not base64!"), None)
    assert bad["statusCode"] == 400
