// A person's walk through `make demo` in Chromium. With UPDATE_SCREENSHOTS=1 it takes the README's pictures.

import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { describe, test } from "node:test";

import { built, repository } from "./lib/anteroom.mjs";
import { around } from "./lib/around.mjs";
import { Child } from "./lib/child.mjs";
import { launchChromium, openWindow, scrollsSideways } from "./lib/chromium.mjs";
import { freePorts } from "./lib/ports.mjs";
import { exchange } from "./lib/user-agent.mjs";

const START_LIMIT_MS = 60_000;
const PICTURE = { width: 960, height: 640 };
const PHONE = { width: 320, height: 640 };
/** The demo's ports count from one: Anteroom, application, two providers, operations. */
const PORTS = [0, 1, 2, 3, 10];
const MAX_TABS = 40;

const alice = {
  address: "alice@acme.com",
  name: "Alice Archer",
  button: "Log in with Microsoft",
  connector: "acme-entra",
};
const bob = { ...alice, address: "bob@acme.com", name: "Bob Baker" };
const hana = { address: "hana@globex.com", name: "Hana Ito", button: "Log in with Google", connector: "globex-google" };

describe("the demo", () => {
  let demo;
  let start;
  let state;
  let browser;
  let portal;
  let providers;

  around(
    async () => {
      const base = await freePorts(PORTS);
      portal = `http://portal.localhost:${base}`;
      providers = {
        [alice.connector]: `http://login.entra.localhost:${base + 2}`,
        [hana.connector]: `http://accounts.google.localhost:${base + 3}`,
      };
      state = await mkdtemp(path.join(os.tmpdir(), "anteroom-demo-"));
      const options = ["--anteroom", built("anteroom", "ANTEROOM_BIN"), "--port-base", String(base), "--state", state];
      start = async () => {
        demo = new Child(built("examples/demo", "DEMO_BIN"), options, { name: "demo" });
        await demo.line(/^Ready\b/m, START_LIMIT_MS);
      };
      await start();
      browser = await launchChromium();
    },
    async () => {
      await browser?.close();
      await demo?.stop();
      if (state) await rm(state, { recursive: true, force: true });
    },
  );

  test("prints where to go and who can sign in", () => {
    for (const line of [portal, ...Object.values(providers), alice.address, hana.address])
      assert.ok(demo.output.includes(line), line);
  });

  for (const person of [alice, hana]) {
    test(`${person.button}: from the e-mail page to the application, by a callback from another site`, async () => {
      const { context, page, navigations } = await openWindow(browser, { viewport: PICTURE });
      const violations = policyViolations(page);
      await page.goto(`${portal}/`);
      await picture(page, person, "sign-in");
      await page.getByRole("textbox").fill(person.address);
      await page.getByRole("button", { name: "Continue" }).click();
      await page.getByRole("link", { name: person.button }).waitFor();
      await picture(page, person, "connector");
      await page.getByRole("link", { name: person.button }).click();
      await page.waitForURL((url) => url.origin === providers[person.connector]);
      await picture(page, person, "provider");
      await page.getByRole("button", { name: person.name }).click();
      await page.waitForURL(`${portal}/`);
      await page.getByRole("heading", { name: "Identity headers of this request" }).waitFor();
      assert.ok(
        (await page.getByRole("main").innerText()).includes(person.address),
        "the page shows who the application was told",
      );
      await picture(page, person, "application");

      const callback = (await navigations()).find(({ url }) =>
        url.startsWith(`${portal}/.anteroom/oidc/${person.connector}/callback`),
      );
      assert.equal(callback.headers["sec-fetch-site"], "cross-site");
      const cookies = (await context.cookies(portal)).map(({ name }) => name);
      assert.ok(cookies.includes("__Host-anteroom"), cookies.join());
      assert.deepEqual(violations, [], "Content-Security-Policy violations");
      await context.close();
    });
  }

  test("the application's own sign-out link ends the session here too", async () => {
    const { context, page } = await openWindow(browser);
    await signIn(page, alice);
    await page.getByRole("link", { name: "Sign out" }).click();
    await page.waitForLoadState();
    const cookies = (await context.cookies(portal)).map(({ name }) => name);
    assert.ok(!cookies.includes("__Host-anteroom"), cookies.join());
    await page.goto(`${portal}/`);
    await page.getByRole("button", { name: "Continue" }).waitFor();
    await context.close();
  });

  test("sign-out names a provider that was not told: Google has no end-session endpoint", async () => {
    const { context, page } = await openWindow(browser);
    await signIn(page, hana);
    await page.goto(`${portal}/.anteroom/sign-out`);
    await page.getByRole("heading", { name: "You are signed out" }).waitFor();
    await page.getByText("You may still be signed in at Google.").waitFor();
    await context.close();
  });

  for (const [choice, who] of Object.entries({ "Continue as bob@acme.com": bob, "Use another account": alice })) {
    test(`one address typed, another chosen: both are named, and "${choice}" signs in ${who.address}`, async () => {
      const { context, page } = await openWindow(browser);
      const violations = policyViolations(page);
      await toProvider(page, alice);
      await page.getByRole("button", { name: bob.name }).click();
      await page.getByRole("heading", { name: "You signed in with another address" }).waitFor();
      const told = await page.getByRole("main").innerText();
      assert.ok(told.includes(alice.address) && told.includes(bob.address), told);
      await page.getByRole(who === bob ? "button" : "link", { name: choice }).click();
      if (who !== bob) await page.getByRole("button", { name: who.name }).click();
      await page.waitForURL(`${portal}/`);
      await page.getByText(`Portal knows you as ${who.address}`).waitFor();
      assert.deepEqual(violations, [], "Content-Security-Policy violations");
      await context.close();
    });
  }

  test("a person without the role is told so by Anteroom; one with it gets in", async () => {
    const { context, page } = await openWindow(browser);
    await signIn(page, hana);
    assert.equal((await page.goto(`${portal}/admin/`)).status(), 403);
    const told = await page.getByRole("main").innerText();
    assert.ok(told.includes(hana.address) && told.includes("Admin"), told);
    await context.close();

    const twin = await openWindow(browser);
    await signIn(twin.page, alice);
    assert.equal((await twin.page.goto(`${portal}/admin/`)).status(), 200);
    await twin.context.close();
  });

  test("the keyboard alone is enough to sign in", async () => {
    const { context, page } = await openWindow(browser);
    await page.goto(`${portal}/`);
    await tabTo(page, page.getByRole("textbox"));
    await page.keyboard.type(alice.address);
    await page.keyboard.press("Enter");
    const button = page.getByRole("link", { name: alice.button });
    await button.waitFor();
    await tabTo(page, button);
    await assertFocusIsSeen(button);
    await page.keyboard.press("Enter");
    const choice = page.getByRole("button", { name: alice.name });
    await choice.waitFor();
    await tabTo(page, choice);
    await page.keyboard.press("Enter");
    await page.waitForURL(`${portal}/`);
    await context.close();
  });

  test("every page fits a window of 320 pixels", async () => {
    const { context, page } = await openWindow(browser, { viewport: PHONE });
    const fits = async (what) => assert.ok(!(await scrollsSideways(page)), `${what} is wider than 320 pixels`);
    await page.goto(`${portal}/`);
    await fits("the e-mail page");
    await page
      .getByRole("textbox")
      .fill("a-rather-long-name-that-nobody-has@a-domain-that-nobody-here-has-heard-of.example.org");
    await page.getByRole("button", { name: "Continue" }).click();
    await page.waitForLoadState();
    await fits("the page for an unknown domain");
    await page.goto(`${portal}/`);
    await page.getByRole("textbox").fill("erin@acme.com");
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByRole("link", { name: alice.button }).waitFor();
    await fits("the page with the button");
    await page.getByRole("link", { name: alice.button }).click();
    await page.getByRole("button", { name: "Erin Evans" }).click();
    await page.waitForURL((url) => url.origin === portal);
    assert.match(await page.locator("body").innerText(), /reference/i, "somebody not assigned is refused in words");
    await fits("the page of a refusal");
    await toProvider(page, alice);
    await page.getByRole("button", { name: bob.name }).click();
    await page.getByRole("button", { name: `Continue as ${bob.address}` }).waitFor();
    await fits("the page for two addresses");
    await page.getByRole("button", { name: `Continue as ${bob.address}` }).click();
    await page.waitForURL(`${portal}/`);
    await page.goto(`${portal}/admin/`);
    await fits("the page for a missing role");
    await page.goto(`${portal}/.anteroom/sign-out`);
    await fits("the provider's sign-out page");
    await context.close();
  });

  test("the pages follow the browser into the dark", async () => {
    const light = await brightness("light");
    const dark = await brightness("dark");
    assert.ok(light.background > light.text, `light: ${JSON.stringify(light)}`);
    assert.ok(dark.background < dark.text, `dark: ${JSON.stringify(dark)}`);
  });

  test("a script with the application's own credentials passes through, and one without is challenged", async () => {
    const basic = `Basic ${Buffer.from("svc-billing:demo-billing-password").toString("base64")}`;
    const answered = await exchange(`${portal}/api/invoices`, { headers: { authorization: basic } });
    assert.equal(answered.status, 200);
    assert.equal(JSON.parse(answered.body).caller, "svc-billing");
    const challenged = await exchange(`${portal}/api/invoices`);
    assert.equal(challenged.status, 401);
    assert.equal(challenged.headers["www-authenticate"], 'Basic realm="portal"');
  });

  test("a visitor stays signed in when the demo is ended and started again", async () => {
    const { context, page } = await openWindow(browser);
    await signIn(page, alice);
    await demo.stop("SIGINT");
    await start();
    await page.goto(`${portal}/`);
    await page.getByText(`Portal knows you as ${alice.address}`).waitFor();
    await page.getByRole("link", { name: "Sign out" }).click();
    await page.goto(`${portal}/`);
    await page.getByRole("button", { name: "Continue" }).waitFor();
    await context.close();
  });

  async function toProvider(page, person) {
    await page.goto(`${portal}/`);
    await page.getByRole("textbox").fill(person.address);
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByRole("link", { name: person.button }).click();
  }

  async function signIn(page, person) {
    await toProvider(page, person);
    await page.getByRole("button", { name: person.name }).click();
    await page.waitForURL(`${portal}/`);
  }

  async function brightness(colorScheme) {
    const { context, page } = await openWindow(browser, { colorScheme });
    await page.goto(`${portal}/`);
    const found = await page.evaluate(() => {
      const canvas = document.createElement("canvas").getContext("2d");
      const luma = (colour) => {
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        const [red, green, blue] = canvas.getImageData(0, 0, 1, 1).data;
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
      };
      // What is drawn behind the heading: the nearest ancestor with a background, else the canvas of the page.
      const heading = document.querySelector("h1");
      let behind = heading;
      const isClear = (element) => getComputedStyle(element).backgroundColor === "rgba(0, 0, 0, 0)";
      while (behind && isClear(behind)) behind = behind.parentElement;
      return {
        background: luma(behind ? getComputedStyle(behind).backgroundColor : "Canvas"),
        text: luma(getComputedStyle(heading).color),
      };
    });
    await context.close();
    return found;
  }
});

