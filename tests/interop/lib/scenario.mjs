import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";

import { Anteroom, reserveFrontDoor } from "./anteroom.mjs";
import { around } from "./around.mjs";
import { launchChromium, openWindow } from "./chromium.mjs";
import { verifyJwt } from "./relying-party.mjs";
import { RecordingUpstream } from "./upstream.mjs";
import { exchange, UserAgent } from "./user-agent.mjs";

const SESSION = "__Host-anteroom";
const ASKED_FOR = "/reports/42?year=2026&q=a%20b";

/**
 * The whole sign-in and sign-out through the real binary against one provider.
 *
 * `person` and `colleague` are people whom the provider vouches for; `refused` maps a reason to somebody whom Anteroom
 * must not let in. `pages` gets through the provider's own pages. `headers` and `groups` are what the application is
 * told about `person` beside the address; `hints` is what the provider is told before it asks. `administered`: an
 * administrator can sign people out there.
 */
export function interop(provider) {
  describe(`Anteroom and ${provider.name}`, () => {
    const world = { ...provider };

    around(
      async () => {
        world.door = await reserveFrontDoor();
        world.upstream = await RecordingUpstream.start();
        world.idp = await provider.startProvider({
          redirectUri: world.door.callback(provider.connectorId),
          postLogoutRedirectUri: world.door.signedOut,
          backChannelLogoutUri: world.door.backChannelLogout(provider.connectorId),
        });
        const { clientId, clientSecret } = world.idp;
        world.anteroom = await Anteroom.start({
          door: world.door,
          upstream: world.upstream,
          connectorId: provider.connectorId,
          connector: { ...provider.connector(world.idp), client_id: clientId, client_secret: clientSecret },
          domains: [provider.domain],
        });
      },
      async () => {
        await world.anteroom?.stop();
        await world.idp?.close();
        await world.upstream?.close();
      },
    );
    beforeEach(() => {
      world.seen = { requests: world.upstream.requests.length, bytes: world.upstream.bytes };
    });

    signInTests(world);
    refusalTests(world);
    signOutTests(world);
    backChannelTests(world);
    browserTests(world);

    test("nothing secret was written to a log", () => {
      const { log } = world.anteroom;
      assert.match(log, /"request_id"|"event"/, "there is a log to look at");
      for (const [what, secret] of Object.entries({ ...world.secrets, "client secret": world.idp.clientSecret })) {
        assert.ok(!log.includes(secret), `the ${what} is in the log`);
      }
    });
  });
}

/** Opens `path`, types `address`, and follows the connector's button: the provider's sign-in page, or wherever it ended. */
async function toProvider(world, agent, { path = ASKED_FOR, address = world.person } = {}) {
  const asked = await agent.open(`${world.door.origin}${path}`);
  const offered = await agent.submit(asked, "email", { email: address });
  return agent.click(offered, world.button);
}

/** Signs `who` in and returns the last page. */
async function signIn(world, agent, { who = world.person, ...options } = {}) {
  const asked = await toProvider(world, agent, { address: who, ...options });
  assert.ok(world.pages.isSignIn(asked), `the provider asks who it is: ${asked.describe()}`);
  return world.pages.signIn(agent, asked, who);
}

/** A script in a page of the application: what it is told, without being sent anywhere. */
const data = (world, agent) => agent.fetch(`${world.door.origin}/data/1`);

const me = (world, agent) => agent.fetch(`${world.door.origin}/.anteroom/me`);

function assertNothingReachedTheApplication(world) {
  assert.deepEqual(
    { requests: world.upstream.requests.length, bytes: world.upstream.bytes },
    world.seen,
    "the application was reached",
  );
}

/** No session, and the attempt left nothing behind in the browser. */
function assertNoTrace(world, agent) {
  const left = agent.jar.all(world.door.origin).map(({ name }) => name);
  assert.deepEqual(left, [], "cookies of Anteroom that are left");
}

/** The session of the cookie in this browser is over, at every process within the revocation bound. */
function assertOver(world, agent) {
  const cookie = agent.jar.get(world.door.origin, SESSION);
  const isOver = async () => {
    const thief = new UserAgent();
    thief.jar.put(cookie);
    return (await data(world, thief)).status === 401;
  };
  return world.anteroom.everywhere(isOver, "the session is not over");
}

function assertSignedIn(world, page, who = world.person) {
  assert.equal(page.url, `${world.door.origin}${ASKED_FOR}`, page.describe());
  assert.equal(page.status, 200);
  assert.equal(world.upstream.last(ASKED_FOR).headers["x-forwarded-email"], who);
}

