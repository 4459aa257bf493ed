"""Ready steps on SQS, one standard queue per pool: at least once, in no order.

The queue of a pool beyond those of the installation is made when it is first used.
A message that cannot be read is taken off its queue and reported, or it would come back for ever.
Source: decision 11; protocol, "Dispatch".
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.domain.errors import UnavailableError
from chalicelib.domain.values import JsonObject, StepRef
from chalicelib.engine.ports import Message, Received

_LOG = logging.getLogger(__name__)
_BATCH = 10
_TRIES = 4
_LONGEST_WAIT_S = 20
_STALE = ("ReceiptHandleIsInvalid", "InvalidParameterValue")
# What infra/resources.yaml says of the queues that are there from the beginning; a test compares.
ATTRIBUTES = {
    "VisibilityTimeout": "30",
    "MessageRetentionPeriod": "1209600",
    "ReceiveMessageWaitTimeSeconds": "20",
    "SqsManagedSseEnabled": "true",
}
_ABSENT = ("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue")


class SqsClient(Protocol):
    """What we use of boto3's client, which is untyped; keyword names are SQS's own."""

    def create_queue(self, **given: Any) -> Any: ...  # noqa: ANN401 - as boto3 gives it
    def get_queue_url(self, **given: Any) -> Any: ...  # noqa: ANN401
    def send_message_batch(self, **given: Any) -> Any: ...  # noqa: ANN401
    def receive_message(self, **given: Any) -> Any: ...  # noqa: ANN401
    def delete_message(self, **given: Any) -> Any: ...  # noqa: ANN401


class SqsQueue:
    """The queues `<prefix>-<pool>`; safe for any number of threads.

    `report` is told of each message that was dropped because it could not be read.
    """

    def __init__(
        self,
        prefix: str,
        client: SqsClient,
        report: Callable[[str], None] = _LOG.error,
    ) -> None:
        self._prefix = prefix
        self._client = client
        self._report = report
        self._urls: dict[str, str] = {}

    def send(
        self, pool: str, messages: Sequence[tuple[Message, int]], group: str | None = None
    ) -> None:
        for start in range(0, len(messages), _BATCH):
            batch = messages[start : start + _BATCH]
            entries = [_entry(number, *item, group) for number, item in enumerate(batch)]
            self._send_all(pool, entries)

    def receive(self, pool: str, wait_s: float, limit: int) -> list[Received]:
        with self._answering(pool):
            answer = self._client.receive_message(
                QueueUrl=self._url(pool, is_made=True),
                MaxNumberOfMessages=min(max(limit, 1), _BATCH),
                WaitTimeSeconds=min(max(math.ceil(wait_s), 0), _LONGEST_WAIT_S),
            )
        found = (self._received(pool, raw) for raw in answer.get("Messages", ()))
        return [received for received in found if received is not None]

    def delete(self, received: Received) -> None:
        self._delete(received.pool, received.receipt)

    def _send_all(self, pool: str, entries: list[dict[str, Any]]) -> None:
        """Send up to ten entries; those that SQS refuses are sent again, the others are not.

        Raises:
            UnavailableError: some were refused at every try.
        """
        refused: list[dict[str, Any]] = []
        for _ in range(_TRIES):
            with self._answering(pool):
                url = self._url(pool, is_made=True)
                answer = self._client.send_message_batch(QueueUrl=url, Entries=entries)
            refused = answer.get("Failed", [])
            if not refused:
                return
            ids = {failure["Id"] for failure in refused}
            entries = [entry for entry in entries if entry["Id"] in ids]
        why = refused[0].get("Message") or refused[0].get("Code")
        raise UnavailableError(
            f"the queue {self._queue(pool)} refused {len(refused)} messages at {_TRIES} tries "
            f"({why}); the sweep sends them again"
        )

    def _received(self, pool: str, raw: dict[str, Any]) -> Received | None:
        receipt = raw["ReceiptHandle"]
        message = _message(raw["Body"])
        if message is None:
            self._delete(pool, receipt)
            self._report(
                f"a message of the queue {self._queue(pool)} was dropped, because it names no "
                f"job_id, step and attempt: {raw['Body'][:200]!r}; find out who else sends there"
            )
            return None
        return Received(message, pool, receipt)

    def _delete(self, pool: str, receipt: str) -> None:
        with self._answering(pool):
            try:
                self._client.delete_message(QueueUrl=self._url(pool), ReceiptHandle=receipt)
            except ClientError as error:
                if _code(error) not in _STALE:
                    raise

    def _url(self, pool: str, *, is_made: bool = False) -> str:
        """Return the address of the pool's queue; with `is_made`, make one that is not there."""
        url = self._urls.get(pool)
        if url is None:
            url = self._urls[pool] = self._find(pool, is_made=is_made)
        return url

    def _find(self, pool: str, *, is_made: bool) -> str:
        name = self._queue(pool)
        try:
            return str(self._client.get_queue_url(QueueName=name)["QueueUrl"])
        except ClientError as error:
            if not is_made or _code(error) not in _ABSENT:
                raise
        # Two callers may both come here: with the same attributes, the second finds the first's.
        return str(self._client.create_queue(QueueName=name, Attributes=ATTRIBUTES)["QueueUrl"])

    def _queue(self, pool: str) -> str:
        return f"{self._prefix}-{pool}"

    @contextmanager
    def _answering(self, pool: str) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            code = _code(error) or type(error).__name__
            advice = "try again in a moment; if it stays so, look at the role's rights and at AWS"
            if code in _ABSENT:
                advice = "it is made when it is first used; look whether somebody removed it"
            raise UnavailableError(
                f"the queue {self._queue(pool)} did not answer as it should "
                f"({code}: {error}): {advice}"
            ) from error


def _entry(number: int, message: Message, delay_s: int, group: str | None) -> dict[str, Any]:
    body: JsonObject = {
        "job_id": message.ref.job_id,
        "step": message.ref.step,
        "attempt": message.attempt,
    }
    entry = {
        "Id": str(number),
        "MessageBody": json.dumps(body, ensure_ascii=False, separators=(",", ":")),
        "DelaySeconds": delay_s,
    }
    # On a standard queue this orders nothing: it makes the queue a fair one.
    return entry if group is None else entry | {"MessageGroupId": group}


def _message(body: str) -> Message | None:
    """Return what the body says; None when it is not of our form."""
    try:
        said = json.loads(body)
        job_id, step, attempt = said["job_id"], said["step"], said["attempt"]
    except (ValueError, KeyError, TypeError):
        return None
    if isinstance(job_id, str) and isinstance(step, str) and type(attempt) is int:
        return Message(StepRef(job_id, step), attempt)
    return None


def _code(error: Exception) -> str:
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))
