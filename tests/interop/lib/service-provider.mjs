import { execFile } from "node:child_process";
import { createPrivateKey, createSign, randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { deflateRawSync } from "node:zlib";

import { makeKeyPair } from "./saml-keys.mjs";
import { exchange } from "./user-agent.mjs";

const run = promisify(execFile);

const BINDING = "urn:oasis:names:tc:SAML:2.0:bindings:";
const RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
const ORIGIN = "http://sp.localhost:9";

/** The first value of `attribute` on an element called `name`, whatever its prefix. */
export function attributeOf(xml, name, attribute) {
  return new RegExp(`<(?:[\\w.-]+:)?${name}\\b[^>]*?\\s${attribute}="([^"]*)"`).exec(xml)?.[1];
}

/** The values of the attribute statement, by name. */
export function attributesOf(xml) {
  const found = {};
  for (const [, tag, body] of xml.matchAll(/<(?:[\w.-]+:)?Attribute\b([^>]*)>([\s\S]*?)<\/(?:[\w.-]+:)?Attribute>/g)) {
    const name = /\sName="([^"]*)"/.exec(tag)[1];
    const values = [...body.matchAll(/<(?:[\w.-]+:)?AttributeValue\b[^>]*>([^<]*)</g)].map(([, value]) => value);
    found[name] = [...(found[name] ?? []), ...values];
  }
  return found;
}

/**
 * A service provider that has nothing to do with Anteroom: it makes requests by hand and lets Debian's xmlsec1 judge what
 * comes back. For the tests of the providers themselves.
 */
export class ServiceProvider {
  entityId = `${ORIGIN}/metadata`;
  acs = `${ORIGIN}/acs`;
  slo = `${ORIGIN}/slo`;
  #directory;

  static async make() {
    const party = new ServiceProvider();
    party.#directory = await mkdtemp(path.join(os.tmpdir(), "saml-interop-"));
    party.keys = await makeKeyPair(party.#directory, "service-provider");
    return party;
  }

  async close() {
    await rm(this.#directory, { recursive: true, force: true });
  }

  async metadata() {
    const pem = await readFile(this.keys.certificate, "utf8");
    const certificate = pem.replace(/-----[A-Z ]+-----|\s/g, "");
    const key = (use) =>
      `<md:KeyDescriptor use="${use}"><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data>` +
      `<ds:X509Certificate>${certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>`;
    return (
      `<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="${this.entityId}">` +
      `<md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol" AuthnRequestsSigned="true">` +
      `${key("signing")}${key("encryption")}` +
      `<md:SingleLogoutService Binding="${BINDING}HTTP-Redirect" Location="${this.slo}"/>` +
      `<md:SingleLogoutService Binding="${BINDING}HTTP-POST" Location="${this.slo}"/>` +
      `<md:AssertionConsumerService Binding="${BINDING}HTTP-POST" Location="${this.acs}" index="0"/>` +
      `</md:SPSSODescriptor></md:EntityDescriptor>`
    );
  }

  /** Where a browser goes to be signed in, by redirect, signed unless told otherwise. */
  async request(destination, { signed = true, id = `_${randomBytes(16).toString("hex")}` } = {}) {
    const xml =
      `<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="${id}" Version="2.0" ` +
      `IssueInstant="${new Date().toISOString()}" Destination="${destination}" ` +
      `AssertionConsumerServiceURL="${this.acs}" ProtocolBinding="${BINDING}HTTP-POST">` +
      `<saml:Issuer xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">${this.entityId}</saml:Issuer>` +
      `</samlp:AuthnRequest>`;
    return { id, url: await this.#redirect(destination, xml, signed) };
  }

  async #redirect(destination, xml, signed) {
    const fields = { SAMLRequest: deflateRawSync(xml).toString("base64"), RelayState: "relayed" };
    if (signed) fields.SigAlg = RSA_SHA256;
    const encode = (values) => Object.entries(values).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
    let query = encode(fields).join("&");
    if (signed) {
      const key = createPrivateKey(await readFile(this.keys.key));
      query += `&Signature=${encodeURIComponent(createSign("RSA-SHA256").update(query).sign(key, "base64"))}`;
    }
    return `${destination}?${query}`;
  }

  /**
   * Whether xmlsec1 finds the signature of this element ("Response", "Assertion") good, by one of the provider's own
   * signing certificates.
   */
  async verifies(xml, element, providerMetadata) {
    const namespace = element === "Assertion" ? "assertion" : "protocol";
    const id = `urn:oasis:names:tc:SAML:2.0:${namespace}:${element}`;
    // The signature that refers to this element by its ID.
    const reference = attributeOf(xml, element, "ID");
    const where = `//*[local-name()="Signature"][.//*[local-name()="Reference"]/@URI="#${reference}"]`;
    const document = await this.#file("response.xml", xml);
    for (const certificate of certificatesOf(providerMetadata)) {
      const pem = await this.#file("provider.crt", certificate);
      const keys = ["--enabled-key-data", "raw-x509-cert,rsa,x509", "--pubkey-cert-pem", pem];
      const arguments_ = ["--verify", ...keys, "--id-attr:ID", id, "--node-xpath", where, document];
      const good = await run("xmlsec1", arguments_).then(
        () => true,
        () => false,
      );
      if (good) return true;
    }
    return false;
  }

  /** The document with its encrypted assertion opened. */
  async decrypt(xml) {
    const document = await this.#file("encrypted.xml", xml);
    const { stdout } = await run("xmlsec1", ["--decrypt", "--privkey-pem", this.keys.key, document]);
    return stdout;
  }

  async #file(name, content) {
    const file = path.join(this.#directory, name);
    await writeFile(file, content);
    return file;
  }
}

/** The signing certificates of a provider's metadata, as PEM. */
export function certificatesOf(metadata) {
  const descriptors = [...metadata.matchAll(/<(?:[\w.-]+:)?KeyDescriptor\b([^>]*)>([\s\S]*?)<\/(?:[\w.-]+:)?KeyDescriptor>/g)];
  return descriptors
    .filter(([, tag]) => !/use="encryption"/.test(tag))
    .flatMap(([, , body]) => [...body.matchAll(/<(?:[\w.-]+:)?X509Certificate>([^<]+)</g)])
    .map(([, base64]) => {
      const lines = base64.replace(/\s/g, "").match(/.{1,64}/g);
      return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
    });
}

/** Where a provider takes requests of one kind: SingleSignOnService or SingleLogoutService. */
export function endpointOf(metadata, service, binding) {
  for (const [tag] of metadata.matchAll(new RegExp(`<(?:[\\w.-]+:)?${service}\\b[^>]*>`, "g"))) {
    if (tag.includes(`${BINDING}${binding}`)) return /\sLocation="([^"]*)"/.exec(tag)[1];
  }
  throw new Error(`no ${service} by ${binding}`);
}

/** A provider's metadata, fetched as anybody would. */
export async function metadataAt(url) {
  const answer = await exchange(url);
  if (answer.status !== 200) throw new Error(`${url}: ${answer.status} ${answer.body}`);
  return answer.body;
}
