import assert from "node:assert/strict";

import { Anteroom, reserveFrontDoor } from "./anteroom.mjs";
import { SESSION } from "./journey.mjs";
import { messageForm, relay } from "./saml-messages.mjs";
import { attributeOf, metadataAt } from "./service-provider.mjs";
import { RecordingUpstream } from "./upstream.mjs";
import { UserAgent } from "./user-agent.mjs";

export const CONNECTOR = "campus";
export const BUTTON = "Log in with Campus";
export const ASKED_FOR = "/reports/42?year=2026&q=a%20b";

/** A file is looked at every five seconds. */
const METADATA_LIMIT_MS = 15_000;

/**
 * Anteroom with one SAML connector, its provider, which has read our metadata as its administrators have it read them,
 * and an application. `provider` is one of saml-providers.mjs.
 */
export class SamlWorld {
  /**
   * `connector` are settings over those that everybody needs; `asImported` leaves the provider as its import of our
   * metadata made it; `host` is the application's.
   */
  static async start(provider, { connector = {}, asImported = false, host, connectors, ...options } = {}) {
    const world = new SamlWorld();
    Object.assign(world, { provider, pages: provider.pages, person: provider.person, colleague: provider.colleague });
    try {
      world.door = await reserveFrontDoor(host);
      world.upstream = await RecordingUpstream.start();
      world.idp = await provider.start();
      const settings = typeof connector === "function" ? await connector(world) : connector;
      world.anteroom = await Anteroom.start({
        door: world.door,
        upstream: world.upstream,
        connectorId: CONNECTOR,
        connector: {
          kind: "saml",
          preset: provider.preset,
          name: "Campus",
          ...provider.connector,
          ...("metadata_file" in settings ? {} : { metadata_url: world.idp.metadataUrl }),
          ...settings,
        },
        domains: [provider.domain],
        connectors: await connectors?.(),
        ...options,
      });
      world.metadata = await metadataAt(world.door.saml(CONNECTOR, "metadata"));
      await world.idp.register(world.metadata);
      if (!asImported) await provider.usual?.(world.idp);
    } catch (error) {
      await world.close();
      throw error;
    }
    world.look();
    return world;
  }

  async close() {
    await this.anteroom?.stop();
    await this.idp?.close();
    await this.upstream?.close();
  }

  url(path) {
    return `${this.door.origin}${path}`;
  }

  get acs() {
    return attributeOf(this.metadata, "AssertionConsumerService", "Location");
  }

  /** Remembers what has reached the application so far. */
  look() {
    this.seen = { requests: this.upstream.requests.length, bytes: this.upstream.bytes };
  }

  assertNothingReachedTheApplication() {
    const { requests, bytes } = this.upstream;
    assert.deepEqual({ requests: requests.length, bytes }, this.seen, "the application was reached");
  }

  /** Opens a page of the application, types `address` and follows the button: the provider's page, or wherever it ended. */
  async toProvider(agent, { path = ASKED_FOR, address = this.person, ...options } = {}) {
    const asked = await agent.open(this.url(path));
    const offered = await agent.submit(asked, "email", { email: address });
    return relay(agent, await agent.click(offered, BUTTON), options);
  }

  /** Signs `who` in. The last page, with every exchange since the provider asked. */
  async signIn(agent, { who = this.person, typed = who, stopAt, ...options } = {}) {
    const asked = await this.toProvider(agent, { address: typed, ...options });
    assert.ok(this.pages.isSignIn(asked), `the provider asks who it is: ${asked.describe()}`);
    const page = await this.pages.signIn(agent, asked, who, { stopAt });
    page.hops = [...asked.hops, ...page.hops];
    return page;
  }

  /** The form that takes the provider's response to us, not sent yet. */
  async response(agent, options = {}) {
    const page = await this.signIn(agent, { ...options, stopAt: (_form, field) => field === "SAMLResponse" });
    const found = messageForm(page);
    assert.ok(found, page.describe());
    return { page, fields: found.form.fields };
  }

  async newBrowser(options) {
    const agent = new UserAgent();
    this.assertSignedIn(await this.signIn(agent, options), options?.who);
    return agent;
  }

  assertSignedIn(page, who = this.person, path = ASKED_FOR) {
    assert.equal(page.url, this.url(path), page.describe());
    assert.equal(page.status, 200);
    assert.equal(this.upstream.last(path).headers["x-forwarded-email"], who);
  }

  /** A refusal in words, with a status that says so, and no session. */
  assertRefused(page, agent, status = 400) {
    assert.equal(page.status, status, page.describe());
    assert.equal(new URL(page.url).origin, this.door.origin, page.describe());
    assert.match(page.text, /Reference: \w+/);
    assert.equal(this.session(agent), undefined, "a session");
    this.assertNothingReachedTheApplication();
  }

  session(agent) {
    return agent.jar.get(this.door.origin, SESSION);
  }

  /** What a script of the application's page is answered. */
  async status(agent) {
    return (await agent.fetch(this.url("/data/1"))).status;
  }

  /** What a browser with a copy of this session's cookie is answered: it loses none that is taken from it. */
  copyOf(agent) {
    const cookie = this.session(agent);
    return async () => {
      const thief = new UserAgent();
      thief.jar.put(cookie);
      return this.status(thief);
    };
  }

  /** The session of that copy is over, at every process within the revocation bound. */
  assertOver(copy) {
    return this.anteroom.everywhere(async () => (await copy()) === 401, "the session is not over");
  }

  /** How often the provider's metadata were read anew, by all processes. */
  readMetadata() {
    return this.anteroom.log.split("the provider's metadata was read").length - 1;
  }

  /** Waits until they were read `times` times. */
  async metadataRead(times) {
    const began = Date.now();
    while (this.readMetadata() < times) {
      assert.ok(Date.now() - began < METADATA_LIMIT_MS, "the new metadata were not read");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
