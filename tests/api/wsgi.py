"""The app as a WSGI application: what the local gateway does, in process."""

from __future__ import annotations

import base64
from http import HTTPStatus

from chalice.config import Config
from chalice.local import LocalGateway, LocalGatewayException

from chalicelib.api.problems import no_such_route


class Wsgi:
    """Answers like API Gateway, with the app behind it."""

    def __init__(self, app):
        self.gateway = LocalGateway(app, Config.create(chalice_app=app, lambda_timeout=29))

    def __call__(self, environ, start_response):
        status, headers, body = self._answer(environ)
        phrase = HTTPStatus(status).phrase
        start_response(f"{status} {phrase}", [(name, one) for name, one in _flat(headers)])
        return [body]

    def _answer(self, environ):
        path = environ.get("REQUEST_URI") or environ["RAW_URI"]
        try:
            given = self.gateway.handle_request(
                method=environ["REQUEST_METHOD"],
                path=path.removeprefix("http://localhost"),
                headers=_headers(environ),
                body=environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)),
            )
        except LocalGatewayException as error:
            if error.CODE != HTTPStatus.FORBIDDEN:
                return error.CODE, dict(error.headers), error.body or b""
            unknown = no_such_route("unknown")
            return unknown.status_code, unknown.headers, unknown.body.encode()
        content = given["body"] or ""
        is_coded = given.get("isBase64Encoded")
        body = base64.b64decode(content) if is_coded else content.encode()
        return given["statusCode"], {**given["headers"], **given["multiValueHeaders"]}, body


def _headers(environ):
    named = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            named[name.replace("_", "-").lower()] = environ[name]
    return named


def _flat(headers):
    for name, value in headers.items():
        for one in value if isinstance(value, list) else [value]:
            yield name, one
