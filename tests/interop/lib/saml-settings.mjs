import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { beforeEach, describe, test } from "node:test";

import { around } from "./around.mjs";
import { launchChromium, openWindow } from "./chromium.mjs";
import { SESSION } from "./journey.mjs";
import { messagesOf, relay } from "./saml-messages.mjs";
import { AES_CBC, AES_GCM, decoded, post } from "./saml-scenario.mjs";
import { BUTTON, CONNECTOR, SamlWorld } from "./saml-world.mjs";
import { attributeOf, certificatesOf, endpointOf } from "./service-provider.mjs";
import { UserAgent } from "./user-agent.mjs";

// What the usual settings leave out, against the same providers as saml-scenario.mjs.

/** A world for the tests of `define`, with `options` of SamlWorld.start. */
function suite(provider, name, options, define) {
  describe(`${provider.name}: ${name}`, () => {
    let world;
    around(
      async () => {
        world = await SamlWorld.start(provider, options);
      },
      () => world?.close(),
    );
    beforeEach(() => world.look());
    define(() => world);
  });
}

/** Requests by form and signed, encrypted assertions alone, logout by form. */
export function strict(provider) {
  const connector = { request_binding: "post", sign_requests: true, want_encrypted: true, allow_aes_cbc: true };
  suite(provider, "everything signed and encrypted, by forms", { connector }, (at) => {
    test("a provider that takes signed requests alone takes ours, and an assertion that is not encrypted is refused", async () => {
      const world = at();
      await world.provider.signedRequestsOnly(world.idp, true);
      for (const cipher of [AES_GCM, AES_CBC]) {
        await world.provider.encrypt(world.idp, cipher);
        const agent = new UserAgent();
        const { page, fields } = await world.response(agent);
        const asked = messagesOf(page).find(({ field }) => field === "SAMLRequest");
        assert.equal(asked.binding, "post");
        assert.ok(asked.signature, asked.xml);
        assert.ok(decoded(fields).includes(cipher));
        world.assertSignedIn(await post(world, agent, fields));
      }
      await world.provider.encrypt(world.idp, null);
      world.look();
      const agent = new UserAgent();
      const { fields } = await world.response(agent);
      assert.ok(decoded(fields).includes(world.person), "the provider has not encrypted it");
      const refused = await post(world, agent, fields);
      world.assertRefused(refused, agent);
      assert.match(refused.text, /not encrypted/);
    });

    test("Chromium: our form to the provider sends itself", async () => {
      const world = at();
      await world.provider.encrypt(world.idp, AES_GCM);
      const browser = await launchChromium();
      try {
        const { page, navigations } = await openWindow(browser);
        await page.goto(world.url("/"));
        await page.getByRole("textbox").fill(world.person);
        await page.getByRole("button", { name: "Continue" }).click();
        await page.getByRole("link", { name: BUTTON }).click();
        await page.waitForURL((url) => url.origin === world.idp.origin);
        await world.pages.signInWindow(page, world.person);
        await page.getByText(`Signed in as ${world.person}`).waitFor();
        const sso = endpointOf(await world.idp.metadata(), "SingleSignOnService", "HTTP-POST");
        const asked = (await navigations()).find(({ url }) => url === sso);
        assert.equal(asked?.method, "POST");
      } finally {
        await browser.close();
      }
    });
  });
}

/** The provider may begin by itself. */
export function initiatedThere(provider) {
  suite(provider, "sign-ins that begin at the provider", { connector: { allow_idp_initiated: true } }, (at) => {
    test("are taken as they come, once, and lead nowhere but to the application", async () => {
      const world = at();
      const agent = await world.newBrowser();
      agent.jar.delete(world.door.origin, SESSION);
      const stopAt = (form) => form.action === world.acs;
      const page = await relay(agent, await agent.open(world.provider.tile(world)), { stopAt });
      const { fields } = page.formWith("SAMLResponse");
      assert.equal(attributeOf(decoded(fields), "Response", "InResponseTo"), undefined);
      const landed = await post(world, agent, { ...fields, RelayState: "https://elsewhere.example/" });
      world.assertSignedIn(landed, world.person, "/");
      assert.deepEqual(
        messagesOf(landed).map(({ field }) => field),
        ["SAMLResponse"],
      );

      world.look();
      const thief = new UserAgent();
      world.assertRefused(await post(world, thief, fields), thief);
    });

    test("are still judged: not with one letter of the address changed", async () => {
      const world = at();
      const agent = await world.newBrowser();
      const stopAt = (form) => form.action === world.acs;
      const page = await relay(agent, await agent.open(world.provider.tile(world)), { stopAt });
      const { fields } = page.formWith("SAMLResponse");
      const forged = decoded(fields).replaceAll(world.person, world.person.replace("alice", "alicf"));
      const SAMLResponse = Buffer.from(forged).toString("base64");
      const victim = new UserAgent();
      world.look();
      world.assertRefused(await post(world, victim, { ...fields, SAMLResponse }), victim);
    });
  });
}

/** A registration made for another product: its entity id and its ACS stay, on a host that is not the application's. */
export function elsewhere(provider) {
  const entityId = "urn:amazon:cognito:sp:us-east-1_aBcDeFgHi";
  let acs;
  const options = {
    host: "app.localhost",
    connector: ({ door }) => {
      acs = `http://login.localhost:${door.port}/saml2/idpresponse`;
      return { entity_id: entityId, acs_url: acs };
    },
  };
  suite(provider, "a registration that was made for Amazon Cognito", options, (at) => {
    test("keeps its Identifier and its Reply URL on a host of its own", async () => {
      const world = at();
      assert.equal(attributeOf(world.metadata, "EntityDescriptor", "entityID"), entityId);
      assert.equal(attributeOf(world.metadata, "AssertionConsumerService", "Location"), acs);
      const agent = new UserAgent();
      const landed = await world.signIn(agent);
      world.assertSignedIn(landed);
      const ways = landed.hops.map(({ url }) => url.split("?")[0]);
      assert.ok(ways.includes(acs), ways.join("\n"));
      const [request] = messagesOf(landed);
      assert.match(request.xml, new RegExp(`Issuer[^>]*>${entityId}<`));
      assert.deepEqual(
        agent.jar.all(world.door.origin).map(({ name }) => name),
        [SESSION],
      );
    });

    test("Chromium: the session is there on the application's own host", async () => {
      const world = at();
      const browser = await launchChromium();
      try {
        const { context, page } = await openWindow(browser);
        await page.goto(world.url("/ledger"));
        await page.getByRole("textbox").fill(world.person);
        await page.getByRole("button", { name: "Continue" }).click();
        await page.getByRole("link", { name: BUTTON }).click();
        await page.waitForURL((url) => url.origin === world.idp.origin);
        await world.pages.signInWindow(page, world.person);
        await page.waitForURL(world.url("/ledger"));
        await page.getByText(`Signed in as ${world.person}`).waitFor();
        const [session] = (await context.cookies(world.door.origin)).filter(({ name }) => name === SESSION);
        assert.ok(session && session.httpOnly && session.secure);
      } finally {
        await browser.close();
      }
    });
  });
}
