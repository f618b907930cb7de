"""What it costs to verify a SAML response (RSA-2048, signed assertion, 8 KB): ours, all rules included, beside xmlsec1 of
Debian and signxml and python3-saml of PyPI, on one core and with one and the same document."""

import base64
import datetime
import statistics
import subprocess
import sys
import venv

from .process import Failure, free_ports

TIMES = 2000
ISSUER = "https://idp.bench.example/metadata"
REQUEST = "_bench-request-0123456789abcdef"

RESPONSE = """<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_response1" Version="2.0" IssueInstant="{now}" Destination="{acs}" InResponseTo="{request}"><saml:Issuer>{issuer}</saml:Issuer><samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status><saml:Assertion ID="_assertion1" Version="2.0" IssueInstant="{now}"><saml:Issuer>{issuer}</saml:Issuer><ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/><ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/><ds:Reference URI="#_assertion1"><ds:Transforms><ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/><ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/></ds:Transforms><ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><ds:DigestValue></ds:DigestValue></ds:Reference></ds:SignedInfo><ds:SignatureValue></ds:SignatureValue><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></ds:Signature><saml:Subject><saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">person-1</saml:NameID><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData InResponseTo="{request}" NotOnOrAfter="{later}" Recipient="{acs}"/></saml:SubjectConfirmation></saml:Subject><saml:Conditions NotBefore="{now}" NotOnOrAfter="{later}"><saml:AudienceRestriction><saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction></saml:Conditions><saml:AuthnStatement AuthnInstant="{now}" SessionIndex="_session1"><saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement><saml:AttributeStatement><saml:Attribute Name="email"><saml:AttributeValue>person@bench.example</saml:AttributeValue></saml:Attribute><saml:Attribute Name="groups">{groups}</saml:Attribute></saml:AttributeStatement></saml:Assertion></samlp:Response>"""

METADATA = """<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" entityID="{issuer}"><md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><md:KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor><md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.bench.example/sso"/></md:IDPSSODescriptor></md:EntityDescriptor>"""

CONFIG = """
[server]
listen = "127.0.0.1:{port}"
public_url = "http://localhost:{port}"
environment = "demo"
[ops]
listen = "127.0.0.1:{ops}"
[apps.bench]
upstream = "http://127.0.0.1:9"
[connectors.bench]
kind = "saml"
metadata_file = "metadata.xml"
attributes = {{ email = "email", groups = "groups" }}
[domains."bench.example"]
connector = "bench"
environment = "demo"
"""

SIGNXML = """
import sys, time
from lxml import etree
from signxml import XMLVerifier
xml, cert = open(sys.argv[1], "rb").read(), open(sys.argv[2]).read()
times = int(sys.argv[3])
for turn in range(times + 20):
    if turn == 20: begun = time.process_time()
    root = etree.fromstring(xml)
    found = XMLVerifier().verify(root, x509_cert=cert, id_attribute="ID", expect_references=1)
    assert found.signed_xml.tag.endswith("Assertion")
print((time.process_time() - begun) * 1e6 / times)
"""

PYTHON3_SAML = """
import base64, sys, time
from onelogin.saml2.response import OneLogin_Saml2_Response
from onelogin.saml2.settings import OneLogin_Saml2_Settings
xml, cert = open(sys.argv[1], "rb").read(), open(sys.argv[2]).read()
times, acs, audience, issuer, request = int(sys.argv[3]), *sys.argv[4:8]
settings = OneLogin_Saml2_Settings({"strict": True, "security": {"wantAssertionsSigned": True},
  "sp": {"entityId": audience, "assertionConsumerService": {"url": acs}},
  "idp": {"entityId": issuer, "singleSignOnService": {"url": "https://idp.bench.example/sso"}, "x509cert": cert}}, sp_validation_only=True)
host, path = acs.split("//")[1].split("/", 1)
asked = {"http_host": host, "script_name": "/" + path, "https": "off", "get_data": {}, "post_data": {}}
message = base64.b64encode(xml).decode()
for turn in range(times + 20):
    if turn == 20: begun = time.process_time()
    response = OneLogin_Saml2_Response(settings, message)
    if not response.is_valid(asked, request): raise SystemExit(response.get_error())
    response.get_nameid(), response.get_attributes()
print((time.process_time() - begun) * 1e6 / times)
"""


