"""A Flask application behind Anteroom that believes nothing but the signed assertion.

    ASSERTION_ISSUER=https://app.example.com ASSERTION_AUDIENCE=portal flask --app app run --port 3000
"""

import os

from flask import Flask, abort, g, jsonify, request

from anteroom_assertion import HEADER, AssertionVerifier, InvalidAssertion

issuer = os.environ["ASSERTION_ISSUER"]
verifier = AssertionVerifier.from_url(
    issuer,
    os.environ["ASSERTION_AUDIENCE"],
    os.environ.get("ASSERTION_JWKS_URL", issuer + "/.anteroom/jwks.json"),
)
app = Flask(__name__)


@app.before_request
def require_assertion():
    try:
        g.user = verifier.verify(request.headers.get(HEADER))
    except InvalidAssertion as error:
        app.logger.warning("request without a valid assertion: %s", error)
        abort(401)


@app.get("/")
def index():
    # `sub` names the person for good; the address may change.
    return jsonify(sub=g.user["sub"], email=g.user.get("email"), role=g.user.get("role"), groups=g.user.get("groups", []))
