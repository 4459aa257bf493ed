"""How providers are configured, and what is refused of it."""

from __future__ import annotations

import pytest

from chalicelib.domain.errors import InvalidError
from chalicelib.domain.oidc import providers_of
from tests.fakes.openid import CLIENT, ISSUER, a_provider


def spelled(**given):
    return {"demo": {"issuer_url": ISSUER, "client_id": CLIENT} | given}


def test_a_provider_needs_an_issuer_and_a_client():
    found = providers_of(spelled())["demo"]
    assert (found.display_name, found.client_secret, found.default_groups) == ("demo", None, ())
    assert providers_of({}) == {}


def test_all_that_may_be_said_of_a_provider_is_read():
    given = {
        "display_name": "Demo",
        "client_secret": "s",
        "default_groups": ["b", "a"],
        "email_domains": ["Example.ORG"],
    }
    found = providers_of(spelled(**given))["demo"]
    assert found.default_groups == ("a", "b")
    assert found.email_domains == {"example.org"}


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ([], "an object of providers"),
        ({"Demo!": {}}, "an id has"),
        ({"demo": "x"}, "demo: write an object"),
        ({"demo": {}}, "demo: issuer_url is missing"),
        (spelled(client_id=None), "client_id is missing"),
        (spelled(client_id=7), "client_id must be text"),
        (spelled(client_id=""), "client_id must be text"),
        (spelled(scopes=["openid"]), "has 'scopes'"),
        (spelled(issuer_url="http://id.example"), "must begin with https"),
        (spelled(issuer_url="https://id.example?x=1"), "must begin with https"),
        (spelled(issuer_url="https://u:p@id.example"), "must begin with https"),
        (spelled(default_groups="staff"), "default_groups must be a list"),
        (spelled(default_groups=[7]), "default_groups must be a list"),
        (spelled(default_groups=[""]), "default_groups"),
        (spelled(email_domains=["@example.org"]), "no domain"),
        (spelled(client_secret="ref+env://X"), "may refer to awssecrets, awsssm, s3 only"),
        (spelled(client_secret="ref+nothing"), "reference"),
    ],
)
def test_a_provider_that_is_spelled_wrongly_is_refused(value, why):
    with pytest.raises(InvalidError, match=why):
        providers_of(value)


def test_no_error_shows_a_client_secret():
    with pytest.raises(InvalidError) as caught:
        providers_of(spelled(client_secret="hunter2", scope="x"))
    assert "hunter2" not in caught.value.message
    assert "hunter2" not in repr(a_provider(client_secret="hunter2"))
