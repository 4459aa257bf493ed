"""Secrets in memory, by the document that a reference names: for tests and for one process."""

from __future__ import annotations

from collections.abc import Mapping

from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.references import Reference


class MemorySecrets:
    """`documents` are by reference without pointer: `ref+awsssm://prod/api`."""

    def __init__(self, documents: Mapping[str, str] | None = None) -> None:
        self.documents = dict(documents or {})

    def fetch(self, reference: Reference, workspace: str) -> str:  # noqa: ARG002 - the port's form
        content = self.documents.get(reference.document)
        if content is None:
            raise NotFoundError(f"{reference.text} names nothing that is there")
        return content
