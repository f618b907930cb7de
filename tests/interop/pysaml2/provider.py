"""An identity provider of PyPI's pysaml2 on loopback: its own parsing, signing and encrypting (by xmlsec1), and around
it the pages and the sessions that the library leaves to whoever uses it.

    provider.py SETTINGS.json

Settings: `port`, `origin`, `directory` (where key pairs are: NAME.pem and NAME.crt), `people` by address. It writes
"listening" when it listens. What tests change while it runs they post as JSON to /control.
"""

import functools
import json
import secrets
import sys
import threading
import time
from html import escape
from http import HTTPStatus
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT, entity, samlp
from saml2.config import IdPConfig
from saml2.metadata import entity_descriptor
from saml2.s_utils import UnsupportedBinding
from saml2.saml import NAME_FORMAT_URI, NAMEID_FORMAT_EMAILADDRESS, NAMEID_FORMAT_PERSISTENT, NAMEID_FORMAT_TRANSIENT
from saml2.server import Server
from saml2.sigver import pre_encryption_part, verify_redirect_signature
from saml2.xmldsig import DIGEST_SHA1, DIGEST_SHA256, SIG_RSA_SHA1, SIG_RSA_SHA256

PASSWORD_PROTECTED = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
NAME_ID_FORMATS = {
    "persistent": NAMEID_FORMAT_PERSISTENT,
    "transient": NAMEID_FORMAT_TRANSIENT,
    "email": NAMEID_FORMAT_EMAILADDRESS,
}

# SHA-1 is what the library signs with if nobody says otherwise.
HASHES = {"sha1": (SIG_RSA_SHA1, DIGEST_SHA1), "sha256": (SIG_RSA_SHA256, DIGEST_SHA256)}

# The library encrypts with triple DES and lets nobody choose: its template and its session key, made to agree.
CIPHERS = {
    "aes128-cbc": ("http://www.w3.org/2001/04/xmlenc#aes128-cbc", "aes-128"),
    "aes256-cbc": ("http://www.w3.org/2001/04/xmlenc#aes256-cbc", "aes-256"),
    "aes128-gcm": ("http://www.w3.org/2009/xmlenc11#aes128-gcm", "aes-128"),
    "aes256-gcm": ("http://www.w3.org/2009/xmlenc11#aes256-gcm", "aes-256"),
    "3des": ("http://www.w3.org/2001/04/xmlenc#tripledes-cbc", "des-192"),
}


class IdentityProvider(Server):
    """The library's, which also says which assertion it made last."""

    def setup_assertion(self, *args, **kwargs):
        self.issued = super().setup_assertion(*args, **kwargs)
        return self.issued

    def encrypt_with(self, cipher):
        method, key_type = CIPHERS[cipher]
        entity.pre_encryption_part = functools.partial(pre_encryption_part, msg_enc=method)
        self.sec.encrypt_assertion = functools.partial(self.sec.encrypt_assertion, key_type=key_type)


