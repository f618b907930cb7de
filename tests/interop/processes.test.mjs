// Two processes on one PostgreSQL database, each request steered to one of them on purpose.

import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";

import { REVOCATION_BOUND_MS } from "./lib/anteroom.mjs";
import { around } from "./lib/around.mjs";
import { launchChromium, openWindow } from "./lib/chromium.mjs";
import { COLLEAGUE, PERSON, SESSION, World } from "./lib/journey.mjs";
import { oidcProviderPages } from "./lib/provider-pages.mjs";
import { UserAgent } from "./lib/user-agent.mjs";

const ONE = 0;
const OTHER = 1;

describe("two processes on one PostgreSQL database", () => {
  let world;
  let balancer;

  around(
    async () => {
      world = await World.start({ processes: 2 });
      balancer = world.anteroom.balancer;
    },
    () => world?.close(),
  );
  afterEach(() => at(undefined));

  const at = (process) => (balancer.choose = () => process);

  /** Signs in with every request at `process`. */
  async function signInAt(process, who = PERSON) {
    at(process);
    return world.signIn(who);
  }

  async function statusAt(process, agentOrCopy) {
    at(process);
    return agentOrCopy.status ? agentOrCopy.status() : (await world.data(agentOrCopy)).status;
  }

  test("a sign-in begun at one is finished at the other, and both know the session", async () => {
    const agent = new UserAgent();
    at(ONE);
    const asked = await world.toProvider(agent);
    at(OTHER);
    const landed = await oidcProviderPages.signIn(agent, asked, PERSON);
    assert.equal(landed.status, 200, landed.describe());
    const places = balancer.served.filter(({ path }) => /\/(go|callback)$/.test(path)).slice(-2);
    assert.deepEqual(
      places.map(({ path, process }) => [path.split("/").at(-1), process]),
      [
        ["go", ONE],
        ["callback", OTHER],
      ],
    );
    for (const process of [ONE, OTHER]) {
      at(process);
      await world.assertSignedIn(agent);
    }
  });

  test("one callback at both at once is redeemed once", async () => {
    const agent = new UserAgent();
    at(ONE);
    const asked = await world.toProvider(agent);
    // The provider's answer, taken off before it reaches Anteroom.
    const callback = await callbackOf(agent, asked);
    const cookie = agent.jar.header(callback);
    const redeemed = world.idp.paths.filter((path) => path.endsWith("/token")).length;
    const turn = [ONE, OTHER];
    balancer.choose = () => turn.shift();
    const ask = () => agent.fetch(callback, { headers: { ...NAVIGATION, cookie } });
    const answers = await Promise.all([ask(), ask()]);
    const sessions = answers.flatMap(({ setCookies }) => setCookies.filter((set) => set.startsWith(`${SESSION}=`)));
    assert.equal(sessions.filter((set) => !/max-age=0/i.test(set)).length, 1, answers.map(({ status }) => status).join());
    assert.equal(world.idp.paths.filter((path) => path.endsWith("/token")).length, redeemed + 1);
  });

  test("a sign-out at one is a sign-out at the other, within the revocation bound", async (t) => {
    const { agent, page } = await signInAt(ONE);
    const copy = world.copyOf(agent);
    assert.equal(await statusAt(OTHER, copy), 200, "the other has it in memory");
    at(ONE);
    await agent.click(page, "Sign out");
    assert.equal(await statusAt(ONE, copy), 401, "at once where it happened");
    const took = await until(async () => (await statusAt(OTHER, copy)) === 401);
    t.diagnostic(`the other process knew after ${took} ms`);
  });

  test("a session revoked by the operator of one process is over at the other", async () => {
    const { agent } = await signInAt(ONE, COLLEAGUE);
    const bystander = await signInAt(ONE, PERSON);
    assert.equal(await statusAt(OTHER, agent), 200);
    assert.match(await world.anteroom.processes[OTHER].command("session", "list", "--user", COLLEAGUE), /dora@contoso/);
    await world.anteroom.processes[OTHER].command("session", "revoke", "--user", COLLEAGUE, "--yes");
    const copy = world.copyOf(agent);
    for (const process of [ONE, OTHER]) await until(async () => (await statusAt(process, copy)) === 401);
    for (const process of [ONE, OTHER]) assert.equal(await statusAt(process, bystander.agent), 200);
  });

  test("WebSocket and event stream at one close when the session ends at the other, and only then", async (t) => {
    const browser = await launchChromium();
    try {
      const leaving = await connected(browser, PERSON);
      const staying = await connected(browser, COLLEAGUE);
      at(OTHER);
      const tab = await leaving.context.newPage();
      await tab.goto(world.url("/"));
      const began = Date.now();
      await tab.getByRole("link", { name: "Sign out" }).click();
      await leaving.page.waitForFunction(() => globalThis.over.size === 2, null, { timeout: REVOCATION_BOUND_MS });
      t.diagnostic(`closed after ${Date.now() - began} ms`);
      assert.equal(await staying.page.evaluate(() => globalThis.over.size), 0);
    } finally {
      await browser.close();
    }
  });

  test("one of them killed: whoever is signed in stays so at the other, and at both when it is back", async () => {
    const { agent } = await signInAt(ONE);
    at(undefined);
    await world.anteroom.processes[ONE].kill();
    for (let i = 0; i < 4; i += 1) await world.assertSignedIn(agent);
    const { agent: newcomer } = await world.signIn(COLLEAGUE);
    await world.anteroom.processes[ONE].start();
    for (const process of [ONE, OTHER]) {
      at(process);
      await world.assertSignedIn(agent);
      await world.assertSignedIn(newcomer, COLLEAGUE);
    }
  });

  test("without the database requests wait outside, and nobody is signed out", async (t) => {
    const { agent } = await signInAt(ONE);
    const copy = world.copyOf(agent);
    await world.anteroom.postgres.interrupt();
    assert.equal(await statusAt(ONE, copy), 200, "what was heard of lately counts for the revocation bound");
    const took = await until(async () => (await statusAt(ONE, copy)) === 503, 2 * REVOCATION_BOUND_MS);
    t.diagnostic(`503 after ${took} ms`);
    const refused = await world.data(agent);
    assert.ok(Number(refused.headers["retry-after"]) > 0, "it says when to come again");
    assert.deepEqual(refused.setCookies, [], "and takes no cookie away");
    await world.anteroom.postgres.resume();
    for (const process of [ONE, OTHER]) {
      await until(async () => (await statusAt(process, copy)) === 200, 4 * REVOCATION_BOUND_MS);
    }
    await signInAt(OTHER, COLLEAGUE);
  });

  /** A window of `who` at one process, with a WebSocket and an event stream open; `over` there names what is not any more. */
  async function connected(browser, who) {
    at(ONE);
    const { context, page } = await openWindow(browser);
    await page.goto(world.url("/"));
    await page.getByRole("textbox").fill(who);
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByRole("link", { name: "Log in with Microsoft" }).click();
    await oidcProviderPages.signInWindow(page, who);
    await page.getByText(`Signed in as ${who}`).waitFor();
    await page.evaluate(() => {
      globalThis.over = new Set();
      const socket = new WebSocket(`ws://${location.host}/live`);
      socket.onclose = () => globalThis.over.add("socket");
      const stream = new EventSource("/live");
      stream.onerror = () => globalThis.over.add("stream");
      return Promise.all([socket, stream].map((one) => new Promise((resolve) => (one.onmessage = resolve))));
    });
    return { context, page };
  }
});

const NAVIGATION = {
  accept: "text/html",
  "sec-fetch-dest": "document",
  "sec-fetch-mode": "navigate",
  "sec-fetch-site": "cross-site",
};

/** Answers the provider's page and follows it up to, and not into, Anteroom's callback. */
async function callbackOf(agent, asked) {
  const form = asked.formWith("address");
  let answer = await agent.fetch(form.action, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded", "sec-fetch-mode": "navigate" },
    body: new URLSearchParams({ address: PERSON }).toString(),
  });
  for (;;) {
    const next = new URL(answer.headers.location, answer.url).href;
    if (next.includes("/callback?")) return next;
    answer = await agent.fetch(next);
  }
}

/** Asks again and again until it is so. How long that took, in milliseconds. */
async function until(isSo, limitMs = REVOCATION_BOUND_MS) {
  const began = Date.now();
  while (!(await isSo())) assert.ok(Date.now() - began <= limitMs, `not within ${limitMs} ms: ${isSo}`);
  return Date.now() - began;
}