function signInTests(world) {
  test("from the e-mail address to the page first asked for, and nothing reaches the application before", async () => {
    const agent = new UserAgent();
    const asked = await agent.open(`${world.door.origin}${ASKED_FOR}`);
    assert.equal(asked.status, 200, asked.describe());
    assert.equal(new URL(asked.url).pathname, "/.anteroom/sign-in");
    const offered = await agent.submit(asked, "email", { email: world.person });
    const atProvider = await agent.click(offered, world.button);
    assertNothingReachedTheApplication(world);

    const landed = await world.pages.signIn(agent, atProvider, world.person);
    assertSignedIn(world, landed);
    assert.equal(world.upstream.requests.length, world.seen.requests + 1, "the page first asked for, once");

    const callback = landed.hops.find(({ url }) => url.startsWith(world.door.callback(world.connectorId)));
    assert.equal(callback.sent["sec-fetch-site"], "cross-site");
    world.secrets = {
      "authorization code": new URL(callback.url).searchParams.get("code"),
      state: new URL(callback.url).searchParams.get("state"),
      "session cookie": agent.jar.get(world.door.origin, SESSION).value,
    };
  });

  test("the authorization request carries PKCE S256, state, nonce, and the hints", async () => {
    const agent = new UserAgent();
    const asked = await toProvider(world, agent);
    const sent = asked.hops
      .map(({ url }) => new URL(url))
      .find(({ searchParams }) => searchParams.has("code_challenge"));
    const query = Object.fromEntries(sent.searchParams);
    assert.equal(query.response_type, "code");
    assert.equal(query.client_id, world.idp.clientId);
    assert.equal(query.redirect_uri, world.door.callback(world.connectorId));
    assert.equal(query.code_challenge_method, "S256");
    assert.match(query.code_challenge, /^[\w-]{43}$/);
    assert.ok(query.scope.split(" ").includes("openid"));
    assert.ok(query.state.length >= 22 && query.nonce.length >= 22 && query.state !== query.nonce);
    for (const [name, value] of Object.entries(world.hints)) assert.equal(query[name], value, name);
  });

  test("the application gets the verified identity, not what the browser says, and never our cookie", async () => {
    const forged = {
      "x-forwarded-email": "root@evil.example",
      "x-forwarded-user": "root",
      "x-forwarded-groups": "wheel",
      "x-anteroom-role": "EnterpriseAdmin",
      "x-anteroom-assertion": "forged",
    };
    const agent = new UserAgent({ headers: forged });
    assertSignedIn(world, await signIn(world, agent));
    const { headers } = world.upstream.last(ASKED_FOR);
    const expected = {
      "x-forwarded-user": world.person,
      "x-forwarded-email": world.person,
      "x-anteroom-auth": "oidc",
      "x-anteroom-connector": world.connectorId,
      ...world.headers,
    };
    for (const [name, value] of Object.entries(expected)) assert.equal(headers[name], value, name);
    if (world.groups) assert.deepEqual(headers["x-forwarded-groups"].split(",").sort(), world.groups);
    assert.ok(!(headers["x-forwarded-groups"] ?? "").includes("wheel"));
    assert.notEqual(headers["x-anteroom-role"], "EnterpriseAdmin");
    assert.ok(!(headers.cookie ?? "").includes("anteroom"), headers.cookie);

    const { claims } = await verifyJwt(headers["x-anteroom-assertion"], `${world.door.origin}/.anteroom/jwks.json`);
    assert.equal(claims.aud, "portal");
    assert.equal(claims.email, world.person);
    assert.equal(claims.exp - claims.iat, 60);
  });

  test("`me` tells a signed-in browser who it is, and nobody else", async () => {
    const agent = new UserAgent();
    await signIn(world, agent);
    const known = await me(world, agent);
    assert.equal(known.status, 200);
    assert.equal(JSON.parse(known.body).email, world.person);
    assert.match(known.headers["cache-control"], /no-store/);
    assert.equal((await me(world, new UserAgent())).status, 401);
  });

  test("a live session at the provider signs in without a question", async () => {
    const agent = new UserAgent();
    await signIn(world, agent);
    agent.jar.delete(world.door.origin, SESSION);
    assertSignedIn(world, await toProvider(world, agent));
  });

  test("a callback that comes a second time goes on in its own browser and nowhere in another", async () => {
    const agent = new UserAgent();
    const landed = await signIn(world, agent);
    const { url } = landed.hops.find((hop) => hop.url.startsWith(world.door.callback(world.connectorId)));
    const again = await agent.open(url);
    assert.equal(again.status, 200, again.describe());
    assert.equal(new URL(again.url).origin, world.door.origin);

    world.seen = { requests: world.upstream.requests.length, bytes: world.upstream.bytes };
    const stranger = new UserAgent();
    const refused = await stranger.open(url);
    assert.ok(refused.status >= 400 && refused.status < 500, refused.describe());
    assertNothingReachedTheApplication(world);
    assertNoTrace(world, stranger);
  });
}

