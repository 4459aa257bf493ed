"""What every store of identities keeps."""

import pytest

from chalicelib.domain.errors import ConflictError, NotFoundError, UnavailableError
from chalicelib.domain.oidc import Identity
from chalicelib.store.identities_table import IdentitiesTable
from chalicelib.store.memory_identities import MemoryIdentities
from tests.contract.faults import no_reply, reply_lost_once
from tests.contract.places import REGION

ISSUER = "https://id.example/realms/ü#1"
ADA = Identity(issuer=ISSUER, subject="auth0|Ada #1 ü")


@pytest.fixture
def identities(place):
    if place.is_memory:
        return MemoryIdentities()
    return table(place)


@pytest.fixture
def remote_identities(remote):
    return table(remote)


def table(place):
    return IdentitiesTable(place.table("RegistryTable"), REGION, place.host)


def test_an_identity_is_the_user_that_it_was_given_to(identities):
    with pytest.raises(NotFoundError):
        identities.identity(ISSUER, ADA.subject)
    identities.put_identity(ADA, "u1", None)
    assert identities.identity(ISSUER, ADA.subject) == "u1"


def test_an_identity_is_of_its_issuer_and_its_case(identities):
    identities.put_identity(ADA, "u1", None)
    for issuer, subject in ((f"{ISSUER}/", ADA.subject), (ISSUER, ADA.subject.lower())):
        with pytest.raises(NotFoundError):
            identities.identity(issuer, subject)


def test_an_identity_that_somebody_has_is_not_given_to_another(identities):
    identities.put_identity(ADA, "u1", None)
    for expected in (None, "u3"):
        with pytest.raises(ConflictError):
            identities.put_identity(ADA, "u2", expected)
    assert identities.identity(ISSUER, ADA.subject) == "u1"


def test_an_identity_moves_on_from_the_user_that_was_read(identities):
    identities.put_identity(ADA, "u1", None)
    identities.put_identity(ADA, "u2", "u1")
    assert identities.identity(ISSUER, ADA.subject) == "u2"


def test_giving_it_again_changes_nothing(identities):
    for expected in (None, None, "u0"):
        if expected is None:
            identities.put_identity(ADA, "u1", expected)
    identities.put_identity(ADA, "u1", "u1")
    assert identities.identity(ISSUER, ADA.subject) == "u1"


def test_an_identity_whose_reply_was_lost_is_kept(remote_identities, dynamodb):
    with reply_lost_once(dynamodb, "PutItem") as lost:
        remote_identities.put_identity(ADA, "u1", None)
    assert lost
    assert remote_identities.identity(ISSUER, ADA.subject) == "u1"


def test_a_table_that_does_not_answer_is_told(remote_identities, dynamodb):
    with no_reply(dynamodb, "GetItem"), pytest.raises(UnavailableError):
        remote_identities.identity(ISSUER, ADA.subject)
    with no_reply(dynamodb, "PutItem"), pytest.raises(UnavailableError):
        remote_identities.put_identity(ADA, "u1", None)
