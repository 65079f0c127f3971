"""From the `Authorization` header of a request to the principal who asks.

Sources: RFC 6750 (bearer tokens), RFC 7519 and 8725 (JSON Web Tokens and their pitfalls),
Microsoft, "Access token claims reference" and "Groups overage claim".
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import jwt

from lineage import Principal, TransientError
from pipelines.config import ServeConfig
from pipelines.serve.keys import Keys

_MAX_TOKEN = 64 << 10
_LEEWAY_SECONDS = 60


class Refused(Exception):
    """A caller who is not let in. `code` is for programs, `message` for people; both go out."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message


class Authenticator(Protocol):
    """Says who sent a request."""

    def principal(self, authorization: str | None) -> Principal:
        """The caller, by the value of the `Authorization` header.

        Raises:
            Refused: there is no token, or it does not hold.
        """


class OidcTokens:
    """Tokens of one OpenID Connect issuer, such as a Microsoft Entra tenant."""

    def __init__(self, config: ServeConfig) -> None:
        self._config = config
        self._keys = Keys(config.issuer, config.jwks_uri)

    def principal(self, authorization: str | None) -> Principal:
        """See `Authenticator.principal`."""
        claims = self._claims(bearer(authorization))
        user = claims.get(self._config.user_claim)
        if not isinstance(user, str) or not user:
            raise Refused(
                403, "no_user", f"the token has no claim {self._config.user_claim!r} that says who"
            )
        return Principal(user, self._groups(claims))

    def _claims(self, token: str) -> Mapping[str, Any]:
        config = self._config
        try:
            header = jwt.get_unverified_header(token)
            key_id, algorithm = header.get("kid"), header.get("alg")
            if not isinstance(key_id, str) or algorithm not in config.algorithms:
                raise Refused(401, "invalid_token", "the token names no key, or its algorithm is "
                              f"none of {', '.join(config.algorithms)}")  # fmt: skip
            key = self._keys.get(key_id, algorithm)
            if key is None:
                raise Refused(401, "unknown_key", "the token is signed with a key that is not the "
                              "issuer's")  # fmt: skip
            return jwt.decode(
                token,
                key,
                algorithms=list(config.algorithms),
                audience=config.audience,
                issuer=config.issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.ExpiredSignatureError:
            raise Refused(401, "expired_token", "the token has expired") from None
        except jwt.PyJWTError as error:
            raise Refused(401, "invalid_token", f"the token does not hold: {error}") from None
        except TransientError as error:
            raise Refused(503, "issuer_unavailable", str(error)) from error

    def _groups(self, claims: Mapping[str, Any]) -> frozenset[str]:
        """The caller's groups: all of them, or the caller is refused.

        Somebody whose groups are not known may be in a denied one.
        """
        name = self._config.groups_claim
        elsewhere = claims.get("_claim_names")
        if (isinstance(elsewhere, Mapping) and name in elsewhere) or claims.get("hasgroups"):
            raise Refused(
                403,
                "group_overage",
                "the caller is in more groups than a token holds, so it does not say which; assign "
                "the application's groups to it and emit only those",
            )
        if name not in claims:
            if self._config.missing_groups == "none":
                return frozenset()
            raise Refused(
                403, "no_groups", f"the token has no claim {name!r}; have the issuer emit it"
            )
        groups = claims[name]
        if not isinstance(groups, Sequence) or isinstance(groups, str):
            raise Refused(403, "no_groups", f"the token's claim {name!r} is not a list")
        if not all(isinstance(group, str) and group for group in groups):
            raise Refused(403, "no_groups", f"the token's claim {name!r} holds what is no name")
        return frozenset(groups)


class LocalToken:
    """One token, made up for this process, that stands for one fixed principal."""

    def __init__(self, principal: Principal) -> None:
        self.token = secrets.token_urlsafe(32)
        self._principal = principal

    def principal(self, authorization: str | None) -> Principal:
        """See `Authenticator.principal`."""
        token = bearer(authorization)
        if not secrets.compare_digest(token.encode(), self.token.encode()):
            raise Refused(401, "invalid_token", "this is not the token that was printed at start")
        return self._principal


def bearer(authorization: str | None) -> str:
    """The token in the value of an `Authorization` header.

    Raises:
        Refused: there is none.
    """
    if not authorization:
        raise Refused(401, "no_token", "send a token: `Authorization: Bearer TOKEN`")
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > _MAX_TOKEN:
        raise Refused(401, "no_token", "the Authorization header holds no bearer token")
    return token
