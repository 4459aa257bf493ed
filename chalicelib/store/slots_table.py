"""Slots on DynamoDB, in the table `jobs`: who has a place under a limit, and who waits for one.

All holders of a key are one set in one item, so one conditional write counts and takes: there are
never more than the limit. Source: protocol, "Moves".
"""

from __future__ import annotations

from datetime import datetime

from pynamodb.attributes import UnicodeSetAttribute
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib.domain import keys
from chalicelib.domain.job import Slot
from chalicelib.domain.logs import stamp
from chalicelib.engine.ports import Line, Waiter
from chalicelib.store.dynamo import Item, RefusedError, answering, bind, fewer_than
from chalicelib.store.lists import RANKS

_OF_RANK = {rank: priority for priority, rank in RANKS.items()}


class SlotItem(Item):
    """The holders of a key, or one job that waits: then its sort key says everything."""

    holders = UnicodeSetAttribute(null=True)


class SlotsTable:
    """Places by key; safe for any number of threads."""

    def __init__(self, name: str, region: str, host: str | None = None) -> None:
        self._name = name
        self._item = bind(SlotItem, name, region, host)

    def wait(self, key: str, waiter: Waiter) -> None:
        with answering(self._name):
            self._item(keys.slot_pk(key), _sk(waiter)).save()

    def take(self, slot: Slot, job_id: str) -> bool:
        holders = self._item.holders
        # One that holds a place already has it: so does a caller whose first reply was lost.
        may_take: Condition = holders.contains(job_id) | fewer_than(slot.limit, holders)
        if slot.limit > 0:
            may_take = may_take | holders.does_not_exist()
        return self._change(slot.key, holders.add({job_id}), may_take)

    def leave_line(self, key: str, waiter: Waiter) -> None:
        with answering(self._name):
            self._item(keys.slot_pk(key), _sk(waiter)).delete()

    def give_back(self, key: str, job_id: str) -> None:
        holders = self._item.holders
        self._change(key, holders.delete({job_id}), holders.contains(job_id))

    def line(self, key: str, limit: int) -> Line:
        with answering(self._name):
            # `HOLDERS` sorts before all who wait, so it takes none of their room.
            items = list(
                self._item.query(keys.slot_pk(key), consistent_read=True, limit=limit + 1)
            )
        held = [item for item in items if item.sk == keys.HOLDERS]
        waiters = [_waiter(item.sk) for item in items if item.sk != keys.HOLDERS]
        holders = held[0].holders if held else None
        return Line(frozenset(holders or ()), tuple(waiters[:limit]))

    def _change(self, key: str, action: Action, condition: Condition) -> bool:
        try:
            with answering(self._name):
                self._item(keys.slot_pk(key), keys.HOLDERS).update([action], condition)
        except RefusedError:
            return False
        return True


def _sk(waiter: Waiter) -> str:
    return keys.wait_sk(RANKS[waiter.priority], stamp(waiter.since), waiter.job_id)


def _waiter(sk: str) -> Waiter:
    rank, since, job_id = keys.wait_of(sk)
    return Waiter(job_id=job_id, priority=_OF_RANK[rank], since=datetime.fromisoformat(since))
