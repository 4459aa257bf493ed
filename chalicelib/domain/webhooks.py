"""What a webhook brings, and what of it a job's input holds.

One rule: nothing by which a sender proves itself stands in an input. Source: HTTP API, 4.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chalicelib.domain.signatures import HEADERS
from chalicelib.domain.values import JsonObject, JsonValue
from chalicelib.domain.workflow import Trigger

SECRET_PARAMETER = "secret"  # noqa: S105 - a name
_BEARER = "bearer "
_PROOFS = frozenset(
    {"authorization", "proxy-authorization", "cookie", "x-api-key", *HEADERS.values()}
)
# What fewer letters have is in too many values by chance.
_SHORTEST = 4


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class HookCall:
    """One call of a webhook. Names of headers are in lower case; `body` is what came.

    `content` is the body as its type says, None if there is none.
    """

    method: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes = b""
    content: JsonValue = None

    @property
    def secret(self) -> str | None:
        """Return the secret that the call shows, in its header or else in its query."""
        given = self.headers.get("authorization", "")
        if given.lower().startswith(_BEARER):
            return given[len(_BEARER) :].strip()
        return self.query.get(SECRET_PARAMETER)


def job_input(trigger: Trigger, call: HookCall, secrets: Sequence[str]) -> JsonObject:
    """Return the input of the job that the call starts; the trigger's own says what is missing.

    Headers and parameters that hold one of the `secrets` are left out.
    """
    proofs = _PROOFS | ({trigger.hmac.signature_header} if trigger.hmac else set())
    hidden = [secret for secret in secrets if len(secret) >= _SHORTEST]
    headers: JsonObject = {
        name: value
        for name, value in call.headers.items()
        if name not in proofs and not any(secret in value for secret in hidden)
    }
    query: JsonObject = {
        name: value
        for name, value in call.query.items()
        if name != SECRET_PARAMETER and not any(secret in value for secret in hidden)
    }
    own: JsonObject = {
        "body": call.content,
        "headers": headers,
        "method": call.method,
        "query": query,
    }
    return {**trigger.input, **own}