class University:
    """The provider with its sessions. One request at a time: the library keeps state between its steps."""

    def __init__(self, settings):
        self.origin = settings["origin"]
        self.directory = settings["directory"]
        self.people = settings["people"]
        self.entity_id = f"{self.origin}/metadata"
        self.lock = threading.Lock()
        self.options = {
            "sign": "assertion",
            "hash": "sha256",
            "cipher": None,
            "want_signed_requests": False,
            "name_id": "persistent",
            "slo": ["redirect", "post"],
            "slo_by": "redirect",
            "sign_with": "first",
            "publish": ["first"],
        }
        self.service_provider = None
        # What the library recognised, newest last.
        self.seen = []
        self.pending = {}
        # Browser sessions: address, and for each sign-in somewhere its NameID and session index.
        self.sessions = {}
        self.identities = None
        self.build()

    def build(self):
        """The library reads its configuration once: anew after each change."""
        options = self.options
        signature, digest = HASHES[options["hash"]]
        both = ((BINDING_HTTP_REDIRECT, "redirect"), (BINDING_HTTP_POST, "post"))
        endpoints = {
            "single_sign_on_service": [(f"{self.origin}/sso/{name}", binding) for binding, name in both],
            "single_logout_service": [
                (f"{self.origin}/slo/{name}", binding) for binding, name in both if name in options["slo"]
            ],
        }
        config = {
            "entityid": self.entity_id,
            "xmlsec_binary": "/usr/bin/xmlsec1",
            "key_file": f"{self.directory}/{options['sign_with']}.pem",
            "cert_file": f"{self.directory}/{options['sign_with']}.crt",
            "accepted_time_diff": 60,
            "service": {
                "idp": {
                    "name": "University",
                    "endpoints": {name: places for name, places in endpoints.items() if places},
                    "policy": {"default": {"lifetime": {"minutes": 5}, "name_form": NAME_FORMAT_URI}},
                    "name_id_format": list(NAME_ID_FORMATS.values()),
                    "want_authn_requests_signed": options["want_signed_requests"],
                    "signing_algorithm": signature,
                    "digest_algorithm": digest,
                }
            },
        }
        if self.service_provider:
            config["metadata"] = {"inline": [self.service_provider]}
        loaded = IdPConfig().load(config)
        self.idp = IdentityProvider(config=loaded)
        if self.identities:
            self.idp.ident = self.identities
        self.identities = self.idp.ident
        if options["cipher"]:
            self.idp.encrypt_with(options["cipher"])
        published, *others = [f"{self.directory}/{name}.crt" for name in options["publish"]]
        description = {**config, "cert_file": published, "additional_cert_files": others}
        self.metadata = str(entity_descriptor(IdPConfig().load(description)))

    def control(self, changes):
        """Takes over what tests want, and says what there is to know."""
        self.service_provider = changes.pop("service_provider", self.service_provider)
        forget = changes.pop("forget_browsers", False)
        unknown = set(changes) - set(self.options)
        if unknown:
            raise KeyError(f"no such option: {unknown}")
        self.options.update(changes)
        self.build()
        if forget:
            self.sessions.clear()
        addresses = [session["address"] for session in self.sessions.values()]
        return {"sessions": addresses, "seen": self.seen, "entity_id": self.entity_id}

    # Sign-in

    def authn_request(self, binding, form):
        """What was asked; the library judges it and, where it must be signed, its signature."""
        request = self.idp.parse_authn_request(
            form["SAMLRequest"],
            binding,
            relay_state=form.get("RelayState"),
            sigalg=form.get("SigAlg"),
            signature=form.get("Signature"),
        )
        self.note("AuthnRequest", binding, form, request)
        message = request.message
        args = self.idp.response_args(message, [BINDING_HTTP_POST])
        return {
            "in_response_to": message.id,
            "destination": args["destination"],
            "sp_entity_id": message.issuer.text,
            "name_id_policy": message.name_id_policy,
            "relay_state": form.get("RelayState", ""),
            "force": message.force_authn == "true",
            "passive": message.is_passive == "true",
        }

    def note(self, kind, binding, form, request):
        message = request.message
        post = binding == BINDING_HTTP_POST
        signed = message.signature is not None if post else "Signature" in form
        if signed and not post:
            certificates = self.idp.metadata.certs(message.issuer.text, "any", "signing")
            signed = any(
                verify_redirect_signature(
                    {name: form[name] for name in ("SAMLRequest", "RelayState", "SigAlg", "Signature") if name in form},
                    self.idp.sec.sec_backend,
                    certificate,
                )
                for _, certificate in certificates
            )
        # In a form the library has checked a signature that is there, whether or not one is wanted.
        self.seen.append({"kind": kind, "binding": "post" if post else "redirect", "signed": signed, "id": message.id})

    def unsolicited(self):
        """The sign-in that begins here: to the only service provider there is."""
        [sp_entity_id] = self.idp.metadata.keys()
        binding, destination = self.idp.pick_binding(
            "assertion_consumer_service", [BINDING_HTTP_POST], "spsso", entity_id=sp_entity_id
        )
        assert binding == BINDING_HTTP_POST
        return {
            "in_response_to": None,
            "destination": destination,
            "sp_entity_id": sp_entity_id,
            "name_id_policy": None,
            "relay_state": "https://elsewhere.example/",
            "force": False,
            "passive": False,
        }

    def answer(self, asked, session):
        """The form that takes an assertion about whoever is signed in to the service provider."""
        address = session["address"]
        person = self.people[address]
        options = self.options
        identity = {
            "mail": [address],
            "displayName": [person["name"]],
            "eduPersonPrincipalName": [address],
            "isMemberOf": person["groups"],
            "eduPersonEntitlement": person.get("roles", []),
        }
        policy = asked["name_id_policy"]
        if policy is None or policy.format in (None, "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"):
            policy = samlp.NameIDPolicy(format=NAME_ID_FORMATS[options["name_id"]], allow_create="true")
        name_id = None
        if policy.format == NAMEID_FORMAT_EMAILADDRESS:
            name_id = self.idp.ident.get_nameid(address, policy.format, asked["sp_entity_id"], self.entity_id)
            name_id.text = address
        response = self.idp.create_authn_response(
            {name: values for name, values in identity.items() if values},
            asked["in_response_to"],
            asked["destination"],
            asked["sp_entity_id"],
            name_id_policy=policy,
            userid=address,
            name_id=name_id,
            authn={"class_ref": PASSWORD_PROTECTED, "authn_auth": self.entity_id, "authn_instant": session["since"]},
            sign_response=options["sign"] in ("response", "both"),
            sign_assertion=options["sign"] in ("assertion", "both"),
            encrypt_assertion=options["cipher"] is not None,
        )
        issued = self.idp.issued
        [statement] = issued.authn_statement if isinstance(issued.authn_statement, list) else [issued.authn_statement]
        session["signed_in_at"].append(
            {
                "service_provider": asked["sp_entity_id"],
                "name_id": issued.subject.name_id,
                "session_index": statement.session_index,
            }
        )
        return self.form(response, asked)

    def refusal(self, asked, sub_status, text):
        response = self.idp.create_error_response(
            asked["in_response_to"], asked["destination"], (sub_status, text), sign=True
        )
        return self.form(response, asked)

    def form(self, response, asked):
        return self.idp.apply_binding(
            BINDING_HTTP_POST, str(response), asked["destination"], asked["relay_state"], response=True, sign=False
        )

    # Sign-out

    def logout_request(self, binding, form):
        """A service provider ends a session: here too."""
        request = self.idp.parse_logout_request(
            form["SAMLRequest"],
            binding,
            relay_state=form.get("RelayState"),
            sigalg=form.get("SigAlg"),
            signature=form.get("Signature"),
        )
        self.note("LogoutRequest", binding, form, request)
        message = request.message
        named, indexes = message.name_id.text, [index.text for index in message.session_index]
        for cookie, session in list(self.sessions.items()):
            if any(
                entry["name_id"].text == named and (not indexes or entry["session_index"] in indexes)
                for entry in session["signed_in_at"]
            ):
                del self.sessions[cookie]
        answer_by, destination = self.to_service_provider(message.issuer.text, response=True)
        post = answer_by == BINDING_HTTP_POST
        response = self.idp.create_logout_response(message, [answer_by], sign=post)
        response = str(response)
        return self.idp.apply_binding(
            answer_by, response, destination, form.get("RelayState", ""), response=True, sign=not post
        )

    def to_service_provider(self, entity_id, response=False):
        bindings = {"redirect": BINDING_HTTP_REDIRECT, "post": BINDING_HTTP_POST}
        first = bindings[self.options["slo_by"]]
        places = self.idp.metadata.single_logout_service(entity_id, first, "spsso")
        if not places:
            raise UnsupportedBinding(first)
        place = places[0]
        return first, (response and place.get("response_location")) or place["location"]

    def sign_out(self, session):
        """The sign-out that begins here: a request to where that browser signed in last."""
        entry = session["signed_in_at"][-1]
        binding, destination = self.to_service_provider(entry["service_provider"])
        post = binding == BINDING_HTTP_POST
        _, message = self.idp.create_logout_request(
            destination,
            entry["service_provider"],
            name_id=entry["name_id"],
            session_indexes=[entry["session_index"]],
            sign=post,
        )
        return self.idp.apply_binding(binding, str(message), destination, "signed-out-here", sign=not post)

    def logout_response(self, binding, form):
        """A service provider's answer to `sign_out`."""
        answer = self.idp.parse_logout_request_response(form["SAMLResponse"], binding)
        self.seen.append({"kind": "LogoutResponse", "ok": answer.status_ok(), "relay_state": form.get("RelayState")})
        return answer.status_ok()


