"""A browser that logs in at a provider and comes back."""

from __future__ import annotations

import pytest

from chalicelib.auth.flows import Flows
from chalicelib.auth.oidc import OidcProviders
from chalicelib.domain.errors import UnauthenticatedError
from tests.fakes.clock import FakeClock
from tests.fakes.openid import BASE_URL, KEY, FakeOpenid, a_provider


class Trip:
    """Providers as they are configured, and a browser that goes there and comes back."""

    def __init__(self, keys=(KEY,), **given):
        self.clock = FakeClock()
        self.web = FakeOpenid(self.clock)
        self.listed = {"demo": a_provider(**given), "twin": a_provider(provider_id="twin")}
        self.providers = self.made(keys)

    def made(self, keys=(KEY,), secret_of=lambda text: text):
        return OidcProviders(self.listed, BASE_URL, Flows(keys), self.clock, self.web, secret_of)

    def depart(self, going_on=None):
        departure = self.providers.depart("demo", going_on)
        return departure, self.web.let_in(departure.address)

    def come_back(self, departure, query, provider="demo"):
        flow = self.providers.recall(provider, departure.cookie, query.get("state"))
        return flow, self.providers.identify(flow, query)

    def whole(self):
        return self.come_back(*self.depart())[1]

    def refuses(self, why, departure, query, provider="demo"):
        with pytest.raises(UnauthenticatedError, match=why):
            self.come_back(departure, query, provider)
