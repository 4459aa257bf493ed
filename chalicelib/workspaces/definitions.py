"""Parsed definitions of revisions, fetched once and kept in memory: a revision never changes."""

from __future__ import annotations

import json
from collections import OrderedDict

from chalicelib.domain.dump import load_definition
from chalicelib.domain.workflow import Definition
from chalicelib.engine.payloads import load_blob
from chalicelib.engine.ports import Blobs, Registry

_KEPT = 32


class StoredDefinitions:
    """The definitions that `publish` wrote; the 32 used last stay in memory."""

    def __init__(self, registry: Registry, blobs: Blobs) -> None:
        self._registry = registry
        self._blobs = blobs
        self._kept: OrderedDict[tuple[str, str], Definition] = OrderedDict()

    def load(self, workspace: str, revision: str) -> Definition:
        key = (workspace, revision)
        definition = self._kept.get(key)
        if definition is None:
            ref = self._registry.revision(workspace, revision).definition
            definition = load_definition(json.loads(load_blob(self._blobs, ref)))
            self._kept[key] = definition
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return definition
