"""Reads one YAML text into JSON values and a position for each.

Bounded: no text makes it slow or large.

Built on the events of libyaml, so that depth, aliases and tags are judged before anything is
built.
Source: security, S11; YAML 1.2 core schema.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from chalicelib.domain.parse.yaml_scalars import resolve_plain
from chalicelib.domain.sources import Path, Place, dotted
from chalicelib.domain.values import JsonObject, JsonValue
from chalicelib.domain.workflow import Finding, Severity

MAX_YAML_BYTES = 1_000_000
MAX_DEPTH = 50
MAX_ALIASES = 50
MAX_EXPANDED_NODES = 10_000


@dataclass(slots=True)
class YamlDocument:
    """One file's value.

    `keys` holds where each mapping key stands, `values` where each value starts.
    """

    file: str
    value: JsonValue = None
    keys: dict[Path, Place] = field(default_factory=dict)
    values: dict[Path, Place] = field(default_factory=dict)

    def place(self, path: Path, *, of_key: bool = False) -> Place:
        """Return where the value stands (a mapping or list:

        its key); unknown paths give the nearest above.
        """
        while path:
            found = self.keys.get(path) if of_key else self.values.get(path)
            found = found or self.keys.get(path)
            if found is not None:
                return found
            path = path[:-1]
        return self.values.get((), Place(self.file, 1, 1))


_At = tuple[int, int]
_TOP: _At = (1, 1)


def _at(event: yaml.Event) -> _At:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else _TOP


class _RefusedError(Exception):
    """Reading cannot go on: the finding says why."""

    def __init__(self, at: _At, reason: str, fix: str | None = None) -> None:
        super().__init__(reason)
        self.at, self.reason, self.fix = at, reason, fix


def read_yaml(file: str, content: bytes | str) -> tuple[YamlDocument | None, list[Finding]]:
    """Return the document and what is wrong with it; None if it cannot be read on after a fault.

    A document may come with errors: duplicate keys, for one, are found all at once.
    """
    builder = _Builder(file)
    try:
        builder.run(_text_of(content))
    except _RefusedError as error:
        builder.complain(error.at, (), error.reason, error.fix)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = _within(content, mark.line + 1, mark.column + 1) if mark else _TOP
        parts = [part for part in (error.context, error.problem) if part]
        builder.complain(at, (), f"not valid YAML: {', '.join(parts)}")
    except yaml.YAMLError as error:
        builder.complain(_TOP, (), f"not valid YAML: {' '.join(str(error).split())}")
    else:
        return builder.document, builder.findings
    return None, builder.findings


def _within(content: bytes | str, line: int, column: int) -> _At:
    """Return the position, or the end of the text for one that libyaml puts behind it."""
    lines = content.splitlines() if isinstance(content, str) else content.decode().splitlines()
    if content[-1:] in ("\n", b"\n") or line <= len(lines):
        return line, column
    return len(lines) or 1, len(lines[-1]) + 1 if lines else 1


def _text_of(content: bytes | str) -> str:
    size = len(content)
    if size > MAX_YAML_BYTES:
        fix = "split the file: all files of the workspace are merged"
        raise _RefusedError(_TOP, f"{size} bytes; {MAX_YAML_BYTES} are the most", fix)
    if isinstance(content, str):
        return content.removeprefix("\ufeff")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        reason = f"not UTF-8 text: byte {error.start} (line {line}) does not belong there"
        raise _RefusedError(_TOP, reason, "save the file as UTF-8") from error


class _Builder:
    """Turns events into values; one instance per file."""

    def __init__(self, file: str) -> None:
        self.document = YamlDocument(file)
        self.findings: list[Finding] = []
        self._anchors: dict[str, tuple[JsonValue, int]] = {}
        self._aliases = 0
        self._expanded = 0
        self._events: Iterator[yaml.Event] = iter(())

    def run(self, text: str) -> None:
        self._events = iter(yaml.parse(text, Loader=yaml.CSafeLoader))
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    fix = "put each document into a file of its own"
                    raise _RefusedError(_at(event), "a second YAML document (`---`)", fix)
                self.document.value, _ = self._node(next(self._events), (), 1)

    def complain(self, at: _At, path: Path, reason: str, fix: str | None = None) -> None:
        line, column = at
        self.findings.append(
            Finding(self.document.file, line, column, Severity.ERROR, dotted(path), reason, fix)
        )

    def _node(self, event: yaml.Event, path: Path, depth: int) -> tuple[JsonValue, int]:
        """Return the value and how many nodes it is made of."""
        if depth > MAX_DEPTH:
            raise _RefusedError(_at(event), f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            self._note(event, path)
            return self._alias(event)
        if not isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            raise _RefusedError(_at(event), "not valid YAML: a value is missing here")
        if event.tag is not None:
            self.complain(_at(event), path, f"the tag `{event.tag}`", "leave it out")
        self._note(event, path)
        built: tuple[JsonValue, int]
        if isinstance(event, yaml.ScalarEvent):
            built = self._scalar(event, path), 1
        elif isinstance(event, yaml.MappingStartEvent):
            built = self._mapping(path, depth)
        else:
            built = self._sequence(path, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = built
        return built

    def _note(self, event: yaml.Event, path: Path) -> None:
        # A mapping or a list that has a key is told by the key: that is where people look for it.
        is_collection = isinstance(event, yaml.CollectionStartEvent)
        if not (is_collection and path in self.document.keys):
            self.document.values[path] = self._place(event)

    def _place(self, event: yaml.Event) -> Place:
        is_block = getattr(event, "style", None) in ("|", ">")
        return Place(self.document.file, *_at(event), is_block)

    def _alias(self, event: yaml.AliasEvent) -> tuple[JsonValue, int]:
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            raise _RefusedError(_at(event), f"more than {MAX_ALIASES} aliases (`*name`)")
        if event.anchor not in self._anchors:
            raise _RefusedError(_at(event), f"the alias `*{event.anchor}` has no anchor yet")
        value, nodes = self._anchors[event.anchor]
        self._expanded += nodes
        if self._expanded > MAX_EXPANDED_NODES:
            reason = f"aliases expand to more than {MAX_EXPANDED_NODES} nodes"
            raise _RefusedError(_at(event), reason)
        return value, nodes

    def _scalar(self, event: yaml.ScalarEvent, path: Path) -> JsonValue:
        is_plain = event.implicit[0] and event.tag is None
        if not is_plain:
            return str(event.value)
        try:
            return resolve_plain(event.value)
        except ValueError as error:
            self.complain(_at(event), path, str(error), f'write it in quotes: "{event.value}"')
            return str(event.value)

    def _sequence(self, path: Path, depth: int) -> tuple[JsonValue, int]:
        items: list[JsonValue] = []
        total = 1
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            item, nodes = self._node(event, (*path, len(items)), depth + 1)
            items.append(item)
            total += nodes
        return items, total

    def _mapping(self, path: Path, depth: int) -> tuple[JsonValue, int]:
        mapping: JsonObject = {}
        total = 1
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, path, depth)
            if key is not None and not self._is_new(event, key, path, mapping):
                key = None
            # A refused key's value is read all the same, so that faults in it are found too.
            where = (*path, "?" if key is None else key)
            if key is not None:
                self.document.keys[where] = self._place(event)
            value, nodes = self._node(next(self._events), where, depth + 1)
            total += nodes + 1
            if key is not None:
                mapping[key] = value
        return mapping, total

    def _key(self, event: yaml.Event, path: Path, depth: int) -> str | None:
        if not isinstance(event, yaml.ScalarEvent):
            self.complain(_at(event), path, "a key must be text", "use a plain name as key")
            self._node(event, (*path, "?"), depth + 1)
            return None
        if event.value == "<<" and event.implicit[0]:
            reason = "merge keys (`<<`) are not part of YAML 1.2"
            self.complain(_at(event), path, reason, "write the keys out")
            return None
        value = self._scalar(event, path)
        if isinstance(value, str):
            if event.anchor is not None:
                self._anchors[event.anchor] = value, 1
            return value
        reason = f"the key `{event.value}` is not text"
        self.complain(_at(event), path, reason, f'write it in quotes: "{event.value}"')
        return None

    def _is_new(self, event: yaml.Event, key: str, path: Path, seen: JsonObject) -> bool:
        if key not in seen:
            return True
        first = self.document.keys[(*path, key)].line
        reason = f"the key `{key}` is here already, in line {first}"
        self.complain(_at(event), (*path, key), reason, "keep one of the two")
        return False
