"""Reads of the indexes of the table `jobs`: what is due, lists for people, counts.

No decision rests on an index: it lags, so it only nominates and shows.
Source: protocol, "Sweep" and cost budget.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice

from pynamodb.expressions.condition import Condition

from chalicelib.domain import keys
from chalicelib.domain.job import Job
from chalicelib.domain.lifecycle import JobStatus
from chalicelib.domain.logs import stamp
from chalicelib.engine.ports import JobFilter, ListPosition
from chalicelib.store.jobs_items import JobItem
from chalicelib.store.jobs_values import job_of
from chalicelib.store.lists import TALLIED, matches

_FILTERED_PAGE = 500
_TALLY_PAGE = 1000


def due(item: type[JobItem], now: datetime, limit: int) -> list[str]:
    """Return ids of the jobs of all shards whose time has come, oldest first."""
    is_time = item.due_sk <= stamp(now)
    shards = [
        item.by_due.query(keys.due_shard(number), range_key_condition=is_time, limit=limit)
        for number in range(keys.DUE_SHARDS)
    ]
    oldest = sorted((row.due_sk, row.pk) for shard in shards for row in shard)
    return [keys.job_of(pk) for _, pk in oldest[:limit]]


def page(
    item: type[JobItem], wanted: JobFilter, after: ListPosition | None, limit: int
) -> list[Job]:
    """Return rows of all wanted workspaces, merged by time, newest first."""
    lists = [_newest(item, name, wanted, after, limit) for name in set(wanted.workspaces)]
    merged = heapq.merge(*lists, key=lambda row: row.list_sk, reverse=True)
    found = (job for job in map(job_of, merged) if matches(job, wanted))
    return list(islice(found, limit))


def tally(item: type[JobItem], wanted: JobFilter) -> Mapping[JobStatus, int]:
    """Count the newest rows of each wanted workspace by status."""
    counts: Counter[JobStatus] = Counter()
    for name in set(wanted.workspaces):
        rows = item.by_list.query(
            name, scan_index_forward=False, limit=TALLIED, page_size=_TALLY_PAGE
        )
        counts.update(job.status for job in map(job_of, rows) if matches(job, wanted))
    return counts


def _newest(
    item: type[JobItem], workspace: str, wanted: JobFilter, after: ListPosition | None, limit: int
) -> Iterator[JobItem]:
    """Yield the workspace's rows behind the position.

    Where each must be looked at, for a search or for who asks, of the newest 10,000 only.
    """
    behind = None
    if after is not None:
        behind = item.list_sk < keys.list_sk(stamp(after.created_at), after.job_id)
    condition = _filter(item, wanted)
    is_looked_at = bool(wanted.search) or wanted.sees is not None
    return item.by_list.query(
        workspace,
        range_key_condition=behind,
        filter_condition=condition,
        scan_index_forward=False,
        limit=TALLIED if is_looked_at else None,
        page_size=limit if condition is None and not is_looked_at else _FILTERED_PAGE,
    )


def _filter(item: type[JobItem], wanted: JobFilter) -> Condition | None:
    """Return what the table can filter by itself; the search is left to `matches`."""
    conditions = []
    if wanted.task is not None:
        conditions.append(item.task == wanted.task)
    if wanted.status is not None:
        conditions.append(item.status == wanted.status.value)
    if wanted.source_type is not None:
        conditions.append(item.source_type == wanted.source_type.value)
    whole = None
    for condition in conditions:
        whole = condition if whole is None else whole & condition
    return whole
