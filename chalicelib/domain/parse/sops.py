"""Files that sops has encrypted: their values become references, which workers resolve.

The one rule: nothing is decrypted here, so a definition never holds what such a file hides.
Source: workflow language, section 1.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import quote

from chalicelib.domain.parse.yaml_source import YamlDocument
from chalicelib.domain.sources import Path, Place
from chalicelib.domain.values import JsonValue
from chalicelib.domain.workflow import Finding, Severity

_ENCRYPTED_FILES = (".sops.yaml", ".sops.yml")
_METADATA = "sops"
_OPENING = "ENC["
_SECTIONS = ("secrets", "connections")


def is_encrypted_file(path: str) -> bool:
    """Say whether sops is to decrypt the file, by its name."""
    return path.endswith(_ENCRYPTED_FILES)


def with_references(document: YamlDocument) -> tuple[YamlDocument, list[Finding]]:
    """Return the document with a reference in the place of each encrypted value.

    Only secrets and connections may be encrypted: everything else is read before a worker has it.
    """
    value = document.value
    if not isinstance(value, dict):
        return document, []
    if _METADATA not in value:
        reason = "is named like a file of sops, and is not encrypted"
        return document, [_finding(document.place(()), Severity.WARNING, (), reason, None)]
    found = {name: item for name, item in value.items() if name != _METADATA}
    findings = [
        _finding(
            document.place(path),
            Severity.ERROR,
            path,
            "is encrypted, and only values of `secrets` and `connections` may be",
            'limit sops to them: encrypted_regex: "^(secrets|connections)$" in .sops.yaml',
        )
        for name, item in found.items()
        if name not in _SECTIONS
        for path in _encrypted(item, (name,))
    ]
    named = f"ref+sops://{quote(document.file)}#"
    for name in _SECTIONS:
        if name in found:
            found[name] = _referred(found[name], f"{named}/{name}")
    return replace(document, value=found), findings


def _referred(value: JsonValue, named: str) -> JsonValue:
    match value:
        case str() if value.startswith(_OPENING):
            return named
        case dict():
            return {key: _referred(item, f"{named}/{_token(key)}") for key, item in value.items()}
        case list():
            return [_referred(item, f"{named}/{index}") for index, item in enumerate(value)]
        case _:
            return value


def _token(key: str) -> str:
    return quote(key.replace("~", "~0").replace("/", "~1"), safe="~")


def _encrypted(value: JsonValue, path: Path) -> Iterator[Path]:
    match value:
        case str() if value.startswith(_OPENING):
            yield path
        case dict():
            for key, item in value.items():
                yield from _encrypted(item, (*path, key))
        case list():
            for index, item in enumerate(value):
                yield from _encrypted(item, (*path, index))
        case _:
            return


def _finding(
    place: Place, severity: Severity, path: Path, reason: str, fix: str | None
) -> Finding:
    at = ".".join(str(part) for part in path)
    return Finding(place.file, place.line, place.column, severity, at, reason, fix)
