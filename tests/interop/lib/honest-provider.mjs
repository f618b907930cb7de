import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { around } from "./around.mjs";
import { launchChromium, openWindow } from "./chromium.mjs";
import { Landing } from "./landing.mjs";
import { RelyingParty } from "./relying-party.mjs";
import { UserAgent } from "./user-agent.mjs";

/**
 * Tests of a provider fixture itself, without Anteroom: an honest code flow with a client that has nothing to do with
 * it. If these fail, look at the fixture; if only the others fail, look at Anteroom.
 */
export function honestProvider({ name, start, pages, clientAuthMethod, address, expected, userinfo, groups }) {
  describe(`${name}, on its own`, () => {
    let landing;
    let provider;
    let party;

    around(
      async () => {
        landing = await Landing.start();
        const redirectUri = `${landing.origin}/callback`;
        provider = await start({ redirectUri, postLogoutRedirectUri: `${landing.origin}/bye` });
        const { issuer, clientId, clientSecret } = provider;
        party = await RelyingParty.discover({ issuer, clientId, clientSecret, redirectUri, clientAuthMethod });
      },
      async () => {
        await provider?.close();
        await landing?.close();
      },
    );

    test("runs a code flow, ends its session at sign-out, and then asks again", async () => {
      const browser = new UserAgent();
      const first = await signedIn(browser);
      assert.equal(first.claims.iss, provider.issuer);
      assert.equal(first.claims.aud, party.clientId);
      for (const [claim, value] of Object.entries(expected)) assert.deepEqual(first.claims[claim], value, claim);
      if (groups) assert.deepEqual([...first.claims.groups].sort(), groups);
      if (userinfo) {
        const answer = await party.userinfo(first);
        for (const [claim, value] of Object.entries(userinfo)) assert.deepEqual(answer[claim], value, claim);
      }

      const silent = await browser.open(party.start().url);
      assert.equal(new URL(silent.url).pathname, "/callback", "a live session signs in without a question");

      const leaving = await browser.open(party.signOutUrl(first, `${landing.origin}/bye`, "s1"));
      const left = await pages.confirmSignOut(browser, leaving);
      assert.equal(left.url, `${landing.origin}/bye?state=s1`);

      const asked = await browser.open(party.start().url);
      assert.ok(pages.isSignIn(asked), `the session is gone, so it asks: ${asked.describe()}`);
    });

    test("refuses a request without PKCE", async () => {
      const attempt = party.start();
      const url = new URL(attempt.url);
      url.searchParams.delete("code_challenge");
      url.searchParams.delete("code_challenge_method");
      const page = await new UserAgent().open(url.href);
      assert.equal(new URL(page.url).searchParams.get("error"), "invalid_request");
    });

    test("signs in a person in Chromium, which takes its *.localhost name and the client's for different sites", async () => {
      const browser = await launchChromium();
      try {
        const { page, navigations } = await openWindow(browser);
        await page.goto(party.start().url);
        await pages.signInWindow(page, address);
        await page.getByRole("heading", { name: "Landed" }).waitFor();
        const callback = (await navigations()).find(({ url }) => url.startsWith(`${landing.origin}/callback`));
        assert.equal(callback.headers["sec-fetch-site"], "cross-site");
      } finally {
        await browser.close();
      }
    });

    async function signedIn(browser) {
      const attempt = party.start({ login_hint: address });
      const asked = await browser.open(attempt.url);
      const landed = await pages.signIn(browser, asked, address);
      const answer = new URL(landed.url);
      assert.equal(answer.pathname, "/callback", landed.describe());
      assert.equal(answer.searchParams.get("state"), attempt.state);
      assert.equal(answer.searchParams.get("iss"), provider.issuer);
      const tokens = await party.redeem(answer.searchParams.get("code"), attempt);
      assert.equal(tokens.claims.nonce, attempt.nonce);
      return tokens;
    }
  });
}
