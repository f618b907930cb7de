import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";

import { around } from "./around.mjs";
import { launchChromium, openWindow } from "./chromium.mjs";
import { SESSION } from "./journey.mjs";
import { verifyJwt } from "./relying-party.mjs";
import { messagesOf, relay } from "./saml-messages.mjs";
import { ASKED_FOR, BUTTON, CONNECTOR, SamlWorld } from "./saml-world.mjs";
import { attributeOf } from "./service-provider.mjs";
import { Page, UserAgent } from "./user-agent.mjs";

export const AES_GCM = "http://www.w3.org/2009/xmlenc11#aes256-gcm";
export const AES_CBC = "http://www.w3.org/2001/04/xmlenc#aes256-cbc";

/**
 * The whole sign-in and sign-out through the real binary against one SAML provider, set up as an administrator who
 * follows docs/saml.md sets it up. `headers` and `groups` are what the application is told about `person`.
 */
export function samlInterop(provider) {
  describe(`Anteroom and ${provider.name} over SAML`, () => {
    let world;
    around(
      async () => {
        world = await SamlWorld.start(provider);
      },
      () => world?.close(),
    );
    beforeEach(() => world.look());

    signInTests(() => world);
    refusalTests(() => world);
    unsolicitedTests(() => world);
    logoutTests(() => world);
    browserTests(() => world);

    test("no response, no part of one and no cookie was written to a log", async () => {
      const { log } = world.anteroom;
      assert.match(log, /"login.accepted"/, "there is a log to look at");
      const agent = new UserAgent();
      const { fields } = await world.response(agent);
      const signature = /<(?:[\w.-]+:)?SignatureValue[^>]*>\s*([\w+/=]{20})/.exec(decoded(fields))[1];
      assert.doesNotMatch(log, /SignatureValue|AttributeStatement|SAMLResponse|SAMLRequest/);
      world.assertSignedIn(await post(world, agent, fields));
      for (const secret of [fields.SAMLResponse.slice(0, 60), signature, world.session(agent).value]) {
        assert.ok(!world.anteroom.log.includes(secret));
      }
    });
  });
}

/** The document of a response's form. */
export const decoded = (fields) => Buffer.from(fields.SAMLResponse, "base64").toString("utf8");

/** Posts a response to our assertion consumer service, as a page of the provider in this browser does. */
export function post(world, agent, fields) {
  const inputs = Object.entries(fields).map(([name, value]) => `<input type="hidden" name="${name}" value="${value}">`);
  const body = `<form method="post" action="${world.acs}">${inputs.join("")}</form>`;
  const page = new Page([{ url: `${world.idp.origin}/`, status: 200, headers: {}, setCookies: [], body }]);
  return agent.submit(page, "SAMLResponse");
}

/** The same response about somebody else, as whoever has no key of the provider can write it. */
export function withOtherLetter(world, fields) {
  const forged = decoded(fields).replaceAll(world.person, world.person.replace("alice", "alicf"));
  assert.notEqual(forged, decoded(fields), "the address stands in the response");
  return { ...fields, SAMLResponse: Buffer.from(forged).toString("base64") };
}

