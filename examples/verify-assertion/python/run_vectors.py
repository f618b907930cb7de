"""Runs every vector of docs/assertion-vectors through this sample's verifier; exits 1 on a difference.

    python run_vectors.py [FOLDER]
"""

import json
import sys
from datetime import datetime, timezone
from pathlib import Path
from unittest import mock

import jwt

from anteroom_assertion import AssertionVerifier, InvalidAssertion

folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[3] / "docs" / "assertion-vectors")
document = json.loads((folder / "vectors.json").read_text())
key_set = jwt.PyJWKSet.from_json((folder / "jwks.json").read_text())


def key_of(kid):
    for key in key_set.keys:
        if key.key_id == kid:
            return key
    raise jwt.PyJWKClientError(f"no key {kid}")


def verdict(verifier, vector):
    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.fromtimestamp(vector["now"], tz or timezone.utc)

    # PyJWT has no argument for the time.
    with mock.patch("jwt.api_jwt.datetime", Clock):
        try:
            verifier.verify(vector["assertion"])
            return "accept"
        except InvalidAssertion:
            return "refuse"


verifier = AssertionVerifier(document["issuer"], document["audience"], key_of)
wrong = [v for v in document["vectors"] if verdict(verifier, v) != v["verdict"]]
for vector in wrong:
    print(f"WRONG {vector['name']}: expected {vector['verdict']} ({vector['why']})")
print(f"python: {len(document['vectors']) - len(wrong)} of {len(document['vectors'])} vectors as expected")
sys.exit(1 if wrong or not document["vectors"] else 0)