/** Presses Tab until `target` has the focus, as somebody without a mouse does. */
async function tabTo(page, target) {
  for (let pressed = 0; pressed < MAX_TABS; pressed += 1) {
    if (await target.evaluate((element) => element === document.activeElement)) return;
    await page.keyboard.press("Tab");
  }
  assert.fail(`${MAX_TABS} presses of Tab do not reach ${target}`);
}

async function assertFocusIsSeen(target) {
  const { outline, shadow } = await target.evaluate((element) => {
    const { outlineStyle, boxShadow } = getComputedStyle(element);
    return { outline: outlineStyle, shadow: boxShadow };
  });
  assert.ok(outline !== "none" || shadow !== "none", "the focus is drawn");
}

/** What the browser blocked, gathered as the window runs. */
function policyViolations(page) {
  const found = [];
  page.on("console", (message) => {
    if (message.text().includes("Content Security Policy")) found.push(message.text());
  });
  return found;
}

/** One picture per step, of one person's way. */
async function picture(page, person, step) {
  if (process.env.UPDATE_SCREENSHOTS !== "1" || person !== alice) return;
  const directory = path.join(repository, "docs/images");
  await mkdir(directory, { recursive: true });
  await page.mouse.move(0, 0); // nothing looks hovered over
  await page.screenshot({ path: path.join(directory, `${step}.png`), animations: "disabled", caret: "hide" });
}
