"""The signing keys of an OpenID Connect issuer: found, cached, and renewed when they rotate.

Sources: OpenID Connect Discovery 1.0; RFC 7517 (JSON Web Key).
"""

from __future__ import annotations

import json
import logging
import threading
import time
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import jwt

from lineage import TransientError

_LOG = logging.getLogger(__name__)
_FRESH_SECONDS = 3600.0
_STALE_SECONDS = 24 * 3600.0
"""How long keys are used whose issuer does not answer."""
_UNKNOWN_KEY_SECONDS = 30.0
"""Between two looks for a key that nobody has heard of: made-up key ids must not become load."""
_TIMEOUT_SECONDS = 5.0
_MAX_BYTES = 1 << 20
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Keys:
    """The keys of one issuer by their id. Nothing is asked until the first one is wanted.

    Args:
        issuer: as tokens name it.
        jwks_uri: where the keys are; null to take it from the issuer's discovery document.
    """

    def __init__(self, issuer: str, jwks_uri: str | None = None) -> None:
        self._issuer = issuer
        self._jwks_uri = jwks_uri
        self._keys: dict[str, dict[str, Any]] = {}
        self._read_at = float("-inf")
        self._tried_at = float("-inf")
        self._lock = threading.Lock()

    def get(self, key_id: str, algorithm: str) -> jwt.PyJWK | None:
        """The key called `key_id`, for signatures of `algorithm`; null when there is none such.

        Raises:
            PyJWKError, InvalidKeyError: the key is not of a kind for that algorithm.
            TransientError: the issuer does not answer and no key of it is known.
        """
        # Whoever has a key need not wait for somebody else's look at the issuer; whoever has none
        # waits for its end, since it may bring the key.
        known = key_id in self._keys
        if (not known or self._due(key_id)) and self._lock.acquire(blocking=not known):
            try:
                if self._due(key_id):
                    self._renew()
            finally:
                self._lock.release()
        if time.monotonic() - self._read_at >= _STALE_SECONDS:
            raise TransientError(f"the keys of {self._issuer} cannot be read; try again later")
        value = self._keys.get(key_id)
        # Microsoft's keys do not name an algorithm; where one is named, no other will do.
        if value is None or value.get("alg", algorithm) != algorithm:
            return None
        return jwt.PyJWK(value, algorithm)

    def _due(self, key_id: str) -> bool:
        now = time.monotonic()
        wanted = key_id not in self._keys or now - self._read_at >= _FRESH_SECONDS
        return wanted and now - self._tried_at >= _UNKNOWN_KEY_SECONDS

    def _renew(self) -> None:
        self._tried_at = time.monotonic()
        try:
            self._keys = self._fetch()
            self._read_at = time.monotonic()
        except (OSError, ValueError) as error:
            _LOG.warning("the keys of %s cannot be read: %s", self._issuer, error)

    def _fetch(self) -> dict[str, dict[str, Any]]:
        where = self._jwks_uri or self._discovered()
        found = read_json(where).get("keys")
        keys = {}
        for value in found if isinstance(found, list) else []:
            usable = isinstance(value, dict) and isinstance(value.get("kid"), str)
            # A shared secret is no key of an issuer: whoever checks with it could sign.
            if usable and value.get("use", "sig") == "sig" and value.get("kty") != "oct":
                keys[value["kid"]] = value
        if not keys:
            raise ValueError(f"{where} holds no key for signatures")
        return keys

    def _discovered(self) -> str:
        place = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
        found = read_json(place)
        if found.get("issuer") != self._issuer:
            raise ValueError(f"{place} is of the issuer {found.get('issuer')!r}")
        where = found.get("jwks_uri")
        if not isinstance(where, str) or not is_safe(where):
            raise ValueError(f"{place} names no https address of keys")
        return where


def is_safe(address: str) -> bool:
    """Whether what is read there cannot have been altered on the way: https, or this machine."""
    parts = urlsplit(address)
    if parts.scheme == "https":
        return bool(parts.hostname)
    return parts.scheme == "http" and parts.hostname in _LOOPBACK


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def read_json(address: str) -> dict[str, Any]:
    """The JSON object at an address, no redirects followed, of a bounded size.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no JSON object, or too large.
    """
    opener = urllib.request.build_opener(_NoRedirects)
    request = urllib.request.Request(address, headers={"Accept": "application/json"})
    with opener.open(request, timeout=_TIMEOUT_SECONDS) as answer:
        data = answer.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise ValueError(f"{address} holds more than {_MAX_BYTES} bytes")
    value = json.loads(data)
    if not isinstance(value, dict):
        raise ValueError(f"{address} holds no JSON object")
    return value
