// A form that outlives its session, in Chromium: what it sends, keeps and sends again is the browser's own.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Anteroom, reserveFrontDoor } from "./lib/anteroom.mjs";
import { around } from "./lib/around.mjs";
import { launchChromium, openWindow } from "./lib/chromium.mjs";
import { OidcProvider } from "./lib/oidc-provider.mjs";
import { oidcProviderPages } from "./lib/provider-pages.mjs";
import { RecordingUpstream } from "./lib/upstream.mjs";

const PERSON = "alice@contoso.example";
const CONNECTOR = "contoso-entra";
const SESSION = "__Host-anteroom";
const ELSEWHERE = "https://payments.localhost:9/pay";

/** What people type and what forms hold: line ends, markup, other scripts, names that repeat, nothing at all. */
const FIELDS = [
  ["amount", "100"],
  ["to", "b"],
  ["note", "first line\nsecond \"line\" <b>&amp;</b> 'x'\n\n\tend "],
  ["to", "a"],
  ["über", "🌊 naïve + 100% ~*-._"],
  ["empty", ""],
  ["_charset_", ""],
  ["amount", "200"],
];

describe("a form whose session has ended, in Chromium", () => {
  let door;
  let upstream;
  let idp;
  let anteroom;
  let browser;

  around(
    async () => {
      door = await reserveFrontDoor();
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
        routes: ['{ path = "/pay/**", keep_post = true }'],
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

  const posts = () => upstream.requests.filter(({ method }) => method === "POST").length;

  /** Signs in from the page that is open. */
  async function signIn(page, { provider = true } = {}) {
    await page.getByRole("textbox").fill(PERSON);
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByRole("link", { name: "Log in with Microsoft" }).click();
    if (provider) await oidcProviderPages.signInWindow(page, PERSON);
  }

  /** A window on a page of the application, signed in. */
  async function atTheApplication() {
    const { context, page, navigations } = await openWindow(browser);
    await page.goto(`${door.origin}/pay/form`);
    await signIn(page);
    await page.getByText(`Signed in as ${PERSON}`).waitFor();
    return { context, page, navigations };
  }

  /** Sends a form from the page that is open, as its own button would. */
  async function send(page, action) {
    await Promise.all([
      page.waitForNavigation(),
      page.evaluate(
        ([action, fields]) => {
          const form = Object.assign(document.createElement("form"), { method: "post", action });
          for (const [name, value] of fields) {
            const field = document.createElement(value.includes("\n") ? "textarea" : "input");
            if (field.type === "text") field.type = "hidden";
            Object.assign(field, { name, value });
            form.append(field);
          }
          document.body.append(form);
          form.submit();
        },
        [action, FIELDS],
      ),
    ]);
  }

  test("is sent again by its sender, byte for byte, and once", async () => {
    const { context, page, navigations } = await atTheApplication();
    await send(page, "/pay/all?a=1&b=%22");
    const honest = upstream.last("/pay/all?a=1&b=%22");
    assert.equal(honest.headers["sec-fetch-site"], "same-origin");
    assert.match(honest.body, /^amount=100&to=b&note=first\+line%0D%0Asecond/);
    assert.match(honest.body, /&_charset_=UTF-8&amount=200$/);
    const before = posts();

    await page.goto(`${door.origin}/pay/form`);
    await context.clearCookies({ name: SESSION });
    await send(page, "/pay/all?a=1&b=%22");
    await page.getByRole("heading", { name: "Not sent yet: sign in first" }).waitFor();
    assert.equal(posts(), before);

    await page.getByRole("link", { name: "Sign in" }).click();
    await signIn(page, { provider: false });
    const button = page.getByRole("button", { name: `Send as ${PERSON}` });
    await button.waitFor();
    await page.reload();
    await button.waitFor();
    assert.equal(posts(), before, "nothing is sent before the person says so");
    assert.equal(await page.getByText("Somebody else was signed in").count(), 0);
    assert.equal(await page.locator("input:visible").count(), 0);

    await button.click();
    await page.getByText(`Signed in as ${PERSON}`).waitFor();
    const again = upstream.last("/pay/all?a=1&b=%22");
    assert.notEqual(again, honest);
    assert.equal(again.body, honest.body);
    for (const header of ["content-type", "origin", "sec-fetch-site", "sec-fetch-mode", "x-forwarded-email"]) {
      assert.equal(again.headers[header], honest.headers[header], header);
    }
    assert.equal(posts(), before + 1, "once");
    const left = (await context.cookies(door.origin)).map(({ name }) => name);
    assert.deepEqual(left.filter((name) => name.includes("-post-")), []);

    await page.goBack();
    await page.getByRole("heading", { name: "Nothing is waiting to be sent" }).waitFor();
    assert.ok((await navigations()).some(({ url }) => url.includes("/sign-in/resend?id=")));
    await context.close();
  });

  test("may be answered with a redirect to another site", async () => {
    const { context, page } = await atTheApplication();
    await context.clearCookies({ name: SESSION });
    await send(page, "/pay/elsewhere");
    await page.getByRole("link", { name: "Sign in" }).click();
    await signIn(page, { provider: false });
    upstream.answer = ({ url }) =>
      url === "/pay/elsewhere" ? { status: 303, headers: { location: ELSEWHERE } } : undefined;
    const followed = page.waitForRequest(ELSEWHERE);
    await page.getByRole("button", { name: `Send as ${PERSON}` }).click();
    await followed;
    upstream.answer = () => undefined;
    await context.close();
  });

  test("is not kept when another site's page sent it", async () => {
    const { context, page } = await atTheApplication();
    // Same person, same form, another origin: the browser itself leaves the session cookie at home.
    await page.goto(`${idp.issuer}/.well-known/openid-configuration`);
    const before = posts();
    await send(page, `${door.origin}/pay/all`);
    await page.getByRole("heading", { name: "Not sent: sign in first" }).waitFor();
    assert.equal(posts(), before);
    assert.deepEqual((await context.cookies(door.origin)).filter(({ name }) => name.includes("-post-")), []);
    await context.close();
  });

  test("leaves nothing that was typed in a log", () => {
    assert.match(anteroom.log, /"browser\.resent"/);
    for (const typed of ["first line", "first+line", "naïve", "na%C3%AFve"]) {
      assert.ok(!anteroom.log.includes(typed), typed);
    }
  });
});
