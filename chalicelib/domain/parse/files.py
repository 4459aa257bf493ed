"""Finds a workspace's YAML files and merges them into one mapping that remembers where each entry
came from.

Maps are unioned, a later file's key replaces an earlier one, lists of hooks are joined.
Source: workflow language, section 1.1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from posixpath import dirname

from chalicelib.domain.parse.keys import JOINED, WORKSPACE
from chalicelib.domain.parse.reader import Reader
from chalicelib.domain.parse.report import Report
from chalicelib.domain.parse.sops import is_encrypted_file, with_references
from chalicelib.domain.parse.yaml_source import YamlDocument, read_yaml
from chalicelib.domain.sources import Path, Place, WorkspaceTree
from chalicelib.domain.values import JsonObject
from chalicelib.domain.workflow import Finding, Severity

WORKFLOWS_DIRECTORY = ".workflows"
MAX_DIRECTORIES = 10
_SUFFIXES = (".yaml", ".yml")
_SECTIONS = tuple(key for key in WORKSPACE if key not in (*JOINED, "strict_scripts"))


@dataclass(slots=True)
class Merged:
    """All files as one. `folders` holds each task's folder as its file's place gives it."""

    raw: JsonObject = field(default_factory=dict)
    folders: dict[str, str | None] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    _origins: dict[Path, tuple[YamlDocument, Path]] = field(default_factory=dict)

    def locate(self, path: Path, *, of_key: bool = False) -> Place:
        """Return where the merged path stands in its own file."""
        for length in (2, 1):
            origin = self._origins.get(path[:length])
            if origin is not None:
                document, prefix = origin
                return document.place((*prefix, *path[length:]), of_key=of_key)
        first = next(iter(self._origins.values()), None)
        return Place(first[0].file if first else "", 1, 1)

    def add(self, document: YamlDocument, folder: str | None) -> None:
        """Merge one document over what is there."""
        value = document.value
        report = Report(document.place)
        if isinstance(value, dict):
            reader = Reader(value, (), report)
            reader.unknown(WORKSPACE)
            for section in _SECTIONS:
                self._add_section(reader, section, document, folder)
            self._add_hooks(reader, document)
            if reader.has("strict_scripts"):
                self.raw["strict_scripts"] = reader.flag("strict_scripts")
        elif value is not None:
            report.error(
                (), "a workflow file is a mapping with keys such as `tasks` and `actions`"
            )
        self.findings.extend(report.findings())

    def _add_section(
        self, reader: Reader, section: str, document: YamlDocument, folder: str | None
    ) -> None:
        entries = reader.object(section)
        if not entries:
            return
        merged = self.raw.setdefault(section, {})
        if not isinstance(merged, dict):
            raise TypeError(f"{section} was merged as something else than a mapping")
        self._origins.setdefault((section,), (document, (section,)))
        for name, value in entries.items():
            path = (section, name)
            if name in merged:
                before = self.locate(path, of_key=True)
                place = document.place(path, of_key=True)
                reason = f"replaces the `{name}` of {before.file}:{before.line}"
                reader.report.warning(path, reason, "rename one of the two", place)
            merged[name] = value
            self._origins[path] = (document, path)
            if section == "tasks":
                self.folders[name] = folder

    def _add_hooks(self, reader: Reader, document: YamlDocument) -> None:
        for event in JOINED:
            value = reader.raw.get(event)
            if value is None:
                continue
            if not isinstance(value, list):
                if event == "notify":
                    reader.wrong(event, "a list", "notify: [{ url: https://… }]")
                else:
                    reader.wrong(event, "a list of hooks", f"{event}: [{{ action: name }}]")
                continue
            merged = self.raw.setdefault(event, [])
            if not isinstance(merged, list):
                raise TypeError(f"{event} was merged as something else than a list")
            for index, item in enumerate(value):
                self._origins[(event, len(merged))] = (document, (event, index))
                merged.append(item)


def merge_files(tree: WorkspaceTree) -> Merged:
    """Read and merge the workspace's YAML files in the order of their paths."""
    merged = Merged()
    prefix = root_of(tree)
    for path in sorted(tree.files):
        inner = path.removeprefix(prefix)
        if not path.startswith(prefix) or not _is_workflow_file(inner):
            continue
        refusal = _refusal(inner)
        if refusal is not None:
            merged.findings.append(Finding(path, 1, 1, Severity.WARNING, "", *refusal))
            continue
        document, findings = read_yaml(path, tree.files[path].content)
        merged.findings.extend(findings)
        if document is not None and is_encrypted_file(path):
            document, findings = with_references(document)
            merged.findings.extend(findings)
        if document is not None:
            merged.add(document, dirname(inner) or None)
    return merged


def root_of(tree: WorkspaceTree) -> str:
    """Return `.workflows/` if the workspace has that directory, else the empty prefix."""
    prefix = f"{WORKFLOWS_DIRECTORY}/"
    return prefix if any(path.startswith(prefix) for path in tree.files) else ""


def _is_workflow_file(inner: str) -> bool:
    # Hidden directories hold other tools' YAML (.github, .venv), and `.sops.yaml` that of sops.
    parts = inner.split("/")
    is_hidden = any(part.startswith(".") for part in parts[:-1])
    is_settings = parts[-1] in (".sops.yaml", ".sops.yml")
    return inner.endswith(_SUFFIXES) and not is_hidden and not is_settings


def _refusal(inner: str) -> tuple[str, str] | None:
    if inner.count("/") > MAX_DIRECTORIES:
        reason = f"more than {MAX_DIRECTORIES} directories deep: the file is not read"
        return reason, "move it up"
    return None
