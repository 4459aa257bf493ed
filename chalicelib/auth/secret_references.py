"""Where references lead in AWS: parameters, secrets and objects, read with this process's role.

The one rule: errors name the reference, and of what a service says only the code.
Source: security, S19.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.domain.errors import (
    InvalidError,
    NotFoundError,
    PermissionDeniedError,
    UnavailableError,
)
from chalicelib.domain.references import MAX_SECRET_BYTES, Reference

# boto3's clients are untyped; `(service, region)`, where None is the region of this process.
Clients: TypeAlias = Callable[[str, "str | None"], Any]

_ABSENT = frozenset(
    {
        "ParameterNotFound",
        "ParameterVersionNotFound",
        "ResourceNotFoundException",
        "NoSuchKey",
        "NoSuchBucket",
        "NoSuchVersion",
        "404",
    }
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "403"})
_WRONG = frozenset(
    {
        "ValidationException",
        "InvalidParameterException",
        "InvalidRequestException",
        "InvalidKeyId",
        "InvalidBucketName",
        "DecryptionFailure",
        "NoRegionError",
        "NoCredentialsError",
        "PartialCredentialsError",
    }
)


class AwsSecrets:
    """Reads SSM parameters, secrets of Secrets Manager and objects of S3."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._read = {
            "awsssm": self._parameter,
            "awssecrets": self._secret,
            "s3": self._object,
        }

    def fetch(self, reference: Reference, workspace: str) -> str:  # noqa: ARG002 - `AllowedSecrets` has looked
        read = self._read.get(reference.scheme)
        if read is None:
            raise InvalidError(f"{reference.text} is not kept in AWS")
        try:
            content = read(reference)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            raise _fault(reference, code) from None
        except BotoCoreError as error:
            raise _fault(reference, type(error).__name__) from None
        if len(content) > MAX_SECRET_BYTES:
            limit = MAX_SECRET_BYTES // 1024
            raise InvalidError(
                f"{reference.text} names more than {limit} KB, too much for a secret"
            )
        try:
            return content.decode()
        except UnicodeDecodeError:
            raise InvalidError(f"{reference.text} names bytes that are no UTF-8 text") from None

    def _parameter(self, reference: Reference) -> bytes:
        name = reference.where
        if "/" in name and not name.startswith("/"):
            # Parameters in a hierarchy begin with a slash; references leave it to `//`.
            name = f"/{name}"
        client = self._clients("ssm", reference.option("region"))
        answer = client.get_parameter(Name=name, WithDecryption=True)
        return str(answer["Parameter"]["Value"]).encode()

    def _secret(self, reference: Reference) -> bytes:
        wanted = {"SecretId": reference.where}
        for option, name in (("version_id", "VersionId"), ("version_stage", "VersionStage")):
            value = reference.option(option)
            if value:
                wanted[name] = value
        client = self._clients("secretsmanager", reference.option("region"))
        answer = client.get_secret_value(**wanted)
        text = answer.get("SecretString")
        return bytes(answer["SecretBinary"]) if text is None else str(text).encode()

    def _object(self, reference: Reference) -> bytes:
        bucket, _, key = reference.where.partition("/")
        if not key:
            raise InvalidError(f"{reference.text} names a bucket and no object in it")
        wanted = {"Bucket": bucket, "Key": key}
        version = reference.option("version_id")
        if version:
            wanted["VersionId"] = version
        answer = self._clients("s3", reference.option("region")).get_object(**wanted)
        content: bytes = answer["Body"].read(MAX_SECRET_BYTES + 1)
        return content


def _fault(
    reference: Reference, code: str
) -> NotFoundError | PermissionDeniedError | InvalidError | UnavailableError:
    if code in _ABSENT:
        return NotFoundError(f"{reference.text} names nothing that is there ({code})")
    if code in _DENIED:
        return PermissionDeniedError(
            f"{reference.text} may not be read ({code}): give the role that this runs as the "
            "right to read it, and to decrypt with its key"
        )
    if code in _WRONG:
        return InvalidError(f"{reference.text} cannot be read ({code})")
    return UnavailableError(
        f"{reference.text} could not be read now ({code}): trying again may help"
    )