function signInTests(at) {
  test("from the e-mail address to the page first asked for, and nothing reaches the application before", async () => {
    const world = at();
    const agent = new UserAgent();
    const asked = await world.toProvider(agent);
    assert.ok(world.pages.isSignIn(asked), asked.describe());
    world.assertNothingReachedTheApplication();
    const landed = await world.pages.signIn(agent, asked, world.person);
    world.assertSignedIn(landed);
    assert.equal(world.upstream.requests.length, world.seen.requests + 1, "the page first asked for, once");

    const ways = landed.hops.map(({ url, method, status }) => [method, url.split("?")[0], status]);
    const acs = ways.findIndex(([, url]) => url === world.acs);
    assert.deepEqual(ways[acs], ["POST", world.acs, 303]);
    assert.deepEqual(ways[acs + 1].slice(0, 2), ["GET", world.door.saml(CONNECTOR, "done")]);
    const { sent } = landed.hops.find(({ url }) => url === world.acs);
    assert.equal(sent["sec-fetch-site"], "cross-site");
    assert.ok(!(sent.cookie ?? "").includes(`${SESSION}=`));
    const left = agent.jar.all(world.door.origin).filter(({ name }) => name.includes("-try-"));
    assert.deepEqual(left, [], "no attempt is left");
  });

  test("the request names us, where to answer and nothing of the person; RelayState is a reference", async () => {
    const world = at();
    const pages = [await world.toProvider(new UserAgent()), await world.toProvider(new UserAgent())];
    const [first, second] = pages.map((asked) => messagesOf(asked).find(({ field }) => field === "SAMLRequest"));
    assert.equal(first.binding, "redirect");
    assert.equal(attributeOf(first.xml, "AuthnRequest", "Destination"), first.to);
    assert.equal(attributeOf(first.xml, "AuthnRequest", "AssertionConsumerServiceURL"), world.acs);
    assert.match(first.xml, new RegExp(`Issuer[^>]*>${world.door.saml(CONNECTOR, "metadata")}<`));
    const ids = [first, second].map(({ xml }) => attributeOf(xml, "AuthnRequest", "ID"));
    assert.notEqual(...ids);
    assert.match(ids[0], /^[_a-z][\w.-]{21,}$/i);
    assert.notEqual(first.relayState, second.relayState);
    assert.ok(Buffer.byteLength(first.relayState) <= 80 && !/[/:%]|reports/.test(first.relayState), first.relayState);
  });

  test("the application gets the verified identity, not what the browser says, and never our cookie", async () => {
    const world = at();
    const forged = {
      "x-forwarded-email": "root@evil.example",
      "x-forwarded-groups": "wheel",
      "x-anteroom-role": "EnterpriseAdmin",
      "x-anteroom-auth": "adopted",
    };
    const agent = new UserAgent({ headers: forged });
    world.assertSignedIn(await world.signIn(agent));
    const { headers } = world.upstream.last(ASKED_FOR);
    const expected = {
      "x-forwarded-user": world.person,
      "x-forwarded-email": world.person,
      "x-anteroom-auth": "saml",
      "x-anteroom-connector": CONNECTOR,
      ...world.provider.headers,
    };
    for (const [name, value] of Object.entries(expected)) assert.equal(headers[name], value, name);
    assert.deepEqual(headers["x-forwarded-groups"].split(",").sort(), world.provider.groups);
    assert.ok(!(headers.cookie ?? "").includes("anteroom"), headers.cookie);
    const { claims } = await verifyJwt(headers["x-anteroom-assertion"], world.url("/.anteroom/jwks.json"));
    assert.deepEqual([claims.aud, claims.email], ["portal", world.person]);
  });

  test("somebody has one and the same subject in every sign-in, and nobody else has it", async () => {
    const world = at();
    const subjects = [];
    for (const who of [world.person, world.person, world.colleague]) {
      await world.newBrowser({ who });
      const { headers } = world.upstream.last(ASKED_FOR);
      subjects.push((await verifyJwt(headers["x-anteroom-assertion"], world.url("/.anteroom/jwks.json"))).claims.sub);
    }
    assert.equal(subjects[0], subjects[1]);
    assert.notEqual(subjects[0], subjects[2]);
  });

  for (const what of ["response", "assertion", "both"]) {
    test(`accepted: signed is the ${what}`, async () => {
      const world = at();
      await world.provider.sign(world.idp, what);
      await world.newBrowser();
      await world.provider.sign(world.idp, "both");
    });
  }

  test("accepted: an assertion encrypted to our certificate with AES-GCM; refused: with AES-CBC", async () => {
    const world = at();
    await world.provider.encrypt(world.idp, AES_GCM);
    const agent = new UserAgent();
    const { fields } = await world.response(agent);
    assert.ok(decoded(fields).includes(AES_GCM) && !decoded(fields).includes(world.person), "it is encrypted");
    world.assertSignedIn(await post(world, agent, fields));

    await world.provider.encrypt(world.idp, AES_CBC);
    world.look();
    const other = new UserAgent();
    const refused = await world.signIn(other);
    await world.provider.encrypt(world.idp, null);
    world.assertRefused(refused, other);
  });

  test("a live session at the provider signs in without a question", async () => {
    const world = at();
    const agent = await world.newBrowser();
    agent.jar.delete(world.door.origin, SESSION);
    world.assertSignedIn(await world.toProvider(agent));
  });
}