function refusalTests(world) {
  test("an address of no known domain is answered in words, here and not at the provider", async () => {
    const agent = new UserAgent();
    const asked = await agent.open(`${world.door.origin}${ASKED_FOR}`);
    const answer = await agent.submit(asked, "email", { email: "somebody@nowhere.example" });
    assert.equal(new URL(answer.url).origin, world.door.origin);
    assert.match(answer.text, /nowhere\.example/);
    assert.ok(!answer.links.some(({ text }) => text === world.button), "no button for a domain that is not known");
    assertNothingReachedTheApplication(world);
  });

  test("somebody else than the address typed is named and asked, not let in", async () => {
    const agent = new UserAgent();
    const asked = await toProvider(world, agent, { address: world.colleague });
    const answer = await world.pages.signIn(agent, asked, world.person);
    assert.equal(new URL(answer.url).origin, world.door.origin);
    assert.ok(answer.text.includes(world.person) && answer.text.includes(world.colleague), answer.describe());
    assert.equal((await data(world, agent)).status, 401);
    assertNothingReachedTheApplication(world);

    assertSignedIn(world, await agent.submit(answer, "attempt"), world.person);
    const again = await agent.submit(answer, "attempt");
    assert.equal(again.status, 400, `the same answer once more: ${again.describe()}`);
  });

  test("\"Use another account\" leads back to the provider, which asks again", async () => {
    const agent = new UserAgent();
    const asked = await toProvider(world, agent, { address: world.colleague });
    const mismatch = await world.pages.signIn(agent, asked, world.person);
    const askedAgain = await agent.click(mismatch, "Use another account");
    assertNothingReachedTheApplication(world);
    assert.ok(world.pages.isSignIn(askedAgain), `the provider lets choose: ${askedAgain.describe()}`);
    assertSignedIn(world, await world.pages.switchTo(agent, askedAgain, world.colleague), world.colleague);
  });

  for (const [why, address] of Object.entries(world.refused)) {
    test(`refused: ${why}`, async () => {
      const agent = new UserAgent();
      const asked = await toProvider(world, agent);
      const answer = await world.pages.signIn(agent, asked, address);
      assert.equal(answer.status, 403, answer.describe());
      assert.equal(new URL(answer.url).origin, world.door.origin);
      assertNothingReachedTheApplication(world);
      assertNoTrace(world, agent);

      // The twin differs only in who it is.
      assertSignedIn(world, await signIn(world, new UserAgent()));
    });
  }

  if (!world.pages.cancel) return;
  test("a person who cancels at the provider gets a page in words with a reference", async () => {
    const agent = new UserAgent();
    const asked = await toProvider(world, agent);
    const answer = await world.pages.cancel(agent, asked);
    assert.ok(answer.status >= 400 && answer.status < 500, answer.describe());
    assert.match(answer.text, /did not let you in.*Try again.*Reference: \w+/);
    // The protocol's code is for whoever repairs it; the provider's own sentence is nobody's.
    assert.match(answer.text, /For your administrator: access_denied/);
    assert.ok(!answer.text.includes(world.pages.cancelDescription), answer.describe());
    assertNothingReachedTheApplication(world);
    assertNoTrace(world, agent);

    assertSignedIn(world, await signIn(world, agent));
  });
}

