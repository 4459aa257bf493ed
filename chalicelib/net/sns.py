"""SNS: one message to one topic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.domain.errors import PermissionDeniedError, UnavailableError

_FINAL = frozenset(
    {"AuthorizationError", "AuthorizationErrorException", "NotFound", "NotFoundException"}
)


class SnsClient(Protocol):
    """What we use of boto3's client, which is untyped; keyword names are SNS's own."""

    def publish(self, **given: Any) -> Any: ...  # noqa: ANN401 - as boto3 gives it


class SnsTopics:
    """Topics of the account, or of one that lets this one in."""

    def __init__(self, client: SnsClient) -> None:
        self._client = client

    def publish(self, topic: str, message: str, attributes: Mapping[str, str]) -> None:
        named = {
            name: {"DataType": "String", "StringValue": value}
            for name, value in attributes.items()
        }
        try:
            self._client.publish(TopicArn=topic, Message=message, MessageAttributes=named)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", "unknown"))
            if code in _FINAL:
                raise PermissionDeniedError(
                    f"{topic} takes nothing from here ({code}): is it there, and does it let the "
                    "role of the tick publish?"
                ) from None
            raise UnavailableError(f"SNS did not take it ({code})") from None
        except BotoCoreError as error:
            raise UnavailableError(f"SNS did not answer ({type(error).__name__})") from None
