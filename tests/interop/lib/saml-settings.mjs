import assert from "node:assert/strict";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";

import { REVOCATION_BOUND_MS } from "./anteroom.mjs";
import { around } from "./around.mjs";
import { launchChromium, openWindow } from "./chromium.mjs";
import { SESSION } from "./journey.mjs";
import { messagesOf, relay } from "./saml-messages.mjs";
import { AES_CBC, AES_GCM, decoded, post, withOtherLetter } from "./saml-scenario.mjs";
import { ASKED_FOR, BUTTON, CONNECTOR, SamlWorld } from "./saml-world.mjs";
import { attributeOf, endpointOf } from "./service-provider.mjs";
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
  const options = {
    host: "app.localhost",
    connector: ({ door }) => ({ allow_idp_initiated: true, acs_url: `http://login.localhost:${door.port}/acs` }),
  };
  suite(provider, "sign-ins that begin at the provider, at an ACS of its own", options, (at) => {
    test("end at the application", async () => {
      const world = at();
      const agent = await world.newBrowser();
      for (const origin of [world.acs, world.door.origin]) agent.jar.delete(origin, SESSION);
      world.assertSignedIn(await relay(agent, await agent.open(world.provider.tile(world))), world.person, "/");
    });
  });

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
      const victim = new UserAgent();
      world.look();
      world.assertRefused(await post(world, victim, withOtherLetter(world, fields)), victim);
    });
  });
}

