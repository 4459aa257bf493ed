"""Watches the folders of workspaces on this machine, and publishes what is written in them.

The one rule: a folder is read when it has stood still between two looks, so that what an editor
has half written is not read; what was published otherwise meanwhile stays until the next change.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from chalicelib.domain.errors import StroemError
from chalicelib.domain.origins import Holder, Origin, SourceKind, SourceRecord
from chalicelib.engine.engine import Engine
from chalicelib.workspaces.folder import read_folder
from chalicelib.workspaces.limits import MAX_FILES, REPOSITORY_DIRECTORY
from chalicelib.workspaces.publish import publish
from chalicelib.workspaces.sources import look

LOOK_EVERY_S = 1.0
_Key = tuple[Holder, str]


class Watcher:
    """Looks at every folder that a workspace or a library is read from."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._read: dict[_Key, str] = {}
        self._seen: dict[_Key, str] = {}

    def look(self) -> list[str]:
        """Look at all folders once; return the names of what was read again.

        Raises:
            StroemError: what there is to watch cannot be asked.
        """
        done = []
        for key, (folder, record) in self._folders().items():
            now = fingerprint(folder)
            if now == self._read.get(key):
                continue
            if now != self._seen.get(key):
                self._seen[key] = now
                continue
            self._read[key] = now
            try:
                self._publish(key[1], folder, record)
            except StroemError:
                # Somebody else published; or the folder cannot be kept, which its source says.
                continue
            done.append(key[1])
        return done

    def _folders(self) -> dict[_Key, tuple[Path, SourceRecord | None]]:
        """Return what comes from folders: by its source, or as `publish` was told."""
        found: dict[_Key, tuple[Path, SourceRecord | None]] = {}
        sources = {(one.holder, one.name): one for one in self._engine.sources.all()}
        for key, one in sources.items():
            if one.source.kind is SourceKind.FOLDER and one.source.path:
                found[key] = (Path(one.source.path), one)
        for record in self._engine.registry.workspaces():
            key = (Holder.WORKSPACE, record.name)
            if record.source is not None and key not in sources:
                found[key] = (Path(record.source), None)
        return {key: one for key, one in found.items() if one[0].is_dir()}

    def _publish(self, name: str, folder: Path, record: SourceRecord | None) -> None:
        if record is not None:
            look(self._engine, record)
            return
        origin = Origin(kind=SourceKind.FOLDER.value)
        publish(self._engine, name, read_folder(folder), str(folder), origin)


def fingerprint(folder: Path) -> str:
    """Return what changes when a file of the folder is written, made, moved or removed."""
    whole = sha256()
    for count, line in enumerate(_lines(folder, 0)):
        whole.update(line)
        if count > MAX_FILES:
            break
    return whole.hexdigest()


def _lines(folder: Path, depth: int) -> Iterator[bytes]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        # It went away while we looked.
        return
    for entry in entries:
        if entry.name == REPOSITORY_DIRECTORY or depth > _MAX_DEPTH:
            continue
        try:
            found = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        if stat.S_ISDIR(found.st_mode):
            yield os.fsencode(entry.path) + b"/"
            yield from _lines(Path(entry.path), depth + 1)
        elif stat.S_ISREG(found.st_mode):
            facts = f"\0{found.st_mtime_ns} {found.st_size} {found.st_ino} {found.st_mode}\n"
            yield os.fsencode(entry.path) + facts.encode()


_MAX_DEPTH = 50
