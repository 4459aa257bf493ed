"""Sessions under every interleaving: one token in force, and a stolen one ends them all."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from chalicelib.auth import sessions
from chalicelib.auth.tokens import UserTokens
from chalicelib.domain.credentials import GRACE, SESSION_LIFE, Session, Shown
from chalicelib.domain.errors import UnauthenticatedError
from chalicelib.engine import accounts
from chalicelib.engine.accounts import NewUser
from chalicelib.store.memory_accounts import MemoryAccounts
from tests.fakes.clock import NOON
from tests.fakes.house import House

KEYS = ("a" * 40, "b" * 40)
DEVICES = st.sampled_from(["laptop", "phone"])


class Interleaved(MemoryAccounts):
    """Lets another request run between a request's reading and its writing."""

    def __init__(self):
        super().__init__()
        self.meanwhile = []

    def put_session(self, session, expected):
        while self.meanwhile:
            self.meanwhile.pop()()
        super().put_session(session, expected)


class Sessions(RuleBasedStateMachine):
    """One person's session, with an honest client and whoever copied one of its tokens.

    The model: the chain of tokens that were given out, and whether the session is over.
    """

    tokens = Bundle("tokens")

    def __init__(self):
        super().__init__()
        self.place = Interleaved()
        house = House("a", ports={"accounts": self.place})
        self.clock, self.engine = house.clock, house.engine
        self.user = accounts.add(self.engine, NewUser(email="a@b"))
        self.signing = UserTokens(KEYS)
        begun = sessions.begin(self.engine, self.signing, self.user, "laptop")
        self.chain = [begun.refresh_token]
        self.renewed_at, self.device = None, None
        self.is_over = False
        self.expires_at = self.clock.now() + SESSION_LIFE

    def is_graced(self, place, device):
        return (
            self.renewed_at is not None
            and place == len(self.chain) - 2
            and device == self.device
            and self.clock.now() - self.renewed_at <= GRACE
        )

    @rule(back=st.integers(0, 3), device=DEVICES)
    def show(self, back, device):
        self.shown(max(0, len(self.chain) - 1 - back), device)

    def shown(self, place, device):
        token, now = self.chain[place], self.clock.now()
        is_dead = self.is_over or now >= self.expires_at
        try:
            got = sessions.renew(self.engine, self.signing, token, device).refresh_token
        except UnauthenticatedError:
            is_old = place < len(self.chain) - 1 and not self.is_graced(place, device)
            assert is_dead or is_old
            # What is over by its time is left as it is.
            self.is_over = self.is_over or not is_dead
        else:
            assert not is_dead
            if place == len(self.chain) - 1:
                self.chain.append(got)
                self.renewed_at, self.device = now, device
            else:
                assert self.is_graced(place, device)
                assert got == self.chain[-1]

    @precondition(lambda self: not self.is_over)
    @rule(first=DEVICES, second=DEVICES)
    def show_twice_at_once(self, first, second):
        """Two requests with one token: the second runs whole within the first."""
        if self.clock.now() >= self.expires_at:
            return
        token, results = self.chain[-1], []

        def ask(device):
            try:
                got = sessions.renew(self.engine, self.signing, token, device).refresh_token
                results.append(got)
            except UnauthenticatedError:
                results.append(None)

        self.place.meanwhile = [lambda: ask(second)]
        ask(first)
        self.place.meanwhile = []
        given_out = {one for one in results if one is not None}
        assert len(given_out) == 1, "never two live successors"
        if first == second:
            assert None not in results
        else:
            assert None in results
            self.is_over = True
        self.chain.append(given_out.pop())
        self.renewed_at, self.device = self.clock.now(), second

    @rule(seconds=st.sampled_from([0, 1, 10, 11, 3600, 86400 * 7]))
    def wait(self, seconds):
        self.clock.tick(seconds)

    @rule(place=st.integers(0, 1))
    def log_out(self, place):
        token = self.chain[max(0, len(self.chain) - 1 - place)]
        sessions.end(self.engine, token)
        self.is_over = True

    @rule()
    def rotate_keys(self):
        self.signing = UserTokens((self.signing.keys[1], self.signing.keys[0]))

    @invariant()
    def every_token_is_another(self):
        assert len(set(self.chain)) == len(self.chain)

    @invariant()
    def only_the_last_token_is_in_force(self):
        [kept] = self.place.sessions(self.user.user_id)
        assert kept.digest == sessions._digest(self.chain[-1].rpartition("_")[2])
        assert kept.revoked == self.is_over
        assert kept.expires_at == self.expires_at


TestSessions = Sessions.TestCase


class Forgetful(Interleaved):
    """The fault that the machine must find: a write that looks at nothing."""

    def put_session(self, session, expected):
        while self.meanwhile:
            self.meanwhile.pop()()
        self._sessions[session.user_id, session.session_id] = session


class Faulty(Sessions):
    def __init__(self):
        super().__init__()
        forgetful = Forgetful()
        forgetful.__dict__.update(self.place.__dict__)
        self.place = forgetful
        self.engine = replace(self.engine, accounts=forgetful)


def test_a_store_that_forgets_conditions_would_be_found():
    try:
        run_state_machine_as_test(Faulty)
    except AssertionError:
        return
    raise AssertionError("the fault was not found")


@given(digest=st.text(max_size=3), device=DEVICES, seconds=st.integers(-20, 20))
def test_a_session_that_is_over_judges_every_token_so(digest, device, seconds):
    session = Session(
        session_id="s",
        user_id="u",
        stamp="x",
        digest="d",
        device="laptop",
        created_at=NOON,
        expires_at=NOON + timedelta(days=30),
    )
    now = NOON + timedelta(seconds=seconds)
    assert replace(session, revoked=True).judge(digest, device, now) is Shown.OVER
    assert session.judge(digest, device, session.expires_at) is Shown.OVER
