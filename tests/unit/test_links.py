"""Where links come from: the key, the address, and what a stack hands its functions."""

import json

import pytest

from chalicelib.auth.links import NoLinks, SignedLinks, links_of
from chalicelib.domain.errors import UnavailableError
from chalicelib.settings import access_from
from infra.local.deploy import for_emulator
from infra.local.places import Data

KEY = "k" * 32


@pytest.mark.parametrize("given", [{}, {"STROEM_LINK_KEY": KEY}, {"STROEM_BASE_URL": "https://x"}])
def test_without_a_key_and_an_address_there_are_no_links(given):
    access = access_from(given)
    assert isinstance(links_of(access.link_key, access.base_url), NoLinks)


def test_a_key_that_is_too_short_is_refused_with_what_to_do():
    with pytest.raises(UnavailableError, match=r"needs 32 bytes.*openssl rand"):
        links_of("short", "https://x")


def test_links_lie_below_the_address():
    assert links_of(KEY, "https://x/live/") == SignedLinks(KEY, "https://x/live")


def test_the_local_stack_keeps_one_key_that_nobody_else_reads(tmp_path):
    data = Data(tmp_path)
    assert len(data.link_key()) >= 32
    assert data.link_key() == data.link_key()
    assert (tmp_path / "link-key").stat().st_mode & 0o077 == 0


def test_the_functions_of_the_local_stack_get_what_makes_links(tmp_path, monkeypatch):
    template = tmp_path / "sam.json"
    bare = {"Resources": {}, "Globals": {"Function": {"Environment": {"Variables": {}}}}}
    template.write_text(json.dumps(bare))
    monkeypatch.setenv("STROEM_LINK_KEY", KEY)
    monkeypatch.delenv("STROEM_BASE_URL", raising=False)
    patched = for_emulator(template, "key")["Globals"]["Function"]["Environment"]["Variables"]
    assert patched == {"STROEM_ENV": "local", "STROEM_LINK_KEY": KEY}