def run(directory, bench, core, rounds):
    """Rows of (what, median µs, all µs): ours first."""
    place = directory / "saml"
    place.mkdir(parents=True, exist_ok=True)
    port, ops = free_ports(2)
    base = f"http://localhost:{port}/.anteroom/saml/bench"
    acs, audience = f"{base}/acs", f"{base}/metadata"
    key, certificate = place / "idp.key", place / "idp.crt"
    call(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=bench", "-keyout", key, "-out", certificate])
    body = "".join(certificate.read_text().splitlines()[1:-1])
    now = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=5)
    stamp = lambda at: at.strftime("%Y-%m-%dT%H:%M:%SZ")  # noqa: E731
    values = {
        "now": stamp(now), "later": stamp(now + datetime.timedelta(minutes=50)), "acs": acs, "audience": audience,
        "issuer": ISSUER, "request": REQUEST, "certificate": body,
    }  # fmt: skip
    group = "<saml:AttributeValue>00000000-0000-4000-8000-{:012d}</saml:AttributeValue>"
    groups, size = "", 0
    while size < 8 * 1024 - 400:
        groups += group.format(len(groups))
        size = len(RESPONSE.format(**values, groups=groups))
    unsigned, signed = place / "unsigned.xml", place / "response.xml"
    unsigned.write_text(RESPONSE.format(**values, groups=groups))
    identify = ["--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:assertion:Assertion"]
    call(["xmlsec1", "--sign", "--privkey-pem", key, *identify, "--output", signed, unsigned])
    text = signed.read_bytes()
    text = text[text.index(b"<samlp:Response"):].replace(b"\n", b"")
    signed.write_bytes(text)
    (place / "response.b64").write_text(base64.b64encode(text).decode())
    (place / "metadata.xml").write_text(METADATA.format(issuer=ISSUER, certificate=body))
    (place / "anteroom.toml").write_text(CONFIG.format(port=port, ops=ops))

    pin = ["taskset", "--cpu-list", str(core)]
    python = interpreter(directory / "venv")
    xmlsec1 = ["xmlsec1", "--verify", "--repeat", str(TIMES), "--pubkey-cert-pem", certificate, *identify, signed]
    contenders = {
        "anteroom": lambda: float(call([*pin, bench, "--config", place / "anteroom.toml", "--response", place / "response.b64", "--in-response-to", REQUEST, "--times", TIMES])),
        "xmlsec1": lambda: children_us(lambda: call([*pin, *xmlsec1])) / TIMES,
    }
    if python:
        argv = [signed, certificate, TIMES // 4]
        contenders["signxml"] = lambda: float(call([*pin, python, "-c", SIGNXML, *argv]))
        more = [*argv, acs, audience, ISSUER, REQUEST]
        contenders["python3-saml"] = lambda: float(call([*pin, python, "-c", PYTHON3_SAML, *more]))
    samples = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, measure in contenders.items():
            samples[name].append(measure())
    return len(text), [(name, statistics.median(each), each) for name, each in samples.items()]


def children_us(work):
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) * 1e6


def interpreter(place):
    """A Python with the peers of PyPI; none where they cannot be had."""
    python = place / "bin" / "python"
    if not (place / "ready").exists():
        venv.create(place, with_pip=True, clear=True)
        packages = ["signxml==5.2.0", "python3-saml==1.16.0", "xmlsec==1.3.17", "lxml"]
        done = subprocess.run([python, "-m", "pip", "install", "--quiet", *packages])
        if done.returncode != 0:
            print("signxml and python3-saml cannot be installed: left out", file=sys.stderr)
            return None
        (place / "ready").touch()
    return python


def call(command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(f"{command[0]}: {done.stdout[-500:]} {done.stderr[-500:]}")
    return done.stdout