function signOutTests(world) {
  test("sign-out ends the session here and at the provider, which then asks again", async () => {
    const agent = new UserAgent();
    const page = await signIn(world, agent);
    if (world.idp.sessionsOf) assert.ok((await world.idp.sessionsOf(world.person)) > 0, "the provider keeps a session");
    const leaving = await agent.click(page, "Sign out");
    const left = await world.pages.confirmSignOut(agent, leaving);
    assert.equal(new URL(left.url).origin + new URL(left.url).pathname, world.door.signedOut, left.describe());
    assert.equal(left.status, 200);
    assertNoTrace(world, agent);

    const asked = await toProvider(world, agent);
    assert.ok(world.pages.isSignIn(asked), `the provider's session is gone: ${asked.describe()}`);
  });

  test("a copy of the cookie works before sign-out and never after", async () => {
    const agent = new UserAgent();
    const page = await signIn(world, agent);
    const thief = new UserAgent();
    const copy = agent.jar.get(world.door.origin, SESSION);
    thief.jar.put(copy);
    assert.equal((await data(world, thief)).status, 200);

    await agent.click(page, "Sign out"); // whatever the provider then asks: the session here is over
    thief.jar.put(copy);
    await assertOver(world, thief);
    world.seen = { requests: world.upstream.requests.length, bytes: world.upstream.bytes };
    thief.jar.put(copy);
    assert.equal((await data(world, thief)).status, 401);
    thief.jar.put(copy);
    const sentAway = await thief.open(`${world.door.origin}${ASKED_FOR}`);
    assert.equal(new URL(sentAway.url).pathname, "/.anteroom/sign-in");
    thief.jar.put(copy);
    assert.equal((await me(world, thief)).status, 401);
    assertNothingReachedTheApplication(world);
  });
}

/** What the provider ends: its server tells ours, the browser has no part in it. */
function backChannelTests(world) {
  const ended = () => world.anteroom.log.split("\n").filter((line) => line.includes('"back_channel_logout"')).length;

  test("a sign-out at the provider ends that session here, and no other", async () => {
    const [agent, elsewhere] = [new UserAgent(), new UserAgent()];
    assertSignedIn(world, await signIn(world, agent));
    assertSignedIn(world, await signIn(world, elsewhere));
    const before = ended();
    const metadata = JSON.parse((await exchange(`${world.idp.issuer}/.well-known/openid-configuration`)).body);
    assert.equal(metadata.backchannel_logout_supported, true);
    const asked = await agent.open(metadata.end_session_endpoint);
    const left = await world.pages.confirmSignOutThere(agent, asked);
    assert.equal(left.status, 200, left.describe());
    assert.ok(!left.url.startsWith(world.door.origin), "the browser has not been here");
    await assertOver(world, agent);
    assert.equal((await data(world, elsewhere)).status, 200);
    assert.equal(ended(), before + 1, "one event");
    // And it may sign in again.
    assertSignedIn(world, await signIn(world, agent));
  });

  if (!world.administered) return;
  test("an administrator of the provider signs a person out of everything", async () => {
    const [agent, elsewhere, somebodyElse] = [new UserAgent(), new UserAgent(), new UserAgent()];
    assertSignedIn(world, await signIn(world, agent));
    assertSignedIn(world, await signIn(world, elsewhere));
    assertSignedIn(world, await signIn(world, somebodyElse, { who: world.colleague }), world.colleague);
    await world.idp.endSessionsOf(world.person);
    await assertOver(world, agent);
    await assertOver(world, elsewhere);
    assert.equal((await data(world, somebodyElse)).status, 200);
  });
}

function browserTests(world) {
  test("Chromium: sign-in with a cross-site callback, and sign-out", async () => {
    const browser = await launchChromium();
    try {
      const { context, page, navigations } = await openWindow(browser);
      await page.goto(`${world.door.origin}${ASKED_FOR}`);
      await page.getByRole("textbox").fill(world.person);
      await page.getByRole("button", { name: "Continue" }).click();
      await page.getByRole("link", { name: world.button }).click();
      await page.waitForURL((url) => url.origin === new URL(world.idp.issuer).origin);
      assertNothingReachedTheApplication(world);
      await world.pages.signInWindow(page, world.person);
      await page.waitForURL(`${world.door.origin}${ASKED_FOR}`);
      await page.getByText(`Signed in as ${world.person}`).waitFor();

      const callback = (await navigations()).find(({ url }) => url.startsWith(world.door.callback(world.connectorId)));
      assert.equal(callback.headers["sec-fetch-site"], "cross-site");
      const cookie = (await context.cookies(world.door.origin)).find(({ name }) => name === SESSION);
      const { httpOnly, secure, sameSite, path } = cookie;
      assert.deepEqual(
        { httpOnly, secure, sameSite, path },
        { httpOnly: true, secure: true, sameSite: "Lax", path: "/" },
      );

      await page.getByRole("link", { name: "Sign out" }).click();
      await world.pages.confirmSignOutWindow(page);
      await page.waitForURL((url) => `${url.origin}${url.pathname}` === world.door.signedOut);
      await page.goto(`${world.door.origin}${ASKED_FOR}`);
      assert.equal(new URL(page.url()).pathname, "/.anteroom/sign-in");
    } finally {
      await browser.close();
    }
  });
}