function refusalTests(at) {
  test("a response that comes a second time goes on in its own browser and nowhere in another", async () => {
    const world = at();
    const agent = new UserAgent();
    const { fields } = await world.response(agent);
    world.assertSignedIn(await post(world, agent, fields));
    const again = await post(world, agent, fields);
    assert.equal(again.status, 200, again.describe());
    assert.equal(new URL(again.url).origin, world.door.origin);

    world.look();
    const stranger = new UserAgent();
    world.assertRefused(await post(world, stranger, fields), stranger);
  });

  test("refused: a response to a sign-in that another browser began", async () => {
    const world = at();
    const { fields } = await world.response(new UserAgent());
    const victim = new UserAgent();
    await world.toProvider(victim);
    world.assertRefused(await post(world, victim, fields), victim);
  });

  test("refused: one letter of the address changed in the signed document", async () => {
    const world = at();
    const agent = new UserAgent();
    const { fields } = await world.response(agent);
    world.assertRefused(await post(world, agent, withOtherLetter(world, fields)), agent);
    await world.newBrowser();
  });

  test("somebody else than the address typed is named and asked, not let in", async () => {
    const world = at();
    const agent = new UserAgent();
    const answer = await world.signIn(agent, { who: world.person, typed: world.colleague });
    assert.ok(answer.text.includes(world.person) && answer.text.includes(world.colleague), answer.describe());
    assert.equal(await world.status(agent), 401);
    world.assertNothingReachedTheApplication();
    world.assertSignedIn(await agent.submit(answer, "attempt"));
  });
}

/** The provider's own buttons: "Test this application", the tile. The connector takes no response that it did not ask for. */
function unsolicitedTests(at) {
  test("a flow that begins at the provider becomes one of ours, and ends signed in", async () => {
    const world = at();
    const agent = await world.newBrowser();
    agent.jar.delete(world.door.origin, SESSION);
    const landed = await relay(agent, await agent.open(world.provider.tile(world)));
    const messages = messagesOf(landed);
    assert.deepEqual(
      messages.map(({ field }) => field),
      ["SAMLResponse", "SAMLRequest", "SAMLResponse"],
      landed.describe(),
    );
    assert.equal(attributeOf(messages[0].xml, "Response", "InResponseTo"), undefined);
    const asked = attributeOf(messages[1].xml, "AuthnRequest", "ID");
    assert.equal(attributeOf(messages[2].xml, "Response", "InResponseTo"), asked);
    world.assertSignedIn(landed, world.person, "/");
  });

  test("whoever is signed in already goes to the application", async () => {
    const world = at();
    const agent = await world.newBrowser();
    const landed = await relay(agent, await agent.open(world.provider.tile(world)));
    world.assertSignedIn(landed, world.person, "/");
    assert.equal(messagesOf(landed).length, 1);
  });

  test("it is not repeated within a minute: a page says where to begin", async () => {
    const world = at();
    const agent = await world.newBrowser();
    agent.jar.delete(world.door.origin, SESSION);
    const once = await relay(agent, await agent.open(world.provider.tile(world)));
    world.assertSignedIn(once, world.person, "/");
    agent.jar.delete(world.door.origin, SESSION);
    world.look();
    const again = await relay(agent, await agent.open(world.provider.tile(world)));
    world.assertRefused(again, agent);
    assert.match(again.text, /begin at the application/);
  });
}

