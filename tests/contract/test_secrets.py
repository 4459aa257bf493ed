"""What every place of secrets keeps: documents by reference, and errors that name no value."""

from uuid import uuid4

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from chalicelib.auth.secret_cache import AllowedSecrets, KeptSecrets
from chalicelib.auth.secret_references import AwsSecrets
from chalicelib.domain.errors import (
    InvalidError,
    NotFoundError,
    PermissionDeniedError,
    UnavailableError,
)
from chalicelib.domain.references import MAX_SECRET_BYTES, parse_reference
from chalicelib.store.memory_secrets import MemorySecrets
from tests.fakes.clock import FakeClock

VALUE = "the-value-that-nobody-sees"


class Shelf:
    """Puts documents where the adapter under test finds them."""

    def __init__(self, place):
        self.place = place
        self.name = f"test-{uuid4().hex[:8]}"
        self.secrets = MemorySecrets() if place.is_memory else AwsSecrets(self._client)
        self.undo = []

    def _client(self, service, region):
        return self.place.client(service)

    def parameter(self, value):
        name = f"/{self.name}/api"
        return self._put(
            f"ref+awsssm:/{name}",
            value,
            lambda: self._client("ssm", None).put_parameter(
                Name=name, Value=value, Type="SecureString"
            ),
            lambda: self._client("ssm", None).delete_parameter(Name=name),
        )

    def secret(self, value):
        client = self._client("secretsmanager", None) if not self.place.is_memory else None
        return self._put(
            f"ref+awssecrets://{self.name}/db",
            value,
            lambda: client.create_secret(Name=f"{self.name}/db", SecretString=value),
            lambda: client.delete_secret(
                SecretId=f"{self.name}/db", ForceDeleteWithoutRecovery=True
            ),
        )

    def object(self, value, raw=None):
        if self.place.is_memory:
            return self._put("ref+s3://bucket/a/key.json", value, None, None)
        bucket = self.place.bucket()
        body = value.encode() if raw is None else raw
        self._client("s3", None).put_object(Bucket=bucket, Key="a/key.json", Body=body)
        return f"ref+s3://{bucket}/a/key.json"

    def _put(self, text, value, write, undo):
        if self.place.is_memory:
            self.secrets.documents[text] = value
        else:
            write()
            self.undo.append(undo)
        return text

    def fetch(self, text):
        return self.secrets.fetch(parse_reference(text), "shop")


@pytest.fixture
def shelf(place):
    made = Shelf(place)
    yield made
    for undo in made.undo:
        undo()


@pytest.fixture
def remote_shelf(moto):
    return Shelf(moto)


@pytest.mark.parametrize("kind", ["parameter", "secret", "object"])
def test_a_document_is_read_whole(shelf, kind):
    document = '{"password": "' + VALUE + '"}'
    assert shelf.fetch(getattr(shelf, kind)(document)) == document


@pytest.mark.parametrize(
    "text",
    [
        "ref+awsssm://test-none/api",
        "ref+awssecrets://test-none/db",
        "ref+s3://test-no-such-bucket-1/none",
    ],
)
def test_what_is_not_there_is_named(shelf, text):
    with pytest.raises(NotFoundError, match="names nothing that is there") as caught:
        shelf.fetch(text)
    assert text in caught.value.message


def test_a_pointer_makes_no_other_document(shelf):
    assert shelf.fetch(shelf.secret(VALUE) + "#/a/b") == VALUE


def test_what_is_too_large_or_no_text_is_refused_and_not_shown(remote_shelf):
    for raw in (b"x" * (MAX_SECRET_BYTES + 1), b"\xff" + VALUE.encode()):
        with pytest.raises(InvalidError) as caught:
            remote_shelf.fetch(remote_shelf.object("", raw=raw))
        assert VALUE not in caught.value.message


class Refusing:
    """A client whose every call is answered with this fault."""

    def __init__(self, fault):
        self.fault = fault

    def __getattr__(self, name):
        def fail(**given):
            raise self.fault

        return fail


def refused(code):
    return ClientError({"Error": {"Code": code, "Message": f"about {VALUE}"}}, "Get")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (refused("AccessDeniedException"), PermissionDeniedError),
        (refused("ValidationException"), InvalidError),
        (refused("ThrottlingException"), UnavailableError),
        (refused("InternalServerError"), UnavailableError),
        (EndpointConnectionError(endpoint_url=f"http://{VALUE}"), UnavailableError),
    ],
)
def test_faults_become_our_errors_and_hold_no_word_of_the_service(fault, error):
    secrets = AwsSecrets(lambda service, region: Refusing(fault))
    with pytest.raises(error) as caught:
        secrets.fetch(parse_reference("ref+awsssm://prod/api"), "shop")
    assert type(caught.value) is error
    assert "ref+awsssm://prod/api" in caught.value.message
    assert VALUE not in caught.value.message
    assert caught.value.__cause__ is None


def test_the_region_of_a_reference_is_asked():
    asked = []

    def clients(service, region):
        asked.append((service, region))
        return Refusing(refused("AccessDenied"))

    for text in ("ref+awsssm://a?region=eu-west-1", "ref+awssecrets://a"):
        with pytest.raises(PermissionDeniedError):
            AwsSecrets(clients).fetch(parse_reference(text), "shop")
    assert asked == [("ssm", "eu-west-1"), ("secretsmanager", None)]


def test_a_document_is_kept_for_a_minute_and_for_its_workspace_only():
    clock, inner = FakeClock(), MemorySecrets({"ref+awsssm://a": "one"})
    kept = KeptSecrets(inner, clock, kept_s=3600)
    reference = parse_reference("ref+awsssm://a")
    assert kept.fetch(reference, "shop") == "one"
    inner.documents["ref+awsssm://a"] = "two"
    clock.tick(59)
    assert kept.fetch(reference, "shop") == "one"
    assert kept.fetch(reference, "other") == "two"
    clock.tick(1)
    assert kept.fetch(reference, "shop") == "two"


def test_what_failed_is_not_kept():
    inner = MemorySecrets()
    kept = KeptSecrets(inner, FakeClock())
    reference = parse_reference("ref+awsssm://a")
    with pytest.raises(NotFoundError):
        kept.fetch(reference, "shop")
    inner.documents["ref+awsssm://a"] = "there"
    assert kept.fetch(reference, "shop") == "there"


def test_a_workspace_reads_what_it_may_refer_to_and_nothing_else():
    texts = ("ref+awsssm:///stroem/shop/a", "ref+awsssm://stroem/bank/a", "ref+s3://stroem/shop/a")
    inner = MemorySecrets(dict.fromkeys(texts, "x"))
    allowed = AllowedSecrets(inner, ["awsssm://stroem/{workspace}/*"])
    assert allowed.fetch(parse_reference(texts[0]), "shop") == "x"
    for text, workspace in ((texts[1], "shop"), (texts[2], "shop"), (texts[0], "bank")):
        with pytest.raises(PermissionDeniedError, match="STROEM_SECRETS_ALLOWED"):
            allowed.fetch(parse_reference(text), workspace)
