"""An OpenID provider in memory, which says whatever a test lets it say, with real signatures."""

from __future__ import annotations

import json
from base64 import b64decode, urlsafe_b64encode
from functools import cache
from hashlib import sha256
from urllib.parse import parse_qs, unquote_plus, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from chalicelib.auth.web import WebAnswer
from chalicelib.domain.errors import UnavailableError
from chalicelib.domain.oidc import Provider

ISSUER = "https://id.example"
CLIENT = "stroem"
CLIENT_SECRET = "s3cret of the client/+"
KEY = "k" * 40
BASE_URL = "https://stroem.example"


def a_provider(**given) -> Provider:
    return Provider(
        **{
            "provider_id": "demo",
            "display_name": "Demo",
            "issuer_url": ISSUER,
            "client_id": CLIENT,
            "client_secret": CLIENT_SECRET,
            "default_groups": ("staff",),
        }
        | given
    )


@cache
def rsa_key(name="one"):
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def ec_key():
    return ec.generate_private_key(ec.SECP256R1())


@cache
def ed_key():
    return ed25519.Ed25519PrivateKey.generate()


KINDS = {
    "RS256": (rsa_key, jwt.algorithms.RSAAlgorithm),
    "PS256": (rsa_key, jwt.algorithms.RSAAlgorithm),
    "ES256": (ec_key, jwt.algorithms.ECAlgorithm),
    "EdDSA": (ed_key, jwt.algorithms.OKPAlgorithm),
}


def as_jwk(private_key, algorithm="RS256", **given):
    """Return the public half; what is given as None is left out."""
    said = KINDS[algorithm][1].to_jwk(private_key.public_key(), as_dict=True)
    said |= {"kid": "one", "use": "sig", "alg": algorithm} | given
    return {name: value for name, value in said.items() if value is not None}


class FakeOpenid:
    """The port `Web`, with one provider behind it. `down`: nothing answers."""

    def __init__(self, clock, issuer=ISSUER, client=CLIENT):
        self.clock, self.issuer, self.client = clock, issuer, client
        self.down = False
        self.keys = [as_jwk(rsa_key())]
        self.signing, self.algorithm = rsa_key(), "RS256"
        self.headers = {"kid": "one"}
        self.described = {}
        self.claims = {}
        self.info = None
        self.bodies = {}
        self.asked = []
        self.codes = {}

    def get(self, url, headers):
        path = self._path(url)
        self.asked.append(path)
        if path in self.bodies:
            return self.bodies[path]
        match path:
            case "/.well-known/openid-configuration":
                return self._json(self.discovery())
            case "/jwks":
                return self._json({"keys": self.keys})
            case "/me":
                assert headers["Authorization"] == "Bearer the-access-token"
                return self._json(self.info)
        return WebAnswer(404, b"")

    def post(self, url, fields, headers):
        path = self._path(url)
        self.asked.append(path)
        if path in self.bodies:
            return self.bodies[path]
        said = self.codes.pop(fields["code"], None)
        if said is None or not self._is_ours(said, fields, headers):
            return self._json({"error": "invalid_grant"}, 400)
        token = self.id_token(nonce=said["nonce"])
        return self._json({"id_token": token, "access_token": "the-access-token"})

    def discovery(self):
        places = {
            "authorization_endpoint": "/auth",
            "token_endpoint": "/token",
            "jwks_uri": "/jwks",
            "userinfo_endpoint": "/me",
        }
        said = {name: self.issuer + path for name, path in places.items()}
        said |= {"issuer": self.issuer, "authorization_response_iss_parameter_supported": True}
        said |= self.described
        return {name: value for name, value in said.items() if value is not None}

    def let_in(self, address):
        """Answer a browser that was sent to that address: return the query it goes back with."""
        said = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        code = f"code-{len(self.codes)}"
        self.codes[code] = said
        return {"code": code, "state": said["state"], "iss": self.issuer}

    def standard(self, nonce):
        now = int(self.clock.now().timestamp())
        return {
            "iss": self.issuer,
            "aud": self.client,
            "sub": "subject-1",
            "iat": now,
            "exp": now + 300,
            "nonce": nonce,
            "email": "ada@example.org",
            "email_verified": True,
            "name": "Ada",
        }

    def id_token(self, nonce):
        claims = self.standard(nonce) | self.claims
        claims = {name: value for name, value in claims.items() if value is not None}
        headers = {name: value for name, value in self.headers.items() if value is not None}
        return jwt.encode(claims, self.signing, self.algorithm, headers=headers)

    def _is_ours(self, said, fields, headers):
        challenge = urlsafe_b64encode(sha256(fields["code_verifier"].encode()).digest())
        return (
            fields["grant_type"] == "authorization_code"
            and fields["redirect_uri"] == said["redirect_uri"]
            and challenge.rstrip(b"=").decode() == said["code_challenge"]
            and self._authenticates(fields, headers)
        )

    def _authenticates(self, fields, headers):
        kind, _, pair = headers.get("Authorization", "").partition(" ")
        if kind == "Basic":
            given = tuple(map(unquote_plus, b64decode(pair).decode().split(":")))
        else:
            given = (fields.get("client_id"), fields.get("client_secret"))
        return given == (self.client, CLIENT_SECRET)

    def _path(self, url):
        if self.down:
            raise UnavailableError("id.example did not answer (TimeoutError): try again")
        assert url.startswith(f"{self.issuer}/"), url
        return url.removeprefix(self.issuer)

    def _json(self, said, status=200):
        return WebAnswer(status, json.dumps(said).encode())