/** A registration made for another product: its entity id and its ACS stay, on a host that is not the application's. */
export function elsewhere(provider) {
  const entityId = "urn:amazon:cognito:sp:us-east-1_aBcDeFgHi";
  let acs;
  const options = {
    host: "app.localhost",
    asImported: true,
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
      assert.ok(world.session(agent), "a session on the application's host");
      const atLogin = agent.jar.all(acs).map(({ name }) => name);
      assert.ok(!atLogin.some((name) => name.includes("-try-")), atLogin.join());
    });

    test("a flow that begins at the provider ends at the application, whether or not somebody is signed in", async () => {
      const world = at();
      await world.provider.usual?.(world.idp);
      const agent = await world.newBrowser();
      for (const origin of [acs, world.door.origin]) {
        world.look();
        const landed = await relay(agent, await agent.open(world.provider.tile(world)));
        world.assertSignedIn(landed, world.person, "/");
        agent.jar.delete(origin, SESSION);
      }
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

/** One registration of another product in two tenants: the same Identifier and the same Reply URL. */
export function tenants(provider) {
  const shared = { entity_id: "urn:amazon:cognito:sp:us-east-1_aBcDeFgHi" };
  let other;
  const options = {
    host: "app.localhost",
    async connector({ door }) {
      shared.acs_url = `http://login.localhost:${door.port}/saml2/idpresponse`;
      return shared;
    },
    async connectors() {
      other = await provider.start();
      const connector = { kind: "saml", preset: provider.preset, name: "Elsewhere", metadata_url: other.metadataUrl };
      return { elsewhere: { ...connector, ...provider.connector, ...shared, domain: provider.stranger.split("@")[1] } };
    },
  };
  suite(provider, "one registration in two tenants", options, (at) => {
    before(() => other.register(at().metadata));
    after(() => other?.close());

    /** As far as the form that takes the other tenant's response to us. */
    async function responseOfOther(agent) {
      const world = at();
      const asked = await agent.open(world.url("/"));
      const offered = await agent.submit(asked, "email", { email: provider.stranger });
      const there = await relay(agent, await agent.click(offered, "Log in with Elsewhere"));
      assert.equal(new URL(there.url).origin, other.origin, there.describe());
      const stopAt = (_form, field) => field === "SAMLResponse";
      return provider.pages.signIn(agent, there, provider.stranger, { stopAt });
    }

    test("each answer is judged by the provider that was asked", async () => {
      const world = at();
      world.assertSignedIn(await world.signIn(new UserAgent()));
      assert.equal(world.upstream.last(ASKED_FOR).headers["x-anteroom-connector"], CONNECTOR);
      const agent = new UserAgent();
      const landed = await relay(agent, await responseOfOther(agent));
      world.assertSignedIn(landed, provider.stranger, "/");
      assert.equal(world.upstream.last("/").headers["x-anteroom-connector"], "elsewhere");
    });

    test("refused: one tenant's response to the other's request", async () => {
      const world = at();
      const { SAMLResponse } = (await responseOfOther(new UserAgent())).formWith("SAMLResponse").fields;
      const agent = new UserAgent();
      const { fields } = await world.response(agent);
      world.look();
      const refused = await post(world, agent, { ...fields, SAMLResponse });
      assert.equal(refused.headers["x-anteroom"], "idp_mixup", refused.describe());
      assert.equal(refused.status, 400);
      assert.equal(world.session(agent), undefined);
      world.assertNothingReachedTheApplication();
    });

    test("a tile of either tenant begins a sign-in at that tenant", async () => {
      const world = at();
      const agent = new UserAgent();
      const landed = await relay(agent, await responseOfOther(agent));
      world.assertSignedIn(landed, provider.stranger, "/");
      for (const { origin } of [world.door, { origin: shared.acs_url }]) agent.jar.delete(origin, SESSION);
      const again = await relay(agent, await agent.open(provider.tile({ idp: other })));
      world.assertSignedIn(again, provider.stranger, "/");
      assert.equal(world.upstream.last("/").headers["x-anteroom-connector"], "elsewhere");
    });

    test("refused: an address of one tenant, vouched for by the other", async () => {
      const world = at();
      const agent = new UserAgent();
      const refused = await world.signIn(agent, { who: provider.stranger, typed: provider.person });
      assert.equal(refused.status, 403, refused.describe());
      assert.equal(refused.headers["x-anteroom"], "domain_not_allowed");
      assert.equal(world.session(agent), undefined);
    });
  });
}

/** The provider's certificate changes: its metadata in a file that an operator replaces, and at a URL. */
export function rolling(provider) {
  let directory;
  let file;
  const inFile = {
    async connector({ idp }) {
      directory = await mkdtemp(path.join(os.tmpdir(), "saml-metadata-"));
      file = path.join(directory, "metadata.xml");
      await writeFile(file, await idp.metadata());
      return { metadata_file: file };
    },
  };
  suite(provider, "its certificate changes, with a metadata file", inFile, (at) => {
    after(() => rm(directory, { recursive: true, force: true }));

    /** Replaces the file, as an operator does, and waits until every process has read it. */
    async function replace(world) {
      const read = world.readMetadata();
      await writeFile(`${file}.new`, await world.idp.metadata());
      await rename(`${file}.new`, file);
      await world.metadataRead(read + world.anteroom.processes.length);
    }

    test("nobody notices as long as both are there, and the old one is refused when it is gone", async () => {
      const world = at();
      const { roll } = world.provider;
      const early = await world.newBrowser();
      await roll.publish(world.idp);
      await replace(world);
      await world.newBrowser();
      await roll.use(world.idp);
      await world.newBrowser();
      await roll.retire(world.idp);
      await replace(world);
      await world.newBrowser();
      assert.equal(await world.status(early), 200, "a session outlives the certificate that it began with");

      await roll.misuse(world.idp);
      world.look();
      const agent = new UserAgent();
      const refused = await world.signIn(agent);
      world.assertRefused(refused, agent);
      assert.match(refused.text, /certificate that this application does not know/);
    });
  });

  // Each process reads them for itself.
  suite(provider, "its certificate changes, with a metadata URL", { processes: 1 }, (at) => {
    test("a certificate that it uses from one moment to the next is fetched with the first response that it signed", async () => {
      const world = at();
      await world.newBrowser();
      const { roll } = world.provider;
      await roll.publish(world.idp);
      await roll.use(world.idp);
      await roll.retire(world.idp);
      const agent = new UserAgent();
      world.assertSignedIn(await world.signIn(agent));
      // The old one is forgotten with the same document, and nothing is fetched for it again at once.
      await roll.misuse(world.idp);
      world.look();
      const other = new UserAgent();
      world.assertRefused(await world.signIn(other), other);
    });
  });
}

/** Two processes on one PostgreSQL database, each request steered to one of them on purpose. */
export function processes(provider) {
  const [ONE, OTHER] = [0, 1];
  suite(provider, "two processes", { processes: 2 }, (at) => {
    const steer = (process) => (at().anteroom.balancer.choose = () => process);
    afterEach(() => steer(undefined));

    test("a sign-in begun at one is finished at the other, and both know the session", async () => {
      const world = at();
      const agent = new UserAgent();
      steer(ONE);
      const { fields } = await world.response(agent);
      steer(OTHER);
      world.assertSignedIn(await post(world, agent, fields));
      for (const process of [ONE, OTHER]) {
        steer(process);
        assert.equal(await world.status(agent), 200);
      }
    });

    test("one response at both at once becomes one session", async () => {
      const world = at();
      const agent = new UserAgent();
      const { fields } = await world.response(agent);
      const cookie = agent.jar.header(world.acs, { method: "POST", crossSite: true });
      const turn = [ONE, OTHER];
      world.anteroom.balancer.choose = () => turn.shift();
      const body = new URLSearchParams(fields).toString();
      const headers = { ...FORM, cookie, "content-length": String(Buffer.byteLength(body)) };
      const ask = () => agent.fetch(world.acs, { method: "POST", headers, body });
      const answers = await Promise.all([ask(), ask()]);
      const sessions = [];
      for (const { headers: answered } of answers.filter(({ status }) => status === 303)) {
        const page = await agent.open(new URL(answered.location, world.acs).href);
        if (world.session(agent)) sessions.push(page.status);
        agent.jar.delete(world.door.origin, SESSION);
      }
      assert.deepEqual(sessions, [200], answers.map(({ status }) => status).join());
    });

    test("a sign-out at the provider that reaches one ends the session at the other", async (t) => {
      const world = at();
      steer(ONE);
      const agent = await world.newBrowser();
      const bystander = await world.newBrowser({ who: world.colleague });
      const copy = world.copyOf(agent);
      steer(OTHER);
      assert.equal(await copy(), 200, "the other has it in memory");
      steer(ONE);
      await world.provider.signOutThere(world, agent);
      assert.equal(await copy(), 401, "at once where it happened");
      steer(OTHER);
      const began = Date.now();
      while ((await copy()) !== 401) assert.ok(Date.now() - began <= REVOCATION_BOUND_MS, "not within the bound");
      t.diagnostic(`the other process knew after ${Date.now() - began} ms`);
      assert.equal(await world.status(bystander), 200);
    });
  });
}

/** What Chromium sends with a form that another site posts. */
const FORM = {
  accept: "text/html",
  "content-type": "application/x-www-form-urlencoded",
  origin: "null",
  "sec-fetch-dest": "document",
  "sec-fetch-mode": "navigate",
  "sec-fetch-site": "cross-site",
};
