"""Token buckets: so much at once, and so much a minute after that."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.buckets import Bucket, Rate
from tests.fakes.clock import FakeClock


def test_a_bucket_lets_a_burst_pass_and_then_so_many_a_minute():
    clock, rate = FakeClock(), Rate(60, 3)
    bucket = Bucket.full(rate, clock.now())
    for _ in range(3):
        assert not bucket.is_empty
        bucket = bucket.taken()
    assert bucket.is_empty
    assert bucket.wait_s(rate) == 1
    assert not bucket.filled(rate, clock.tick(1)).is_empty
    assert bucket.filled(rate, clock.tick(hours=1)).left == 3


def test_a_clock_that_goes_back_fills_no_bucket():
    clock, rate = FakeClock(), Rate(60, 1)
    bucket = Bucket.full(rate, clock.tick(10)).taken()
    early = bucket.filled(rate, clock.now().replace(year=2000))
    assert early.is_empty
    assert early.filled(rate, clock.tick(0.5)).is_empty


@given(st.integers(1, 10_000), st.integers(1, 500), st.floats(0, 0.999))
def test_after_the_wait_that_is_told_there_is_one(per_minute, burst, left):
    clock, rate = FakeClock(), Rate(per_minute, burst)
    bucket = Bucket(left, clock.now())
    wait_s = bucket.wait_s(rate)
    assert not bucket.filled(rate, clock.tick(wait_s + 1e-6)).is_empty
