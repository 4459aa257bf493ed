"""What every object store keeps."""

import urllib.request

import pytest

from chalicelib.domain import keys
from chalicelib.domain.errors import NotFoundError
from chalicelib.store.blobs_s3 import S3Blobs
from chalicelib.store.memory import MemoryBlobs

KEY = "outputs/job/größe build/001-ab.json"


@pytest.fixture
def blobs(place):
    if place.is_memory:
        return MemoryBlobs()
    return S3Blobs(place.bucket(), place.client("s3"))


@pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 300])
def test_an_object_comes_back_as_it_was(blobs, content):
    blobs.put(KEY, content)
    assert blobs.get(KEY) == content
    assert blobs.exists(KEY)


def test_an_object_is_replaced(blobs):
    blobs.put(KEY, b"first")
    blobs.put(KEY, b"second")
    assert blobs.get(KEY) == b"second"


def test_an_absent_object_is_not_found(blobs):
    with pytest.raises(NotFoundError, match="no object nope"):
        blobs.get("nope")
    assert not blobs.exists("nope")


def test_a_deleted_object_is_gone_and_deleting_it_again_is_no_error(blobs):
    blobs.put(KEY, b"x")
    blobs.put("other", b"y")
    blobs.delete(KEY)
    blobs.delete(KEY)
    assert not blobs.exists(KEY)
    assert blobs.get("other") == b"y"


@pytest.mark.parametrize(
    "parts",
    [[], [b""], [b"a", b"", b"b"], [b"0123456789abcdef" * 4096] * 144],
    ids=["none", "empty", "small", "nine megabytes"],
)
def test_a_stream_becomes_one_object(blobs, parts):
    whole = b"".join(parts)
    assert blobs.put_stream(KEY, iter(parts)) == len(whole)
    assert blobs.get(KEY) == whole


def test_a_stream_that_breaks_off_writes_nothing(blobs):
    def broken():
        yield b"begun"
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        blobs.put_stream(KEY, broken())
    assert not blobs.exists(KEY)


def test_urls_differ_by_what_they_are_for(blobs):
    blobs.put(KEY, b"x")
    blobs.put("other", b"y")
    assert blobs.download_url(KEY, 60) != blobs.download_url("other", 60)


def test_a_signed_url_names_its_time_and_no_checksum(remote):
    blobs = S3Blobs(remote.bucket(), remote.client("s3"))
    for url in (blobs.upload_url(KEY, 90), blobs.download_url(KEY, 90)):
        assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url
        assert "X-Amz-Expires=90" in url
        assert "checksum" not in url.lower()


def test_an_object_goes_up_and_down_by_signed_urls(emulator):
    blobs = S3Blobs(emulator.bucket(), emulator.client("s3"))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    url = blobs.upload_url(KEY, 60)
    put = urllib.request.Request(url, data=b"content", method="PUT")  # noqa: S310 - http
    with opener.open(put, timeout=10):
        pass
    assert blobs.get(KEY) == b"content"
    with opener.open(blobs.download_url(KEY, 60), timeout=10) as answer:
        assert answer.read() == b"content"


def test_objects_that_may_hold_secrets_get_the_key_for_them_and_no_others(moto):
    client, bucket = moto.client("s3"), moto.bucket()
    blobs = S3Blobs(bucket, client, "alias/stroem-secrets")
    secret = [
        keys.secret_input_blob("shop", "job", "d"),
        keys.items_blob("job", "step", "d"),
        keys.archive_blob("shop", "r1"),
        keys.definition_blob("shop", "r1"),
    ]
    plain = [keys.input_blob("shop", "job", "d"), keys.output_blob("job", "s", 1, "l")]
    for key in (*secret, *plain):
        blobs.put(key, b"x")
        assert blobs.get(key) == b"x"
    used = {
        key: client.head_object(Bucket=bucket, Key=key).get("SSEKMSKeyId")
        for key in (*secret, *plain)
    }
    assert used == {**dict.fromkeys(secret, "alias/stroem-secrets"), **dict.fromkeys(plain)}
