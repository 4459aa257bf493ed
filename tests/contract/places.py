"""Where a contract suite runs: in memory, in moto's mock, or against the emulator.

Tables, queues and buckets are made from the template that is deployed, under names of their own,
and removed after the test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import yaml
from botocore.config import Config

REGION = "us-east-1"
TEMPLATE = Path(__file__).resolve().parents[2] / "infra" / "resources.yaml"
_OF_TABLE = ("BillingMode", "KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes")


@dataclass
class Place:
    """`kind` is memory, moto or emulator; `host` is the emulator's address."""

    kind: str
    host: str | None = None
    _undo: list[Callable[[], Any]] = field(default_factory=list)

    @property
    def is_memory(self) -> bool:
        return self.kind == "memory"

    def client(self, service: str) -> Any:
        return _client(service, self.host)

    def table(self, resource: str) -> str:
        """Make a table as the template says; return its name."""
        name = f"test-{resource}-{uuid4().hex[:12]}"
        properties = template()[resource]["Properties"]
        client = self.client("dynamodb")
        wanted = {key: properties[key] for key in _OF_TABLE if key in properties}
        client.create_table(TableName=name, **wanted)
        self._undo.append(lambda: client.delete_table(TableName=name))
        return name

    def bucket(self) -> str:
        name = f"test-{uuid4().hex[:12]}"
        client = self.client("s3")
        client.create_bucket(Bucket=name)
        self._undo.append(lambda: _drop_bucket(client, name))
        return name

    def queues(self, *pools: str) -> str:
        """Make a queue per pool as the template says; return their prefix."""
        prefix = f"test-{uuid4().hex[:12]}"
        client = self.client("sqs")
        properties = template()["ScriptQueue"]["Properties"]
        for pool in pools:
            made = client.create_queue(
                QueueName=f"{prefix}-{pool}",
                Attributes={"VisibilityTimeout": str(properties["VisibilityTimeout"])},
            )
            self._undo.append(lambda url=made["QueueUrl"]: client.delete_queue(QueueUrl=url))
        return prefix

    def clear(self) -> None:
        """Remove all that was made."""
        while self._undo:
            self._undo.pop()()


@cache
def _client(service: str, host: str | None) -> Any:
    """Return a client, made once: that takes longer than most tests."""
    return boto3.client(
        service,
        region_name=REGION,
        endpoint_url=host,
        config=Config(
            retries={"mode": "standard"},
            read_timeout=30,
            signature_version="s3v4" if service == "s3" else None,
        ),
    )


@cache
def template() -> dict[str, Any]:
    """Return the resources of the deployed template."""
    return yaml.safe_load(TEMPLATE.read_text())["Resources"]


def _drop_bucket(client: Any, name: str) -> None:
    for row in client.list_objects_v2(Bucket=name).get("Contents", ()):
        client.delete_object(Bucket=name, Key=row["Key"])
    client.delete_bucket(Bucket=name)
