import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { around } from "./around.mjs";
import { relay } from "./saml-messages.mjs";
import { attributeOf, attributesOf, certificatesOf, endpointOf, ServiceProvider } from "./service-provider.mjs";
import { UserAgent } from "./user-agent.mjs";

const GCM = { name: "AES-256-GCM", uri: "http://www.w3.org/2009/xmlenc11#aes256-gcm" };
const CBC = { name: "AES-128-CBC", uri: "http://www.w3.org/2001/04/xmlenc#aes128-cbc" };

/**
 * Tests of a SAML provider itself, without Anteroom: requests made by hand, answers judged by xmlsec1. If these fail, look
 * at the provider's set-up; if only the others fail, look at Anteroom.
 *
 * `sign(idp, what)`, `encrypt(idp, uri)` and `signedRequestsOnly(idp, yes)` change how the provider works; `roll` is its
 * certificate roll-over: `publish`, `use` and `retire`. `attributes` is what it says of `person`.
 */
export function honestSamlProvider(fixture) {
  const { name, start, pages, person: address, attributes, sign, encrypt, signedRequestsOnly, roll } = fixture;
  describe(`${name}, on its own`, () => {
    let party;
    let provider;

    around(
      async () => {
        party = await ServiceProvider.make();
        provider = await start();
        await provider.register(await party.metadata());
        await sign(provider, "assertion");
        await encrypt(provider, null);
        await signedRequestsOnly(provider, false);
      },
      async () => {
        await provider?.close();
        await party?.close();
      },
    );

    /** Signs in, up to the form that would take the response to us. The response, and the request's id. */
    async function response(agent = new UserAgent(), options = {}) {
      const metadata = await provider.metadata();
      const { id, url } = await party.request(endpointOf(metadata, "SingleSignOnService", "HTTP-Redirect"), options);
      const stopAt = (form) => form.action === party.acs;
      const asked = await relay(agent, await agent.open(url), { stopAt });
      const page = pages.isSignIn(asked) ? await pages.signIn(agent, asked, address, { stopAt }) : asked;
      const form = page.forms.find(({ action }) => action === party.acs);
      assert.ok(form, page.describe());
      assert.equal(form.fields.RelayState, "relayed");
      const xml = Buffer.from(form.fields.SAMLResponse, "base64").toString("utf8");
      assert.equal(attributeOf(xml, "Response", "InResponseTo"), id);
      assert.equal(attributeOf(xml, "Response", "Destination"), party.acs);
      return { xml, asked: pages.isSignIn(asked), metadata };
    }

    test("signs what it is told to sign, and a live session signs in without a question", async () => {
      const agent = new UserAgent();
      for (const [what, expected] of [
        ["assertion", { Assertion: true, Response: false }],
        ["response", { Assertion: false, Response: true }],
        ["both", { Assertion: true, Response: true }],
      ]) {
        await sign(provider, what);
        const { xml, asked, metadata } = await response(agent);
        assert.equal(asked, what === "assertion", "only the first one is asked");
        for (const [element, signed] of Object.entries(expected)) {
          assert.equal(await party.verifies(xml, element, metadata), signed, `${what}: ${element}`);
        }
        const said = attributesOf(xml);
        for (const [attribute, values] of Object.entries(attributes)) {
          assert.deepEqual([...said[attribute]].sort(), values, attribute);
        }
        const forged = xml.replace(address, "root@evil.example");
        assert.notEqual(forged, xml);
        for (const element of ["Assertion", "Response"]) {
          assert.equal(await party.verifies(forged, element, metadata), false, `forged: ${element}`);
        }
      }
    });

    for (const cipher of [GCM, CBC]) {
      test(`encrypts assertions with RSA-OAEP and ${cipher.name}`, async () => {
        await sign(provider, "assertion");
        await encrypt(provider, cipher.uri);
        const { xml, metadata } = await response();
        await encrypt(provider, null);
        assert.ok(!xml.includes(address) && xml.includes(cipher.uri) && xml.includes("rsa-oaep"), xml);
        const opened = await party.decrypt(xml);
        assert.ok(opened.includes(address));
        assert.ok(await party.verifies(opened, "Assertion", metadata), opened);
      });
    }

    test("wants signed requests if it is told to", async () => {
      await signedRequestsOnly(provider, true);
      const metadata = await provider.metadata();
      const destination = endpointOf(metadata, "SingleSignOnService", "HTTP-Redirect");
      const unsigned = await party.request(destination, { signed: false });
      const refused = await new UserAgent().open(unsigned.url);
      assert.equal(refused.status, 400, refused.describe());
      assert.ok(!pages.isSignIn(refused));
      await response();
      await signedRequestsOnly(provider, false);
    });

    test("rolls its certificate over: both published, then the new one used, then the old one gone", async () => {
      await sign(provider, "both");
      const before = await response();
      const [old] = certificatesOf(before.metadata);
      assert.equal(certificatesOf(before.metadata).length, 1);
      await roll.publish(provider);
      const published = await response();
      assert.equal(certificatesOf(published.metadata).length, 2);
      assert.ok(await party.verifies(published.xml, "Response", before.metadata), "the old one still signs");
      await roll.use(provider);
      const used = await response();
      assert.equal(await party.verifies(used.xml, "Response", before.metadata), false, "the new one signs");
      assert.ok(await party.verifies(used.xml, "Response", published.metadata));
      await roll.retire(provider);
      const retired = await response();
      assert.equal(certificatesOf(retired.metadata).length, 1);
      assert.ok(!certificatesOf(retired.metadata).includes(old));
      assert.ok(await party.verifies(retired.xml, "Assertion", retired.metadata));
    });
  });
}