def page(title, body=""):
    return f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><h1>{title}</h1>{body}</html>'


class Handler(BaseHTTPRequestHandler):
    university: University
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.dispatch(dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True)))

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        if self.path == "/control":
            self.guarded(lambda: self.send(json.dumps(self.university.control(json.loads(body))), "application/json"))
            return
        self.dispatch(dict(parse_qsl(body, keep_blank_values=True)))

    def guarded(self, act):
        try:
            with self.university.lock:
                act()
        except Exception as error:  # noqa: BLE001 a page for whatever the library refuses: the test reads it
            print(f"refused: {error!r}", file=sys.stderr, flush=True)
            text = escape(f"{type(error).__name__}: {error}")
            self.send(page("The provider refuses", f"<p>{text}</p>"), status=HTTPStatus.BAD_REQUEST)

    def dispatch(self, form):
        pages = {
            "/metadata": self.metadata,
            "/sso/redirect": lambda form: self.sso(BINDING_HTTP_REDIRECT, form),
            "/sso/post": lambda form: self.sso(BINDING_HTTP_POST, form),
            "/login": self.login,
            "/my-apps": self.my_apps,
            "/slo/redirect": lambda form: self.slo(BINDING_HTTP_REDIRECT, form),
            "/slo/post": lambda form: self.slo(BINDING_HTTP_POST, form),
            "/sign-out": self.sign_out,
        }
        act = pages.get(urlsplit(self.path).path)
        if act is None:
            self.send(page("Nothing here"), status=HTTPStatus.NOT_FOUND)
        else:
            self.guarded(lambda: act(form))

    def metadata(self, _form):
        self.send(self.university.metadata, "application/samlmetadata+xml")

    def sso(self, binding, form):
        self.ask_or_answer(self.university.authn_request(binding, form))

    def my_apps(self, _form):
        self.ask_or_answer(self.university.unsolicited())

    def ask_or_answer(self, asked):
        session = self.session()
        if session and not asked["force"]:
            self.relay(self.university.answer(asked, session))
        elif asked["passive"]:
            self.relay(self.university.refusal(asked, samlp.STATUS_NO_PASSIVE, "nobody is signed in"))
        else:
            ticket = secrets.token_urlsafe(16)
            self.university.pending[ticket] = asked
            self.send(
                page(
                    "University sign-in",
                    f'<form method="post" action="/login"><input type="hidden" name="ticket" value="{ticket}">'
                    '<label>Address <input name="address"></label> <button>Sign in</button> '
                    '<button name="cancel" value="yes">Cancel</button></form>',
                )
            )

    def login(self, form):
        university = self.university
        asked = university.pending.pop(form["ticket"])
        address = form.get("address")
        if "cancel" in form or address not in university.people:
            self.relay(university.refusal(asked, samlp.STATUS_AUTHN_FAILED, "the person cancelled"))
            return
        cookie = secrets.token_urlsafe(24)
        session = {"address": address, "since": int(time.time()), "signed_in_at": []}
        university.sessions[cookie] = session
        self.relay(university.answer(asked, session), cookie)

    def slo(self, binding, form):
        if "SAMLRequest" in form:
            self.relay(self.university.logout_request(binding, form))
        elif self.university.logout_response(binding, form):
            self.send(page("You are signed out of the university"))
        else:
            self.send(page("Signed out here, and not everywhere"))

    def sign_out(self, _form):
        session = self.session()
        to = self.university.sign_out(session)
        del self.university.sessions[self.cookie()]
        self.relay(to)

    def cookie(self):
        found = SimpleCookie(self.headers.get("cookie", "")).get("university")
        return found and found.value

    def session(self):
        return self.university.sessions.get(self.cookie())

    def relay(self, http, cookie=None):
        """What the library made of a binding: a redirect or a form that sends itself."""
        headers = [("set-cookie", f"university={cookie}; Path=/; HttpOnly; SameSite=Lax")] if cookie else []
        location = dict(http["headers"]).get("Location")
        if location:
            self.send("", status=HTTPStatus.SEE_OTHER, headers=[*headers, ("location", location)])
        else:
            self.send(http["data"] if isinstance(http["data"], str) else "".join(http["data"]), headers=headers)

    def send(self, text, content_type="text/html; charset=utf-8", status=HTTPStatus.OK, headers=()):
        body = text.encode()
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        settings = json.load(file)
    Handler.university = University(settings)
    server = ThreadingHTTPServer(("127.0.0.1", settings["port"]), Handler)
    server.daemon_threads = True
    print("listening", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
