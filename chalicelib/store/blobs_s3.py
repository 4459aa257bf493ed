"""The object store on S3. Objects are written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.keys import may_hold_secrets
from chalicelib.store.faults import code_of, unavailable

_IN_MEMORY = 8 * 1024 * 1024
_ABSENT = ("NoSuchKey", "404", "NotFound")


class S3Client(Protocol):
    """What we use of boto3's client, which is untyped; keyword names are S3's own."""

    def put_object(self, **given: Any) -> Any: ...  # noqa: ANN401
    def get_object(self, **given: Any) -> Any: ...  # noqa: ANN401
    def head_object(self, **given: Any) -> Any: ...  # noqa: ANN401
    def delete_object(self, **given: Any) -> Any: ...  # noqa: ANN401
    def upload_fileobj(self, content: IO[bytes], bucket: str, key: str) -> None: ...
    def generate_presigned_url(self, operation: str, **given: Any) -> str: ...  # noqa: ANN401


class S3Blobs:
    """Objects of one bucket; safe for any number of threads.

    `secrets_key` is the KMS key for objects that may hold secrets; others have the bucket's own.
    """

    def __init__(self, bucket: str, client: S3Client, secrets_key: str | None = None) -> None:
        self._bucket = bucket
        self._client = client
        self._secrets_key = secrets_key

    def put(self, key: str, content: bytes) -> None:
        with self._answering():
            self._client.put_object(
                Bucket=self._bucket, Key=key, Body=content, **self._encryption(key)
            )

    def _encryption(self, key: str) -> dict[str, Any]:
        if self._secrets_key is None or not may_hold_secrets(key):
            return {}
        return {
            "ServerSideEncryption": "aws:kms",
            "SSEKMSKeyId": self._secrets_key,
            "BucketKeyEnabled": True,
        }

    def put_stream(self, key: str, parts: Iterable[bytes]) -> int:
        # The whole is spooled first: parts that break off must leave nothing behind.
        with SpooledTemporaryFile(max_size=_IN_MEMORY) as whole:
            for part in parts:
                whole.write(part)
            size = whole.tell()
            whole.seek(0)
            if size <= _IN_MEMORY:
                self.put(key, whole.read())
            else:
                with self._answering():
                    self._client.upload_fileobj(whole, self._bucket, key)
        return size

    def get(self, key: str) -> bytes:
        with self._answering():
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=key)
                content: bytes = answer["Body"].read()
            except ClientError as error:
                if code_of(error) in _ABSENT:
                    raise NotFoundError(f"there is no object {key}") from None
                raise
        return content

    def exists(self, key: str) -> bool:
        with self._answering():
            try:
                self._client.head_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if code_of(error) in _ABSENT:
                    return False
                raise
        return True

    def delete(self, key: str) -> None:
        with self._answering():
            self._client.delete_object(Bucket=self._bucket, Key=key)

    def upload_url(self, key: str, expires_s: int) -> str:
        return self._signed("put_object", key, expires_s)

    def download_url(self, key: str, expires_s: int) -> str:
        return self._signed("get_object", key, expires_s)

    def _signed(self, operation: str, key: str, expires_s: int) -> str:
        named = {"Bucket": self._bucket, "Key": key}
        with self._answering():
            return self._client.generate_presigned_url(
                operation, Params=named, ExpiresIn=expires_s
            )

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise unavailable(f"the bucket {self._bucket}", error) from error
