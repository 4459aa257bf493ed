"""What the streams of the tables `jobs`, `logs` and `connections` say, as the engine's changes.

One rule: a record that cannot be read is left out, with a line in the log of its number alone: it
must not hold up those behind it.
Source: DynamoDB, "Streams record"; Lambda gives bytes in base64.
"""

from __future__ import annotations

import logging
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from chalicelib.domain import keys
from chalicelib.domain.live import Mode
from chalicelib.engine.live.changes import Change, ConnectionOpened, JobChanged, LinesAdded
from chalicelib.store.jobs_items import JobItem
from chalicelib.store.jobs_values import job_of
from chalicelib.store.logs_table import ChunkItem, chunk_of

_log = logging.getLogger("stroem.changes")
_JOB = keys.job_pk("")
_LOG = keys.log_pk("")

# As DynamoDB writes it: names of attributes, and their values by their types.
_Image = Mapping[str, Mapping[str, Any]]


def read_changes(event: Mapping[str, Any]) -> list[Change]:
    """Return what the records of an event of Lambda tell, in their order.

    Items of other kinds, and those that were removed, tell nothing.
    """
    records = event.get("Records")
    if not isinstance(records, list):
        _log.warning("no records in an event")
        return []
    return [change for record in records if (change := _read(record)) is not None]


def _read(record: Any) -> Change | None:  # noqa: ANN401 - JSON
    try:
        if record["eventName"] == "REMOVE":
            return None
        return _change(record["dynamodb"], is_new=record["eventName"] == "INSERT")
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others count
        number = record.get("eventID") if isinstance(record, Mapping) else None
        _log.warning(
            "a record that cannot be read",
            extra={"record": str(number), "error": type(error).__name__},
        )
        return None


def _change(told: Mapping[str, Any], *, is_new: bool) -> Change | None:
    pk, sk = told["Keys"]["pk"]["S"], told["Keys"]["sk"]["S"]
    if pk.startswith(_JOB) and sk == keys.META:
        old = told.get("OldImage")
        return JobChanged(job_of(_job(old)) if old else None, job_of(_job(told["NewImage"])))
    if pk.startswith(_LOG):
        return _lines(told["NewImage"], pk.removeprefix(_LOG)) if is_new else None
    if sk == keys.CONNECTION_SK and told["NewImage"]["mode"]["S"] == Mode.LINES.value:
        return ConnectionOpened(keys.connection_of(pk))
    return None


def _job(image: _Image) -> JobItem:
    return JobItem.from_raw_data({**image})


def _lines(image: _Image, job_id: str) -> LinesAdded | None:
    item = ChunkItem.from_raw_data({name: _plain(value) for name, value in image.items()})
    return LinesAdded(chunk_of(item, job_id)) if item.live else None


def _plain(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a value with its bytes as such."""
    packed = value.get("B")
    return {"B": b64decode(packed, validate=True)} if isinstance(packed, str) else value
