"""Whose tokens count, and which: signature, issuer, audience, times, groups, keys that rotate."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oidc_issuer import AUDIENCE, Issuer, issuer, key

from lineage import Principal
from pipelines.config import ServeConfig
from pipelines.serve import keys
from pipelines.serve.tokens import LocalToken, OidcTokens, Refused

SLOW = [HealthCheck.too_slow]
"""What a busy machine may trip."""


@pytest.fixture
def entra() -> Iterator[Issuer]:
    with issuer() as running:
        yield running


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """The time that passes for cached keys."""
    passed = {"seconds": 0.0}
    real = time.monotonic
    monkeypatch.setattr(keys.time, "monotonic", lambda: real() + passed["seconds"])
    return passed


def tokens(entra: Issuer, **settings: Any) -> OidcTokens:
    return OidcTokens(ServeConfig(issuer=entra.address, audience=AUDIENCE, **settings))


def refused(verifier: Any, token: str | None) -> Refused:
    with pytest.raises(Refused) as caught:
        verifier.principal(None if token is None else f"Bearer {token}")
    return caught.value


def test_a_valid_token_says_who_asks(entra: Issuer) -> None:
    verifier = tokens(entra)
    token = entra.token("amy", ("hr", "staff"))
    assert verifier.principal(f"Bearer {token}") == Principal("amy", frozenset({"hr", "staff"}))
    assert verifier.principal(f"bearer  {token}").user == "amy"
    assert verifier.principal(f"Bearer {entra.token('bob', ())}") == Principal("bob")


def test_keys_are_asked_for_once(entra: Issuer) -> None:
    verifier = tokens(entra)
    for n in range(20):
        verifier.principal(f"Bearer {entra.token(f'user-{n}')}")
    assert entra.asked == ["/.well-known/openid-configuration", "/keys"]


def forged(token: str, **header: Any) -> str:
    """The token with another header and its signature as it was."""
    head, body, signature = token.split(".")
    padded = base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))
    changed = json.dumps(json.loads(padded) | header).encode()
    return ".".join([base64.urlsafe_b64encode(changed).decode().rstrip("="), body, signature])


def hmac_with_the_public_key(entra: Issuer) -> str:
    """The classical confusion: a token signed with the public key as if it were a secret."""
    import hashlib
    import hmac

    from cryptography.hazmat.primitives import serialization

    public = key("k1").public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )  # fmt: skip
    head, body, _ = forged(entra.token(), alg="HS256").split(".")
    mac = hmac.new(public, f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


@pytest.mark.parametrize(
    ("make", "status", "code"),
    [
        (lambda e: e.token(signed_by="stranger"), 401, "unknown_key"),
        (lambda e: e.token(signed_by="stranger", headers={"kid": "k1"}), 401, "invalid_token"),
        (lambda e: e.token(iss="https://elsewhere.example"), 401, "invalid_token"),
        (lambda e: e.token(iss=None), 401, "invalid_token"),
        (lambda e: e.token(aud="api://other"), 401, "invalid_token"),
        (lambda e: e.token(aud=None), 401, "invalid_token"),
        (lambda e: e.token(exp=int(time.time()) - 90), 401, "expired_token"),
        (lambda e: e.token(exp=None), 401, "invalid_token"),
        (lambda e: e.token(nbf=int(time.time()) + 3600), 401, "invalid_token"),
        (lambda e: forged(e.token(), alg="none"), 401, "invalid_token"),
        (lambda e: forged(e.token(), kid=None), 401, "invalid_token"),
        (lambda e: forged(e.token(), kid="../k1"), 401, "unknown_key"),
        (lambda e: forged(e.token(), typ="other"), 401, "invalid_token"),
        (hmac_with_the_public_key, 401, "invalid_token"),
        (lambda e: jwt.encode({"oid": "amy"}, None, algorithm="none"), 401, "invalid_token"),
        (lambda e: e.token()[:-6] + "AAAAAA", 401, "invalid_token"),
        (lambda e: "not.a.token", 401, "invalid_token"),
        (lambda e: "x" * 70_000, 401, "no_token"),
        (lambda e: None, 401, "no_token"),
        (lambda e: e.token(None), 403, "no_user"),
        (lambda e: e.token(oid=7), 403, "no_user"),
        (lambda e: e.token(groups=None), 403, "no_groups"),
        (lambda e: e.token(groups="hr"), 403, "no_groups"),
        (lambda e: e.token(groups=["hr", 7]), 403, "no_groups"),
        (lambda e: e.token(groups=None, _claim_names={"groups": "src1"}), 403, "group_overage"),
        (lambda e: e.token(groups=["hr"], _claim_names={"groups": "s"}), 403, "group_overage"),
        (lambda e: e.token(groups=None, hasgroups=True), 403, "group_overage"),
    ],
)  # fmt: skip
def test_what_is_refused(entra: Issuer, make: Any, status: int, code: str) -> None:
    problem = refused(tokens(entra), make(entra))
    assert (problem.status, problem.code) == (status, code)


def test_a_caller_without_groups_can_be_declared_to_be_in_none(entra: Issuer) -> None:
    verifier = tokens(entra, missing_groups="none")
    assert verifier.principal(f"Bearer {entra.token(groups=None)}") == Principal("amy")
    assert refused(verifier, entra.token(groups=None, hasgroups=True)).code == "group_overage"


def test_keys_rotate(entra: Issuer, clock: dict[str, float]) -> None:
    verifier = tokens(entra)
    verifier.principal(f"Bearer {entra.token()}")
    entra.published = ["k1", "k2"]
    # Within half a minute made-up key ids cause no request; after it, the new key is found.
    for n in range(5):
        assert refused(verifier, entra.token(signed_by="k2", headers={"kid": f"{n}"})).status == 401
    assert len(entra.asked) == 2
    clock["seconds"] += 31
    verifier.principal(f"Bearer {entra.token(signed_by='k2')}")
    entra.published = ["k2"]
    clock["seconds"] += 3_601
    assert refused(verifier, entra.token(signed_by="k1")).code == "unknown_key"
    verifier.principal(f"Bearer {entra.token(signed_by='k2')}")


def test_an_issuer_that_is_away(entra: Issuer, clock: dict[str, float]) -> None:
    verifier = tokens(entra)
    entra.down = True
    assert refused(verifier, entra.token()).code == "issuer_unavailable"
    entra.down = False
    clock["seconds"] += 31
    verifier.principal(f"Bearer {entra.token()}")
    entra.down = True
    clock["seconds"] += 3_601
    verifier.principal(f"Bearer {entra.token()}")  # with the keys that are known
    clock["seconds"] += 24 * 3_600
    assert refused(verifier, entra.token(exp=int(time.time()) + 10**6)).code == "issuer_unavailable"


def test_keys_that_name_no_algorithm(entra: Issuer) -> None:
    """As those of Microsoft Entra."""
    entra.named_algorithm = None
    verifier = tokens(entra, algorithms=("RS256", "RS512", "ES256"))
    for algorithm in ("RS256", "RS512"):
        token = entra.token("amy", algorithm=algorithm)
        assert verifier.principal(f"Bearer {token}").user == "amy"
    assert refused(verifier, entra.token(algorithm="PS256")).code == "invalid_token"
    assert refused(verifier, forged(entra.token(), alg="ES256")).code == "invalid_token"


def test_a_key_is_for_the_algorithm_that_it_names(entra: Issuer) -> None:
    verifier = tokens(entra, algorithms=("RS256", "RS512"))
    assert refused(verifier, entra.token(algorithm="RS512")).code == "unknown_key"


def test_a_discovery_document_of_another_issuer_is_not_believed(entra: Issuer) -> None:
    entra.claimed_name = "https://elsewhere.example"
    assert refused(tokens(entra), entra.token()).code == "issuer_unavailable"


def test_keys_at_an_address_of_their_own(entra: Issuer) -> None:
    verifier = tokens(entra, jwks_uri=f"{entra.address}/keys")
    assert verifier.principal(f"Bearer {entra.token()}").user == "amy"
    assert entra.asked == ["/keys"]


def test_the_token_of_a_local_principal() -> None:
    verifier = LocalToken(Principal("amy", frozenset({"hr"})))
    assert verifier.principal(f"Bearer {verifier.token}").user == "amy"
    assert refused(verifier, "other").code == "invalid_token"
    assert refused(verifier, "é").code == "invalid_token"
    assert LocalToken(Principal()).token != verifier.token


@settings(deadline=None, suppress_health_check=SLOW)
@given(st.text(max_size=200) | st.none())
def test_no_header_at_all_lets_anybody_in(value: str | None) -> None:
    with pytest.raises(Refused):
        OidcTokens(ServeConfig(issuer="https://issuer.invalid", audience="a")).principal(value)
