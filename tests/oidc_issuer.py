"""An OpenID Connect issuer on this machine: discovery, keys that rotate, and tokens."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from http_service import Answering, serving

AUDIENCE = "api://gristmill"


@lru_cache
def key(name: str) -> rsa.RSAPrivateKey:
    """A private key of its own for each name."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class Issuer:
    """A running issuer."""

    address: str = ""
    published: list[str] = field(default_factory=lambda: ["k1"])
    """Names of the keys that it shows."""
    down: bool = False
    asked: list[str] = field(default_factory=list)
    claimed_name: str | None = None
    """What its discovery document calls it, if not what it is."""
    named_algorithm: str | None = "RS256"

    def jwks(self) -> dict[str, Any]:
        keys = []
        for name in self.published:
            public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key(name).public_key()))
            named = {"alg": self.named_algorithm} if self.named_algorithm else {}
            keys.append({**public, "kid": name, "use": "sig", **named})
        return {"keys": keys}

    def token(
        self,
        user: str | None = "amy",
        groups: Any = (),
        *,
        signed_by: str = "k1",
        algorithm: str = "RS256",
        headers: dict[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """A token as Entra would write it; a claim of None is left out."""
        now = int(time.time())
        values = {
            "iss": self.address, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 600,
            "oid": user, "groups": list(groups) if isinstance(groups, tuple) else groups,
        } | claims  # fmt: skip
        values = {name: value for name, value in values.items() if value is not None}
        head = {"kid": signed_by} | (headers or {})
        return jwt.encode(values, key(signed_by), algorithm=algorithm, headers=head)


@contextmanager
def issuer() -> Iterator[Issuer]:
    """An issuer on a free port."""
    running = Issuer()

    class Handler(Answering):
        def do_GET(self) -> None:
            running.asked.append(self.path)
            values = {
                "/.well-known/openid-configuration": {
                    "issuer": running.claimed_name or running.address,
                    "jwks_uri": f"{running.address}/keys",
                },
                "/keys": running.jwks(),
            }
            if running.down or self.path not in values:
                self.say(503 if running.down else 404)
            else:
                self.say(200, json.dumps(values[self.path]).encode())

    with serving(Handler) as running.address:
        yield running
