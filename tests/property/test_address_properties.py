"""Addresses: however a private one is spelled or wrapped, nobody is sent there."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.addresses import check_address, read_networks, read_url
from chalicelib.domain.errors import InvalidError, PermissionDeniedError

PRIVATE = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4", "192.0.0.0/24",
    "168.63.129.16/32",
)  # fmt: skip
PRIVATE_6 = (
    "::/128", "::1/128", "fc00::/7", "fe80::/10", "ff00::/8", "fec0::/10", "2001:db8::/32",
    "64:ff9b:1::/48", "2001::/32", "100::/64", "fd00:ec2::254/128",
)  # fmt: skip
METADATA = ("169.254.169.254", "169.254.170.2", "fd00:ec2::254", "100.100.100.200", "fe80::1")


def within(networks):
    def one(text):
        network = ipaddress.ip_network(text)
        last = network.num_addresses - 1
        return st.integers(0, last).map(lambda offset: network.network_address + offset)

    return st.sampled_from(networks).flatmap(one)


def wrapped(address):
    """Every form of IPv6 that leads to the IPv4 address."""
    bits = int(address)
    return [
        ipaddress.IPv6Address(0xFFFF << 32 | bits),
        ipaddress.IPv6Address(bits) if bits > 1 else ipaddress.IPv6Address(0),
        ipaddress.IPv6Address(0xFFFF << 48 | bits),
        ipaddress.IPv6Address(0x64FF9B << 96 | bits),
        ipaddress.IPv6Address(0x2002 << 112 | bits << 80),
        ipaddress.IPv6Address(0x2A00_1450 << 96 | 0x5EFE << 32 | bits),
        ipaddress.IPv6Address(0x2A00_1450 << 96 | 0x0200_5EFE << 32 | bits),
    ]


def spellings(address):
    """How resolvers of C have taken addresses: decimal, hex, octal, with fewer parts."""
    bits, parts = int(address), str(address).split(".")
    a, b = int(parts[0]), int(parts[1])
    return [
        str(bits),
        hex(bits),
        f"0{bits:o}",
        ".".join(hex(int(part)) for part in parts),
        ".".join(f"0{int(part):o}" for part in parts),
        f"{a}.{bits & 0xFFFFFF}",
        f"{a}.{b}.{bits & 0xFFFF}",
        f"{a}.{b}.0x{bits & 0xFFFF:x}",
        f"0{parts[0]}.{'.'.join(parts[1:])}",
        f"{address}.",
        str(address).translate({ord("0") + n: 0xFF10 + n for n in range(10)}),
    ]  # fmt: skip


def is_refused(text, allowed=()):
    try:
        check_address(text, allowed)
    except PermissionDeniedError:
        return True
    return False


@given(within(PRIVATE))
def test_a_private_address_is_refused_in_every_form(address):
    assert is_refused(str(address))
    for form in wrapped(address):
        assert is_refused(str(form)), form


@given(within(PRIVATE_6))
def test_a_private_address_of_ipv6_is_refused(address):
    assert is_refused(str(address))
    assert is_refused(address.exploded)


@given(within(PRIVATE))
def test_no_odd_spelling_of_an_address_is_read_as_a_host(address):
    for text in spellings(address):
        for url in (f"http://{text}/", f"https://{text}:8443/x", f"http://{text.upper()}/"):
            with pytest.raises(InvalidError):
                read_url(url)


@given(st.sampled_from(["8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700::1111", "2a00:1450::1"]))
def test_a_public_address_is_called(text):
    assert str(check_address(text)) == text


@given(within(("10.0.0.0/8", "127.0.0.0/8")))
def test_what_is_allowed_is_called_and_its_neighbours_are_not(address):
    allowed = read_networks(["10.0.0.0/8", "127.0.0.0/8", "::1"])
    assert not is_refused(str(address), allowed)
    assert not is_refused(f"::ffff:{address}", allowed)
    assert not is_refused("::1", allowed)
    assert is_refused("192.168.0.1", allowed)
    assert is_refused(f"64:ff9b::{address}", read_networks(["192.168.0.0/16"]))


@given(st.sampled_from(METADATA))
def test_nothing_lets_anybody_through_to_credentials(text):
    everything = read_networks(["0.0.0.0/0", "::/0"])
    assert is_refused(text, everything)
    if "." in text:
        for form in wrapped(ipaddress.ip_address(text)):
            assert is_refused(str(form), everything), form


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader_of_urls(text):
    for url in (text, f"http://{text}", f"https://{text}/x", f"http://a.example:{text}"):
        try:
            target = read_url(url)
        except InvalidError:
            continue
        assert target.scheme in ("http", "https")
        assert target.host.isascii()
        assert 0 < target.port < 65536


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example/", "file:///etc/passwd", "gopher://a.example", "//a.example", "a.example",
        "http://", "http:///x", "http://u@a.example", "http://u:p@a.example", "http://a.example:0/",
        "http://a.example:99999/", "http://a.example\\@b.example/", "http://a.example/ x",
        "http://a.example/\r\nx", "http://[::1%25lo]/", "http://[v1.x]/", "http://a..example/",
        "http://-a.example/", "http://ex\u00e4mple.com/", "http://a.example#@b/" + "x" * 3000,
        "http://127.0.0.1%00.a.example/", "http://[127.0.0.1]/",
    ],
)  # fmt: skip
def test_what_is_no_plain_url_is_refused(url):
    with pytest.raises(InvalidError):
        read_url(url)


def test_a_name_is_read_with_its_port_and_path():
    target = read_url("HTTPS://Hooks.Example.com:8443/a/b?c=d#e")
    assert (target.origin, target.path) == ("https://hooks.example.com:8443", "/a/b?c=d")
    assert read_url("http://[2606:4700::1111]").authority == "[2606:4700::1111]"
    assert read_url("http://a.example.:80").origin == "http://a.example"
