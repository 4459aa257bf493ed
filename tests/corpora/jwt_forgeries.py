"""Forged tokens: how each differs from one that is ours. `None` takes a member away.

An entry is held against every kind of token that we sign with a secret; those of identity
providers have their own in `tests/unit/test_oidc_tokens.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Forgery:
    """Changes of header and claims, which key signs and how, and what is done to the text."""

    header: dict = field(default_factory=dict)
    claims: dict = field(default_factory=dict)
    key: str = "right"
    algorithm: str = "sha256"
    text: str = "{head}.{body}.{tail}"


EVIL = "https://evil.example/keys.json"
FORGERIES = {
    "alg none, no signature": Forgery({"alg": "none"}, text="{head}.{body}."),
    "alg None": Forgery({"alg": "None"}, text="{head}.{body}."),
    "alg nOnE, signed all the same": Forgery({"alg": "nOnE"}),
    "alg empty": Forgery({"alg": ""}),
    "alg absent": Forgery({"alg": None}),
    "alg a list": Forgery({"alg": ["HS256"]}),
    "alg a number": Forgery({"alg": 256}),
    "alg in small letters": Forgery({"alg": "hs256"}),
    "alg HS512, signed so": Forgery({"alg": "HS512"}, algorithm="sha512"),
    "alg HS384, signed so": Forgery({"alg": "HS384"}, algorithm="sha384"),
    "alg HS256, signed as HS512": Forgery(algorithm="sha512"),
    "alg RS256 over our secret": Forgery({"alg": "RS256"}),
    "alg ES256 over our secret": Forgery({"alg": "ES256"}),
    "alg EdDSA over our secret": Forgery({"alg": "EdDSA"}),
    "no signature": Forgery(text="{head}.{body}."),
    "empty key": Forgery(key="empty"),
    "another key": Forgery(key="x" * 40),
    "the installation's key itself": Forgery(key="raw"),
    "the key of the other kind of token": Forgery(key="other kind"),
    "the name of a file as key": Forgery({"kid": "../../dev/null"}, key="empty"),
    "kid that is SQL": Forgery({"kid": "x' UNION SELECT 'x"}, key="x"),
    "kid that is a command": Forgery({"kid": "x|id"}, key="x"),
    "kid that is a list": Forgery({"kid": ["a"]}, key="x"),
    "kid of half a surrogate": Forgery({"kid": "\ud800"}, key="x"),
    "jku": Forgery({"jku": EVIL}),
    "x5u": Forgery({"x5u": EVIL}),
    "jwk": Forgery({"jwk": {"kty": "oct", "k": "eA"}}, key="x"),
    "jwk, signed rightly": Forgery({"jwk": {"kty": "oct", "k": "eA"}}),
    "x5c": Forgery({"x5c": ["MIIB"]}),
    "crit": Forgery({"crit": ["exp"], "exp": 1}),
    "crit empty": Forgery({"crit": []}),
    "zip": Forgery({"zip": "DEF"}),
    "b64": Forgery({"b64": False, "crit": ["b64"]}),
    "cty of a nested one": Forgery({"cty": "JWT"}),
    "typ JWT": Forgery({"typ": "JWT"}),
    "typ absent": Forgery({"typ": None}),
    "typ of an ID token": Forgery({"typ": "id+jwt"}),
    "typ in capitals": Forgery({"typ": "AT+JWT "}),
    "aud of something else": Forgery(claims={"aud": "elsewhere"}),
    "aud of the other kind": Forgery(claims={"aud": "other kind"}),
    "aud absent": Forgery(claims={"aud": None}),
    "aud an empty list": Forgery(claims={"aud": []}),
    "aud with a space": Forgery(claims={"aud": "api "}),
    "iss of another": Forgery(claims={"iss": "https://evil.example"}),
    "iss absent": Forgery(claims={"iss": None}),
    "iss a list": Forgery(claims={"iss": ["stroem"]}),
    "exp over": Forgery(claims={"exp": 1}),
    "exp absent": Forgery(claims={"exp": None}),
    "exp a text": Forgery(claims={"exp": "9999999999"}),
    "exp a truth value": Forgery(claims={"exp": True}),
    "exp infinite": Forgery(claims={"exp": float("inf")}),
    "exp a fraction": Forgery(claims={"exp": 4e9}),
    "iat in the future": Forgery(claims={"iat": 4_000_000_000}),
    "iat absent": Forgery(claims={"iat": None}),
    "iat a text": Forgery(claims={"iat": "now"}),
    "nbf in the future": Forgery(claims={"nbf": 4_000_000_000}),
    "sub absent": Forgery(claims={"sub": None}),
    "sub of nobody": Forgery(claims={"sub": "nobody", "token": "0" * 24}),
    "sub a list": Forgery(claims={"sub": ["root"]}),
    "jti absent": Forgery(claims={"jti": None}),
    "cut in the signature": Forgery(text="{head}.{body}.{cut}"),
    "cut in the claims": Forgery(text="{head}"),
    "two signatures": Forgery(text="{head}.{body}.{tail}.{tail}"),
    "encrypted, by its shape": Forgery(text="{head}.{body}.{tail}.a.b"),
    "claims of another": Forgery(text="{head}.e30.{tail}"),
    "header of another": Forgery(text="e30.{body}.{tail}"),
    "a space within": Forgery(text="{head}. {body}.{tail}"),
    "a line's end within": Forgery(text="{head}.{body}\n.{tail}"),
    "a NUL behind": Forgery(text="{head}.{body}.{tail}\0"),
    "in quotes": Forgery(text='"{head}.{body}.{tail}"'),
    "two in a row": Forgery(text="{head}.{body}.{tail}, {head}.{body}.{tail}"),
    "nothing but dots": Forgery(text=".."),
}
