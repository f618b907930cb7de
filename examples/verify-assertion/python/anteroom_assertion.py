"""Verify the assertion that Anteroom adds to every signed-in request.

Framework-free: call `AssertionVerifier.verify` with the header's value. Standard: RFC 7519, RFC 8725.
"""

import jwt

HEADER = "X-Anteroom-Assertion"
SKEW_SECONDS = 30


class InvalidAssertion(Exception):
    """The request carries no assertion that proves who makes it. Answer 401 and do no work."""


class AssertionVerifier:
    def __init__(self, issuer, audience, keys):
        """issuer: Anteroom's public_url; audience: this application's id in Anteroom's configuration;
        keys: a function from a key id to a PyJWK, which raises jwt.PyJWTError for an unknown one."""
        self._issuer = issuer
        self._audience = audience
        self._keys = keys

    @classmethod
    def from_url(cls, issuer, audience, jwks_url):
        # One client per process. It keeps the keys for five minutes, and asks again, at most every 5 s, for a key id
        # that it does not know.
        client = jwt.PyJWKClient(jwks_url, lifespan=300, cooldown_duration=5, timeout=5)
        return cls(issuer, audience, client.get_signing_key)

    def verify(self, assertion):
        """The claims of a valid assertion."""
        if not assertion:
            raise InvalidAssertion("no assertion")
        try:
            kid = jwt.get_unverified_header(assertion).get("kid")
            if not isinstance(kid, str):
                raise InvalidAssertion("no key id")
            return jwt.decode(
                assertion,
                self._keys(kid).key,
                # Never taken from the token: RFC 8725 section 3.1.
                algorithms=["ES256"],
                issuer=self._issuer,
                audience=self._audience,
                leeway=SKEW_SECONDS,
                options={"require": ["exp", "iat", "iss", "aud", "sub"], "strict_aud": True},
            )
        except jwt.PyJWTError as error:
            raise InvalidAssertion(str(error)) from error
