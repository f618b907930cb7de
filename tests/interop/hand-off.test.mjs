// One sign-in for applications on hosts of their own, in Chromium: its cookies, its redirects, its Content-Security-Policy.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Anteroom, reserveFrontDoor } from "./lib/anteroom.mjs";
import { around } from "./lib/around.mjs";
import { launchChromium, openWindow } from "./lib/chromium.mjs";
import { OidcProvider } from "./lib/oidc-provider.mjs";
import { oidcProviderPages } from "./lib/provider-pages.mjs";
import { RecordingUpstream } from "./lib/upstream.mjs";

const PERSON = "alice@contoso.example";
const COLLEAGUE = "dora@contoso.example";
const CONNECTOR = "contoso-entra";
const SESSION = "__Host-anteroom";

describe("two applications on hosts of their own, in Chromium", () => {
  let door;
  let suite;
  let upstream;
  let idp;
  let anteroom;
  let browser;

  around(
    async () => {
      door = await reserveFrontDoor();
      suite = `http://suite.localhost:${door.port}`;
      upstream = await RecordingUpstream.start();
      idp = await OidcProvider.start({
        shape: "entra",
        redirectUri: door.callback(CONNECTOR),
        postLogoutRedirectUri: door.signedOut,
      });
      const { issuer, clientId, clientSecret } = idp;
      anteroom = await Anteroom.start({
        door,
        upstream,
        connectorId: CONNECTOR,
        connector: {
          kind: "entra",
          issuer: issuer.replace(/\/v2\.0$/, "/"),
          client_id: clientId,
          client_secret: clientSecret,
        },
        domains: ["contoso.example"],
        apps: { suite: { public_url: suite } },
      });
      browser = await launchChromium();
    },
    async () => {
      await browser?.close();
      await anteroom?.stop();
      await idp?.close();
      await upstream?.close();
    },
  );

  async function open() {
    const window = await openWindow(browser);
    const violations = [];
    window.page.on("console", (message) => {
      if (message.text().includes("Content Security Policy")) violations.push(message.text());
    });
    return { ...window, violations };
  }

  async function signIn(page, { typed = PERSON, as = PERSON } = {}) {
    await page.getByRole("textbox").fill(typed);
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByRole("link", { name: "Log in with Microsoft" }).click();
    await oidcProviderPages.signInWindow(page, as);
  }

  /** The session cookie that counts at `origin`. */
  async function session(context, origin) {
    const found = (await context.cookies(origin)).filter(({ name }) => name === SESSION);
    assert.ok(found.length < 2, JSON.stringify(found));
    return found[0];
  }

  const signedIn = (page, person) => page.getByText(`Signed in as ${person}`).waitFor();

  test("a sign-in for one ends there, and the other one needs no second visit to the provider", async () => {
    const { context, page, navigations, violations } = await open();
    await page.goto(`${suite}/report?month=5`);
    assert.equal(new URL(page.url()).origin, door.origin, "people sign in at the sign-in host");
    await signIn(page);
    await page.waitForURL(`${suite}/report?month=5`);
    await signedIn(page, PERSON);
    const seen = upstream.last("/report?month=5").headers;
    assert.equal(seen["x-forwarded-email"], PERSON);
    assert.equal(seen["x-forwarded-host"], new URL(suite).host);
    assert.equal(seen.cookie, undefined);

    const before = (await navigations()).length;
    await page.goto(`${door.origin}/ledger`);
    await signedIn(page, PERSON);
    assert.deepEqual(
      (await navigations()).slice(before).map(({ url }) => url),
      [`${door.origin}/ledger`],
    );
    const [here, there] = [await session(context, door.origin), await session(context, suite)];
    assert.notEqual(here.value, there.value);
    for (const { secure, httpOnly, domain } of [here, there]) {
      assert.ok(secure && httpOnly && !domain.startsWith("."), domain);
    }
    const left = (await context.cookies([door.origin, suite])).filter(({ name }) => name.includes("-try-"));
    assert.deepEqual(left, [], "no attempt is left");
    assert.deepEqual(violations, []);
    await context.close();
  });

  test("whoever is signed in at the sign-in host gets to the other one by redirects alone", async () => {
    const { context, page, navigations } = await open();
    await page.goto(`${door.origin}/`);
    await signIn(page);
    await signedIn(page, PERSON);
    const before = (await navigations()).length;
    await page.goto(`${suite}/deep/link?x=%2F#part`);
    await signedIn(page, PERSON);
    assert.equal(page.url(), `${suite}/deep/link?x=%2F#part`, "the fragment is the browser's own to keep");
    const hosts = (await navigations()).slice(before).map(({ url }) => new URL(url).origin);
    assert.ok(
      hosts.every((host) => host === suite || host === door.origin),
      hosts.join(),
    );
    await context.close();
  });

  test("the page that asks about another address may lead there too", async () => {
    const { context, page, violations } = await open();
    await page.goto(`${suite}/x`);
    await signIn(page, { typed: PERSON, as: COLLEAGUE });
    await page.getByRole("button", { name: `Continue as ${COLLEAGUE}` }).click();
    await page.waitForURL(`${suite}/x`);
    await signedIn(page, COLLEAGUE);
    assert.deepEqual(violations, []);
    await context.close();
  });

  test("sign-out at one, by a link of the other, is asked about and ends both", async () => {
    const { context, page, violations } = await open();
    await page.goto(`${suite}/`);
    await signIn(page);
    await signedIn(page, PERSON);
    await page.goto(`${door.origin}/`);
    await signedIn(page, PERSON);
    await page.evaluate((href) => {
      document.body.append(Object.assign(document.createElement("a"), { href, textContent: "Leave the suite" }));
    }, `${suite}/.anteroom/sign-out`);
    await page.getByRole("link", { name: "Leave the suite" }).click();
    await page.getByRole("button", { name: "Sign out", exact: true }).click();
    await oidcProviderPages.confirmSignOutWindow(page);
    await page.waitForURL((url) => url.href.startsWith(door.signedOut));
    for (const origin of [door.origin, suite]) {
      await page.goto(`${origin}/`);
      await page.getByRole("button", { name: "Continue" }).waitFor();
    }
    assert.deepEqual(violations, []);
    await context.close();
  });

  test("no code is in a log", () => {
    assert.match(anteroom.log, /"session\.handed_off"/);
    assert.doesNotMatch(anteroom.log, /code=/);
  });
});
