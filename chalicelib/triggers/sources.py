"""What Lambda brings of queues and buckets: read, then one use case for each record.

One rule: a message whose jobs were not all made is named as failed, so that its queue keeps it.
"""

from __future__ import annotations

import json
import logging
from typing import Any
from urllib.parse import unquote_plus

from chalicelib.domain.errors import NotFoundError, StroemError
from chalicelib.domain.values import JsonObject
from chalicelib.domain.workflow import TriggerType
from chalicelib.engine.engine import Engine
from chalicelib.engine.native_sources import Told, start_told

_log = logging.getLogger("stroem.sources")


def on_source(engine: Engine, event: dict[str, Any]) -> dict[str, Any]:
    """Start the jobs of an event of SQS or S3; return which messages failed, as SQS asks for.

    Raises:
        StroemError: the jobs of an object were not all made; S3 tells it again.
    """
    failed = []
    for record in event.get("Records", ()):
        if record.get("eventSource") == "aws:sqs":
            if not _is_started(engine, _message(record)):
                failed.append({"itemIdentifier": record["messageId"]})
        elif record.get("eventSource") == "aws:s3":
            _tell(engine, _object(record))
    return {"batchItemFailures": failed}


def _is_started(engine: Engine, told: Told) -> bool:
    try:
        start_told(engine, told)
    except StroemError as error:
        extra = {"queue": told.place, "message_id": told.unique, "error": error.message}
        _log.warning("a message started nothing", extra=extra)
        return False
    return True


def _tell(engine: Engine, told: Told) -> None:
    try:
        start_told(engine, told)
    except NotFoundError:
        # A bucket tells of more than what triggers ask for.
        _log.info("an object concerns no trigger", extra={"bucket": told.place})


def _message(record: dict[str, Any]) -> Told:
    body = str(record.get("body") or "")
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    given: JsonObject = said if isinstance(said, dict) else {"body": body}
    return Told(
        type=TriggerType.SQS,
        place=str(record["eventSourceARN"]),
        unique=str(record["messageId"]),
        input=given,
    )


def _object(record: dict[str, Any]) -> Told:
    s3 = record["s3"]
    about, event = s3["object"], str(record["eventName"]).removeprefix("s3:")
    key = unquote_plus(str(about["key"]))
    version = str(about.get("versionId") or "")
    # Without versions, the sequencer tells two writes of one key apart.
    unique = [key, event, version, str(about.get("sequencer") or record.get("eventTime") or "")]
    given: JsonObject = {
        "bucket": str(s3["bucket"]["name"]),
        "key": key,
        "event": event,
        "version": version or None,
        "etag": about.get("eTag"),
        "size": about.get("size"),
    }
    return Told(
        type=TriggerType.S3,
        place=str(s3["bucket"]["name"]),
        unique=json.dumps(unique),
        input=given,
        key=key,
        event=event,
    )
