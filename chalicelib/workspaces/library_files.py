"""The libraries that workspaces are read with: their files in force, parsed."""

from __future__ import annotations

from chalicelib.domain.libraries import Library
from chalicelib.domain.origins import Holder, SourceRecord
from chalicelib.domain.reading import read_workspace
from chalicelib.engine.engine import Engine
from chalicelib.engine.payloads import load_blob
from chalicelib.workspaces.tarball import unpack


def libraries_of(engine: Engine) -> tuple[Library, ...]:
    """Return the libraries that have sound files, by name."""
    found = (_library(engine, record) for record in engine.sources.all(Holder.LIBRARY))
    return tuple(library for library in found if library is not None)


def _library(engine: Engine, record: SourceRecord) -> Library | None:
    if record.archive is None:
        return None
    tree = unpack(load_blob(engine.blobs, record.archive))
    definition = read_workspace(tree).definition
    return None if definition is None else Library(record.name, definition, tree)
