import assert from "node:assert/strict";

import { Anteroom, reserveFrontDoor } from "./anteroom.mjs";
import { OidcProvider } from "./oidc-provider.mjs";
import { oidcProviderPages } from "./provider-pages.mjs";
import { RecordingUpstream } from "./upstream.mjs";
import { UserAgent } from "./user-agent.mjs";

const CONNECTOR = "contoso-entra";
export const SESSION = "__Host-anteroom";
export const PERSON = "alice@contoso.example";
export const COLLEAGUE = "dora@contoso.example";

/** Anteroom, one tenant of oidc-provider and an application: the world of tests that are not about the provider. */
export class World {
  static async start(options = {}) {
    const world = new World();
    try {
      world.door = await reserveFrontDoor();
      world.upstream = await RecordingUpstream.start();
      world.idp = await OidcProvider.start({
        shape: "entra",
        redirectUri: world.door.callback(CONNECTOR),
        postLogoutRedirectUri: world.door.signedOut,
      });
      const { clientId, clientSecret, issuer } = world.idp;
      world.anteroom = await Anteroom.start({
        door: world.door,
        upstream: world.upstream,
        connectorId: CONNECTOR,
        connector: { kind: "entra", issuer, client_id: clientId, client_secret: clientSecret },
        domains: ["contoso.example"],
        ...options,
      });
    } catch (error) {
      await world.close();
      throw error;
    }
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

  /** As far as the provider's page, with nothing answered there yet. */
  async toProvider(agent, who = PERSON) {
    const asked = await agent.open(this.url("/"));
    const offered = await agent.submit(asked, "email", { email: who });
    return agent.click(offered, "Log in with Microsoft");
  }

  /** A browser in which `who` is signed in, and the last page of the sign-in. */
  async signIn(who = PERSON, agent = new UserAgent()) {
    const page = await oidcProviderPages.signIn(agent, await this.toProvider(agent, who), who);
    assert.equal(page.url, this.url("/"), page.describe());
    assert.equal(page.status, 200, page.describe());
    return { agent, page };
  }

  /** What a script of the application's page is answered. */
  data(agent) {
    return agent.fetch(this.url("/data/1"));
  }

  async assertSignedIn(agent, who = PERSON) {
    const answer = await this.data(agent);
    assert.equal(answer.status, 200, `${answer.status} ${answer.body}`);
    assert.equal(JSON.parse(answer.body).email, who);
  }

  /** A browser that has the same cookies and loses none of them: what a thief of them would have. */
  copyOf(agent) {
    const cookie = agent.jar.get(this.door.origin, SESSION);
    return { ...cookie, status: async () => (await this.data(withCookie(cookie))).status };
  }
}

function withCookie(cookie) {
  const agent = new UserAgent();
  agent.jar.put(cookie);
  return agent;
}
