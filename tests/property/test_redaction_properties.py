"""Any secret, any text, cut in any way: the secret is not seen, and nothing else is touched."""

import base64
import json
import shlex
import sys
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from chalicelib.domain.disguises import SHORTEST_CHARS, disguises
from chalicelib.domain.needles import Needles, StreamRedactor

MARK = "••••••".encode()
LETTERS = st.text(st.characters(codec="utf-8", exclude_characters="•"), min_size=6, max_size=24)
# Few letters make secrets that repeat and overlap themselves.
REPEATING = st.text("ab'/", min_size=6, max_size=12)
SECRETS = st.lists(LETTERS | REPEATING, min_size=1, max_size=3)
NOISE = st.text(st.characters(codec="utf-8"), max_size=30) | st.text("ab'/\n", max_size=30)
SPELLINGS = {
    "plain": lambda s: s,
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64 in the middle": lambda s: base64.b64encode(b"user:" + s.encode() + b"!").decode(),
    "base64 for addresses": lambda s: base64.urlsafe_b64encode(b"x" + s.encode()).decode(),
    "percent": lambda s: quote(s, safe=""),
    "percent in a path": quote,
    "form": quote_plus,
    "json": json.dumps,
    "json as it is": lambda s: json.dumps(s, ensure_ascii=False),
    "json in json": lambda s: json.dumps(json.dumps(s)),
    "shell": shlex.quote,
    "hex": lambda s: s.encode().hex(),
    "upper": str.upper,
    "lower": str.lower,
    "python": repr,
}


@st.composite
def cut(draw, data):
    """Cut the data at any places."""
    places = sorted(draw(st.lists(st.integers(0, len(data)), max_size=12)))
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


def redacted(needles, chunks):
    stream = StreamRedactor(needles)
    return b"".join([*(stream.feed(chunk) for chunk in chunks), stream.finish()])


@given(SECRETS, st.lists(NOISE, min_size=2, max_size=4), st.data())
@example(["aaaaaa"], ["a" * 7, "a" * 9, "b"], None)
def test_a_secret_is_never_seen_however_the_stream_is_cut(secrets, noise, data):
    text = "".join(part + secret for part, secret in zip(noise, secrets * 4, strict=False))
    whole = text.encode()
    chunks = data.draw(cut(whole)) if data else [whole[i : i + 1] for i in range(len(whole))]
    needles = Needles(secrets)
    found = redacted(needles, chunks)
    assert [secret for secret in secrets if secret.encode() in found.replace(MARK, b"\0")] == []
    assert found == redacted(needles, [whole])


@given(LETTERS | REPEATING, st.sampled_from(sorted(SPELLINGS)), NOISE, st.data())
def test_it_is_not_seen_in_any_of_its_spellings(secret, name, noise, data):
    spelled = SPELLINGS[name](secret)
    whole = f"{noise} {spelled} {noise}".encode()
    found = redacted(Needles([secret]), data.draw(cut(whole)))
    assert spelled.encode() not in found
    assert MARK in found


@given(SECRETS, NOISE, st.data())
def test_what_holds_no_secret_comes_out_as_it_went_in(secrets, text, data):
    whole = text.encode()
    needles = Needles(secrets)
    assume(not any(needle in whole for needle in needles.all))
    assert redacted(needles, data.draw(cut(whole))) == whole


@given(SECRETS, NOISE)
def test_only_what_may_begin_a_secret_is_held_back(secrets, text):
    needles = Needles(secrets)
    stream = StreamRedactor(needles)
    whole = text.encode()
    assume(not any(needle in whole for needle in needles.all))
    given_out = stream.feed(whole)
    held = whole[len(given_out) :]
    assert given_out + held == whole
    assert held == b"" or any(needle.startswith(held) for needle in needles.all)


@given(SECRETS)
def test_a_line_end_behind_a_line_is_not_held_back(secrets):
    assume(not any("\n" in s or "\r" in s for s in secrets))
    assume(all(s.isprintable() for s in secrets))
    assert StreamRedactor(Needles(secrets)).feed(b"~ a line\n").endswith(b"\n")


@given(st.text(max_size=SHORTEST_CHARS - 1))
def test_what_is_too_short_to_look_for_is_left_alone(secret):
    assert not Needles([secret])


@given(
    SECRETS, st.recursive(NOISE | st.integers(), lambda x: st.lists(x) | st.dictionaries(NOISE, x))
)
def test_a_value_keeps_its_shape(secrets, value):
    found = Needles(secrets).value({"a": [secrets[0], value, 1, True, None]})
    assert found["a"][0] == "••••••"
    assert found["a"][2:] == [1, True, None]


def test_a_figure_that_is_a_secret_is_hidden_in_values():
    assert Needles(["1234567"]).value({"pin": 1234567, "n": 12}) == {"pin": "••••••", "n": 12}


def test_each_line_of_a_secret_of_several_lines_is_looked_for():
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END KEY-----\n"
    assert redacted(Needles([key]), [b"a kqhkiG9w0BAQEF b"]) == b"a " + MARK + b" b"


@pytest.mark.parametrize("count", [1, 10, 50])
def test_the_speed_is_printed(count, capsys):
    secrets = [f"S3cr{number}t/with+s0me-letters{number}" for number in range(count)]
    needles = Needles(secrets)
    line = b"2026-11-21 12:00:00 INFO request served in 12 ms path=/api/things/42 user=anna\n"
    chunk = line * (64 * 1024 // len(line))
    stream = StreamRedactor(needles)
    began = time.perf_counter()
    size = sum(len(stream.feed(chunk)) for _ in range(16))
    took = time.perf_counter() - began
    assert size == 16 * len(chunk)
    with capsys.disabled():
        figure = f"{size / took / 1e6:.1f} MB/s with {count} secrets, {len(needles.all)} spellings"
        sys.stdout.write(f"\nredaction: {figure}\n")


def test_spellings_are_longest_first_and_none_is_short():
    found = disguises(["p'ss/wörd+1"])
    assert [len(one) for one in found] == sorted(map(len, found), reverse=True)
    assert min(map(len, found)) >= SHORTEST_CHARS