function logoutTests(at) {
  test("sign-out ends the session here and at the provider, which then asks again", async () => {
    const world = at();
    const agent = new UserAgent();
    const landed = await world.signIn(agent);
    world.assertSignedIn(landed);
    const copy = world.copyOf(agent);
    assert.equal(await copy(), 200);
    const before = await world.idp.sessionsOf(world.person);
    const left = await relay(agent, await agent.click(landed, "Sign out"));
    assert.equal(new URL(left.url).origin + new URL(left.url).pathname, world.door.signedOut, left.describe());
    assert.equal(left.status, 200);
    assert.equal(await world.idp.sessionsOf(world.person), before - 1, "the provider's session has ended");
    const messages = messagesOf(left);
    assert.deepEqual(
      messages.map(({ field, signature }) => [field, signature !== undefined]),
      [
        ["SAMLRequest", true],
        ["SAMLResponse", true],
      ],
    );
    assert.equal(
      attributeOf(messages[1].xml, "LogoutResponse", "InResponseTo"),
      attributeOf(messages[0].xml, "LogoutRequest", "ID"),
    );
    await world.assertOver(copy);
    const asked = await world.toProvider(agent);
    assert.ok(world.pages.isSignIn(asked), `the provider asks again: ${asked.describe()}`);
  });

  for (const binding of ["redirect", "post"]) {
    test(`a sign-out at the provider, by ${binding}, ends that session here, and no other`, async () => {
      const world = at();
      await world.provider.logoutBy(world, binding);
      const agent = await world.newBrowser();
      const elsewhere = await world.newBrowser();
      const somebodyElse = await world.newBrowser({ who: world.colleague });
      const copy = world.copyOf(agent);
      const left = await world.provider.signOutThere(world, agent);
      assert.equal(new URL(left.url).origin, world.idp.origin, left.describe());
      const messages = messagesOf(left);
      const asked = messages.find(({ field, xml }) => field === "SAMLRequest" && xml.includes("LogoutRequest"));
      assert.equal(asked?.binding, binding, left.describe());
      assert.equal(asked.to, world.door.saml(CONNECTOR, "slo"));
      const answer = messages.find(({ field }) => field === "SAMLResponse");
      assert.ok(answer.xml.includes("urn:oasis:names:tc:SAML:2.0:status:Success"), answer.xml);
      await world.assertOver(copy);
      assert.equal(await world.status(elsewhere), 200);
      assert.equal(await world.status(somebodyElse), 200);
      world.assertSignedIn(await world.signIn(agent));
    });
  }

  test("a logout request that nobody signed, or that comes a second time, ends nothing", async () => {
    const world = at();
    await world.provider.logoutBy(world, "redirect");
    const agent = await world.newBrowser();
    const left = await world.provider.signOutThere(world, agent);
    const asked = left.hops.find(({ url }) => url.startsWith(`${world.door.saml(CONNECTOR, "slo")}?`)).url;

    const again = await world.newBrowser();
    const unsigned = new URL(asked);
    for (const name of ["Signature", "SigAlg"]) unsigned.searchParams.delete(name);
    for (const url of [asked, unsigned.href]) {
      const answer = await new UserAgent().open(url);
      assert.equal(answer.status, 400, answer.describe());
      assert.match(answer.text, /You may still be signed in here.*Reference: \w+/);
    }
    assert.equal(await world.status(again), 200);
  });
}

function browserTests(at) {
  test("Chromium: sign-in by a form that another site posts, and sign-out through the provider", async () => {
    const world = at();
    await world.provider.logoutBy(world, "redirect");
    const browser = await launchChromium();
    try {
      const { context, page, navigations } = await openWindow(browser);
      const violations = [];
      page.on("console", (message) => {
        if (message.text().includes("Content Security Policy")) violations.push(message.text());
      });
      await page.goto(world.url(ASKED_FOR));
      await page.getByRole("textbox").fill(world.person);
      await page.getByRole("button", { name: "Continue" }).click();
      await page.getByRole("link", { name: BUTTON }).click();
      await page.waitForURL((url) => url.origin === world.idp.origin);
      world.assertNothingReachedTheApplication();
      await world.pages.signInWindow(page, world.person);
      await page.waitForURL(world.url(ASKED_FOR));
      await page.getByText(`Signed in as ${world.person}`).waitFor();

      const acs = (await navigations()).find(({ url }) => url === world.acs);
      assert.equal(acs.method, "POST");
      assert.equal(acs.headers["sec-fetch-site"], "cross-site");
      const cookies = await context.cookies(world.door.origin);
      assert.deepEqual(
        cookies.filter(({ name, secure, httpOnly, sameSite }) => !secure || !httpOnly || sameSite !== "Lax" || /-try-/.test(name)),
        [],
      );
      assert.ok(cookies.some(({ name }) => name === SESSION));

      await page.getByRole("link", { name: "Sign out" }).click();
      await page.waitForURL((url) => `${url.origin}${url.pathname}` === world.door.signedOut);
      await page.goto(world.url(ASKED_FOR));
      await page.getByRole("textbox").fill(world.person);
      await page.getByRole("button", { name: "Continue" }).click();
      await page.getByRole("link", { name: BUTTON }).click();
      await page.waitForURL((url) => url.origin === world.idp.origin, { waitUntil: "load" });
      assert.equal(new URL(page.url()).origin, world.idp.origin, "the provider asks again");
      assert.deepEqual(violations, []);
    } finally {
      await browser.close();
    }
  });
}
