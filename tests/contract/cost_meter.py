"""Counts what AWS would bill: DynamoDB units by its own rules of counting, requests of the rest.

A write costs a unit per KB of the larger of old and new item, and the same again for each index
entry that it changes; an entry that moves is deleted and written. A refused one costs what stands
there. A strong read costs a unit per 4 KB, an eventual one half; a query rounds its sum, a batch
each item. Source: Amazon DynamoDB, read and write operations.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager

from chalicelib.domain.cost_watching import ADDRESS_BYTES
from chalicelib.domain.prices import Meter
from tests.contract.places import template
from tests.fakes.pushes import FakePushes

_WRITES = ("PutItem", "UpdateItem", "DeleteItem")
_BATCH = 10
_TRANSACTED = 2


def size(item):
    """Return the item's size in bytes. Source: Amazon DynamoDB, item sizes and formats."""
    return sum(len(name.encode()) + _size(value) for name, value in item.items())


def _size(value):
    (kind, content), *_ = value.items()
    if kind == "N":
        return (len(content.strip("-.")) + 1) // 2 + 1
    if kind == "L":
        return 3 + sum(1 + _size(entry) for entry in content)
    if kind == "M":
        return 3 + size(content) + len(content)
    if kind in ("SS", "NS"):
        return sum(_size({kind[0]: entry}) for entry in content)
    if kind in ("BOOL", "NULL"):
        return 1
    return len(content) if isinstance(content, bytes) else len(str(content).encode())


