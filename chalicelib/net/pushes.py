"""The port `Pushes` on API Gateway: one message to one open WebSocket connection.

One rule: it gives up soon, and says why: a viewer who takes nothing must not hold up the others.
Source: API Gateway, "@connections commands"; live logs, section 2.4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.domain.errors import (
    NotFoundError,
    RateLimitedError,
    StroemError,
    TooLargeError,
    UnavailableError,
)

_CONNECT_S = 2
_READ_S = 3
_ATTEMPTS = 2
_POOLED = 32
_AT_ONCE = 16
_GONE = "GoneException"
# It has no such code in its own list, but API Gateway says it of a whole account.
_SLOWER = frozenset({"LimitExceededException", "TooManyRequestsException", "ThrottlingException"})
_TOO_LARGE = frozenset({"PayloadTooLargeException", "RequestEntityTooLargeException"})
_DENIED = frozenset({"ForbiddenException", "AccessDeniedException"})
_BY_STATUS = {410: _GONE, 413: "PayloadTooLargeException", 429: "LimitExceededException"}


class ManagementClient(Protocol):
    """What we use of boto3's client, which is untyped; keyword names are API Gateway's own."""

    def post_to_connection(self, **given: Any) -> Any: ...  # noqa: ANN401 - as boto3 gives it

    def delete_connection(self, **given: Any) -> Any: ...  # noqa: ANN401 - as boto3 gives it


class GatewayPushes:
    """Connections of one stage of one WebSocket API; safe for any number of threads."""

    def __init__(self, client: ManagementClient) -> None:
        self._client = client

    def post(self, connection_id: str, text: str) -> None:
        data = text.encode()
        try:
            self._client.post_to_connection(ConnectionId=connection_id, Data=data)
        except ClientError as error:
            raise _meaning(error, connection_id, len(data)) from None
        except BotoCoreError as error:
            raise _silent(error) from None

    def post_each(self, texts: Mapping[str, Sequence[str]]) -> Mapping[str, StroemError]:
        if len(texts) == 1:
            found = [self._refusal(*one) for one in texts.items()]
        else:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                found = list(pool.map(self._refusal, texts, texts.values()))
        return {one: why for one, why in zip(texts, found, strict=True) if why is not None}

    def close(self, connection_id: str) -> None:
        try:
            self._client.delete_connection(ConnectionId=connection_id)
        except ClientError as error:
            meaning = _meaning(error, connection_id, 0)
            if not isinstance(meaning, NotFoundError):
                raise meaning from None
        except BotoCoreError as error:
            raise _silent(error) from None

    def _refusal(self, connection_id: str, texts: Sequence[str]) -> StroemError | None:
        try:
            for text in texts:
                self.post(connection_id, text)
        except StroemError as error:
            return error
        return None


class LatePushes:
    """Makes its client when the first message is sent. `endpoint_url` is that of the stage."""

    def __init__(self, endpoint_url: str, region: str) -> None:
        self._place = (endpoint_url, region)
        self._lock = Lock()
        self._made: GatewayPushes | None = None

    def post(self, connection_id: str, text: str) -> None:
        self._pushes().post(connection_id, text)

    def post_each(self, texts: Mapping[str, Sequence[str]]) -> Mapping[str, StroemError]:
        return self._pushes().post_each(texts)

    def close(self, connection_id: str) -> None:
        self._pushes().close(connection_id)

    def _pushes(self) -> GatewayPushes:
        # Several threads may come at once, and boto3 makes clients for one at a time.
        with self._lock:
            if self._made is None:
                self._made = GatewayPushes(client_at(*self._place))
            return self._made


def endpoint_of(api: str, stage: str, region: str, endpoint_url: str | None) -> str:
    """Return where connections of a stage are posted to.

    `endpoint_url` is that of all services where it is not AWS.
    """
    if endpoint_url is not None:
        return f"{endpoint_url.rstrip('/')}/_aws/execute-api/{api}/{stage}"
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://{api}.execute-api.{region}.{suffix}/{stage}"


def client_at(endpoint_url: str, region: str) -> ManagementClient:
    """Return boto3's client of a stage."""
    import boto3  # noqa: PLC0415 - it is dear, and most processes push nothing
    from botocore.config import Config  # noqa: PLC0415 - as above

    config = Config(
        connect_timeout=_CONNECT_S,
        read_timeout=_READ_S,
        max_pool_connections=_POOLED,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
    )
    client: ManagementClient = boto3.client(
        "apigatewaymanagementapi", region_name=region, endpoint_url=endpoint_url, config=config
    )
    return client


def _meaning(error: ClientError, connection_id: str, size: int) -> StroemError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    # A proxy in between, and other gateways than AWS's, may answer without a code.
    code = _BY_STATUS.get(status, code)
    if code == _GONE:
        return NotFoundError(f"connection {connection_id} is gone")
    if code in _SLOWER:
        return RateLimitedError(f"connection {connection_id} takes no more just now", 1)
    if code in _TOO_LARGE:
        return TooLargeError(
            f"a message of {size} bytes is larger than API Gateway takes: split it"
        )
    if code in _DENIED:
        return UnavailableError(
            f"API Gateway lets nobody post from here ({code}): the role of this function needs "
            "`execute-api:ManageConnections` on the WebSocket API that STROEM_WEBSOCKET_API names"
        )
    return UnavailableError(f"API Gateway did not take a message ({code or status})")


def _silent(error: BotoCoreError) -> UnavailableError:
    return UnavailableError(f"API Gateway did not answer ({type(error).__name__})")
