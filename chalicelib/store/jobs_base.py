"""How the job store reads and writes one item of its table; the kinds of writes build on it.

One rule: a refused write raises `RefusedError` here and nowhere further out; whoever wrote looks
at the item to learn what that means. Source: protocol, "Moves".
"""

from __future__ import annotations

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib.domain.job import StepRecord
from chalicelib.domain.values import StepRef
from chalicelib.store.dynamo import RefusedError, answering, bind
from chalicelib.store.jobs_items import JobItem
from chalicelib.store.jobs_values import place_of, step_of


class JobsBase:
    """One table, and its items one at a time; safe for any number of threads."""

    def __init__(self, name: str, region: str, host: str | None = None) -> None:
        self._name = name
        self._item = bind(JobItem, name, region, host)

    def _change(self, pk: str, sk: str, actions: list[Action], condition: Condition) -> JobItem:
        """Return the item as the write left it. Raises RefusedError."""
        item = self._item(pk, sk)
        with answering(self._name):
            item.update(actions, condition)
        return item

    def _move(self, ref: StepRef, actions: list[Action], condition: Condition) -> StepRecord:
        """Return the record that the write made. Raises RefusedError."""
        return step_of(self._change(*place_of(ref), actions, condition))

    def _put_if_absent(self, item: JobItem) -> bool:
        """Say whether the item was written; otherwise another one stands there."""
        is_absent = self._item.pk.does_not_exist()
        try:
            with answering(self._name):
                item.save(is_absent)
        except RefusedError:
            return False
        return True

    def _record(self, ref: StepRef) -> StepRecord | None:
        item = self._look(*place_of(ref))
        return None if item is None else step_of(item)

    def _look(self, pk: str, sk: str) -> JobItem | None:
        with answering(self._name):
            try:
                return self._item.get(pk, sk, consistent_read=True)
            except self._item.DoesNotExist:
                return None