def units(bytes_, of=1024):
    return -(-bytes_ // of)


def cost_of_change(old, new, indexes):
    """Return the write units of one accepted write; an item that is not there is empty."""
    base = max(1, units(max(size(old), size(new))))
    return base + sum(_index_cost(index, old, new) for index in indexes)


def indexes_of(resource):
    """Return the indexes of a table of the template."""
    return template()[resource]["Properties"].get("GlobalSecondaryIndexes", [])


def _index_cost(index, old, new):
    index_keys = [part["AttributeName"] for part in index["KeySchema"]]
    projected = {"pk", "sk", *index_keys, *index["Projection"].get("NonKeyAttributes", ())}

    def entry(item):
        if not all(key in item for key in index_keys):
            return {}
        return {name: value for name, value in item.items() if name in projected}

    before, after = entry(old), entry(new)
    if before == after:
        return 0
    if before and after and all(before[key] == after[key] for key in index_keys):
        return units(max(size(before), size(after)))
    return sum(units(size(part)) for part in (before, after) if part)


class TableMeter:
    """Watches the requests that a DynamoDB client makes; `look` is another one, to look at items.

    `resources` says which resource of the template each table was made from. What a worker asks
    of the table `registry` whether it works or not is left out; with `counts_registry` nothing is.
    `told` has for each change of an item the resource and what the table's stream says of it.
    """

    def __init__(self, client, look, resources, *, counts_registry=False):
        self._client = client
        self._look = look
        self.resources = resources
        self._counts_registry = counts_registry
        self._is_paused = False
        self.used = Counter()
        self.told = []

    @contextmanager
    def watching(self):
        events = self._client.meta.events
        events.register("before-parameter-build.dynamodb", self._before)
        events.register("after-call.dynamodb", self._after)
        try:
            yield self
        finally:
            events.unregister("before-parameter-build.dynamodb", self._before)
            events.unregister("after-call.dynamodb", self._after)

    @contextmanager
    def paused(self):
        """Let the test itself look without being billed."""
        before, self._is_paused = self._is_paused, True
        try:
            yield
        finally:
            self._is_paused = before

    def _before(self, params, model, context, **_):
        context["asked"] = params
        context["stood"] = [self._item(*one) for one in self._written(model.name, params)]

    def _after(self, http_response, parsed, model, context, **_):
        name, params = model.name, context["asked"]
        if self._is_paused:
            return
        written = self._written(name, params)
        if written:
            refused = http_response.status_code >= 300
            for (table, key), old in zip(written, context["stood"], strict=True):
                if self._is_left_out(table):
                    # A session's heartbeat is the worker's, whatever it runs.
                    continue
                new = old if refused else self._item(table, key)
                indexes = indexes_of(self.resources[table])
                times = _TRANSACTED if name == "TransactWriteItems" else 1
                self.used[Meter.WRITES] += times * cost_of_change(old, new, indexes)
                if old != new:
                    self.told.append((self.resources[table], _record(key, old, new)))
        elif name != "Query" or not self._is_left_out(params["TableName"]):
            # Which pools there are, a worker asks whatever it runs.
            self.used[Meter.READS] += _read_units(name, params, parsed)

    def _is_left_out(self, table):
        return self.resources[table] == "RegistryTable" and not self._counts_registry

    def _written(self, name, params):
        if name in _WRITES:
            return [(params["TableName"], params.get("Key") or _key(params["Item"]))]
        if name == "BatchWriteItem":
            return [
                (table, _key((wish.get("PutRequest") or {}).get("Item") or {}))
                for table, wishes in params["RequestItems"].items()
                for wish in wishes
            ]
        if name == "TransactWriteItems":
            acts = [act for wish in params["TransactItems"] for act in wish.values()]
            return [(act["TableName"], act.get("Key") or _key(act["Item"])) for act in acts]
        return []

    def _item(self, table, key):
        return self._look.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item", {})


def _record(key, old, new):
    """Return what a stream says of a change, with both images."""
    name = "MODIFY" if old and new else "INSERT" if new else "REMOVE"
    images = {"OldImage": old, "NewImage": new}
    told = {"Keys": key, **{image: item for image, item in images.items() if item}}
    return {"eventID": "1", "eventName": name, "dynamodb": told}


def _key(item):
    return {name: item[name] for name in ("pk", "sk")}


def _read_units(name, params, parsed):
    if name == "BatchGetItem":
        sizes = [size(item) for found in parsed["Responses"].values() for item in found]
        asked = sum(len(wish["Keys"]) for wish in params["RequestItems"].values())
        return sum(max(1, units(one, 4096)) for one in sizes) + asked - len(sizes)
    if name == "GetItem":
        found = size(parsed.get("Item", {}))
    elif name in ("Query", "Scan"):
        found = sum(size(item) for item in parsed["Items"])
    else:
        raise AssertionError(f"a request that the meter does not know: {name}")
    whole = max(1, units(found, 4096))
    return whole if params.get("ConsistentRead") else whole / 2


class CountedQueue:
    """A queue port whose calls are counted as SQS requests."""

    def __init__(self, queue):
        self._queue = queue
        self.used = Counter()

    def send(self, pool, messages, group=None):
        self.used[Meter.QUEUE] += units(len(messages), _BATCH)
        self._queue.send(pool, messages)

    def receive(self, pool, wait_s, limit):
        found = self._queue.receive(pool, wait_s, limit)
        # An empty one is no job's: a worker asks whether there is work or not.
        self.used[Meter.QUEUE] += bool(found)
        return found

    def delete(self, received):
        self.used[Meter.QUEUE] += 1
        self._queue.delete(received)


class CountedBlobs:
    """A port of the object store whose calls are counted as S3 requests; signing is none."""

    def __init__(self, blobs):
        self._blobs = blobs
        self.used = Counter()

    def put(self, key, content):
        self.used[Meter.PUTS] += 1
        self._blobs.put(key, content)

    def put_stream(self, key, parts):
        self.used[Meter.PUTS] += 1
        return self._blobs.put_stream(key, parts)

    def get(self, key):
        self.used[Meter.GETS] += 1
        return self._blobs.get(key)

    def exists(self, key):
        self.used[Meter.GETS] += 1
        return self._blobs.exists(key)

    def delete(self, key):
        self._blobs.delete(key)

    def download_url(self, key, expires_s):
        # As long as one that S3 takes, signed with a role's session.
        return self._blobs.download_url(key, expires_s).ljust(ADDRESS_BYTES, "x")


class CountedPushes(FakePushes):
    """Connections whose other ends count what they are sent."""

    def __init__(self):
        super().__init__()
        self.used = Counter()

    def post(self, connection_id, text):
        super().post(connection_id, text)
        self.used[Meter.MESSAGES] += 1
