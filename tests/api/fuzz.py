"""Requests that are wrong, made from the app's own routes: paths, queries, headers and bodies.

One rule: a seed gives the same requests in the same order, so that a failure can be asked again.
"""

from __future__ import annotations

import base64
import json
import random
import re
from dataclasses import dataclass

from tests.api.fuzz_bodies import FORMS, ODD, sample, spoiled
from tests.api.fuzz_odd import NAMES, ODD_HEADERS, ODD_PARTS, ODD_VALUES, TYPES

_PART = re.compile(r"{(\w+)}")


@dataclass(frozen=True)
class Route:
    """One route of the app, and what a good request to it holds."""

    method: str
    pattern: str
    operation: object
    good: dict

    @property
    def parts(self):
        return _PART.findall(self.pattern)


@dataclass(frozen=True)
class Asked:
    """One event as API Gateway hands it over, and in words how it was spoiled."""

    route: Route
    how: str
    event: dict

    def __str__(self):
        context = self.event["requestContext"]
        return f"{context['httpMethod']} {context['path'][:200]!r} ({self.how})"


def routes(app, good):
    """All routes; `good` are parts of addresses that name something."""
    for pattern, methods in sorted(app.routes.items()):
        for method, entry in sorted(methods.items()):
            yield Route(method, pattern, entry.view_function.operation, good)


class Spoiler:
    """Makes wrong requests out of good ones."""

    def __init__(self, seed):
        self.rng = random.Random(seed)  # noqa: S311 - the same seed asks the same
        self._right = {}

    def request(self, route, bearer):
        """One request with one to three faults."""
        parts = {name: route.good.get(name, "none") for name in route.parts}
        headers = {"content-type": route.operation.form or "application/json"}
        if bearer:
            headers["authorization"] = f"Bearer {bearer}"
        event = _event(route, parts, headers, self.right(route))
        ways = [self._path, self._query, self._headers, self._encoding]
        is_taking = event["body"] != "{}" or route.operation.form is not None
        ways = ways[0 if parts else 1 :] + [self._body] * (4 if is_taking else 1)
        chosen = self.rng.sample(ways, self.rng.choice((1, 1, 1, 2, 3)))
        told = [way(event, route) for way in dict.fromkeys(chosen)]
        return Asked(route, ", ".join(told), event)

    def right(self, route):
        model = route.operation.body
        if route.pattern not in self._right:
            self._right[route.pattern] = sample(model) if model else {}
        return self._right[route.pattern]

    def _path(self, event, route):
        name = self.rng.choice(route.parts)
        odd = self.rng.choice(ODD_PARTS)
        event["pathParameters"][name] = odd
        event["requestContext"]["path"] = route.pattern.format_map(event["pathParameters"])
        return f"{name} is {odd[:40]!r}"

    def _query(self, event, route):
        query = route.operation.query
        known = [*(query.model_json_schema(by_alias=True)["properties"] if query else ()), *NAMES]
        names = self.rng.sample(known, self.rng.choice((1, 1, 2, 3)))
        given = {name: [self.rng.choice(ODD_VALUES)] for name in names}
        if self.rng.random() < 0.1:
            given[names[0]] *= 50
        event["multiValueQueryStringParameters"] = given
        return f"query {', '.join(f'{k}={v[0][:40]!r}' for k, v in given.items())}"

    def _headers(self, event, route):
        odd = self.rng.choice(ODD_HEADERS)
        event["headers"].update(odd)
        return f"header {str(odd)[:70]}"

    def _encoding(self, event, route):
        how = self.rng.choice(("type", "no type", "broken", "not said", "none"))
        if how == "type":
            event["headers"]["content-type"] = self.rng.choice(TYPES)
        elif how == "no type":
            event["headers"].pop("content-type")
        elif how == "broken":
            broken = ("é", "a", "====", "!!!!", "AAA", "\x00", "e30=\n\n=")
            event.update(isBase64Encoded=True, body=self.rng.choice(broken))
        elif how == "not said":
            event["isBase64Encoded"] = False
        else:
            event.update(body=None, isBase64Encoded=self.rng.random() < 0.5)
        return f"encoding: {how} {event['headers'].get('content-type')!r}"

    def _body(self, event, route):
        told, raw = spoiled(self.rng, self.right(route))
        if route.operation.form and self.rng.random() < 0.8:
            number = self.rng.randrange(len(FORMS))
            told, raw = f"form {number}", FORMS[number]
        if self.rng.random() < 0.02:
            raw = str(self.rng.choice(ODD)).encode("utf-8", "replace")
        event.update(body=base64.b64encode(raw).decode(), isBase64Encoded=True)
        return f"body {told}"


def _event(route, parts, headers, body):
    return {
        "requestContext": {
            "httpMethod": route.method,
            "resourcePath": route.pattern,
            "path": route.pattern.format_map(parts),
            "identity": {"sourceIp": "192.0.2.7"},
            "requestId": "asked",
        },
        "headers": headers,
        "pathParameters": parts,
        "stageVariables": {},
        "multiValueQueryStringParameters": None,
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }
