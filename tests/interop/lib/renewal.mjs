import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Anteroom, reserveFrontDoor } from "./anteroom.mjs";
import { around } from "./around.mjs";
import { RecordingUpstream } from "./upstream.mjs";
import { UserAgent } from "./user-agent.mjs";

/** A provider's access tokens last so long here. */
const TOKENS_LAST_S = 12;
/** Anteroom never renews a session sooner than this after the last time. */
const LEAST_MS = 10_000;
/** How long a renewal, and what follows from it, is waited for. */
const PATIENCE_MS = 30_000;
/** Browsers of one person that ask at once. */
const AT_ONCE = 5;
const PACE_MS = 200;
const PAGE = "/reports";

/**
 * Sessions in use through the life of the provider's tokens. `people` are four whom the provider vouches for, each for
 * one test; `change` changes what the provider says of somebody, and `header` is where the application sees it.
 * `endSessionOf`, if the provider can do that, ends somebody's session there.
 */
export function renewal(provider) {
  describe(`Renewal with ${provider.name}`, { concurrency: true }, () => {
    const world = { ...provider };

    around(
      async () => {
        world.door = await reserveFrontDoor();
        world.upstream = await RecordingUpstream.start();
        world.idp = await provider.startProvider({
          redirectUri: world.door.callback(provider.connectorId),
          postLogoutRedirectUri: world.door.signedOut,
          tokensLastS: TOKENS_LAST_S,
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

    test("a session in use is renewed in the background, once each time, however many requests race", async () => {
      const began = Date.now();
      const user = await signIn(world, world.people.steady);
      const isRenewed = async () => (await world.idp.renewalsOf(user.address)).good >= 2;
      await use(world, user, isRenewed, { atOnce: AT_ONCE });
      const { good, refused } = await world.idp.renewalsOf(user.address);
      assert.equal(refused, 0, "no refresh token was used twice");
      assert.ok(good * LEAST_MS <= Date.now() - began, `${good} renewals in ${Date.now() - began} ms`);
    });

    test("what changed at the provider reaches the application without a new sign-in", async () => {
      const user = await signIn(world, world.people.changing);
      const [name, before, after] = world.header;
      assert.equal(seen(world, user, name), before);
      await world.change(world.idp, user.address);
      await use(world, user, () => seen(world, user, name) === after);
      assert.ok((await world.idp.renewalsOf(user.address)).good >= 1);
    });

    test("somebody who was disabled at the provider is sent to sign in again", async () => {
      const user = await signIn(world, world.people.leaving);
      await world.idp.disable(user.address);
      await assertEnds(world, user);
    });

    if (!provider.endSessionOf) return;
    test("so is somebody whose session at the provider was ended", async () => {
      const user = await signIn(world, world.people.leftThere);
      await world.endSessionOf(world.idp, user);
      await assertEnds(world, user);
    });
  });
}

async function signIn(world, address) {
  const agent = new UserAgent();
  const asked = await agent.open(`${world.door.origin}${PAGE}`);
  const offered = await agent.submit(asked, "email", { email: address });
  const atProvider = await agent.click(offered, world.button);
  const page = await world.pages.signIn(agent, atProvider, address);
  assert.equal(page.url, `${world.door.origin}${PAGE}`, page.describe());
  return { agent, address, cookie: agent.jar.get(world.door.origin, "__Host-anteroom") };
}

/** What the application was last told of this person. */
function seen(world, { address }, name) {
  const theirs = world.upstream.requests.filter(({ headers }) => headers["x-forwarded-email"] === address);
  return theirs.at(-1).headers[name];
}

/** Asks again and again, as a page that is open does, until `isDone`. Every answer is what a signed-in person gets. */
async function use(world, { agent, address, cookie }, isDone, { atOnce = 1 } = {}) {
  const limit = Date.now() + PATIENCE_MS;
  while (!(await isDone())) {
    const asked = Array.from({ length: atOnce }, () => agent.fetch(`${world.door.origin}/data/1`));
    for (const answer of await Promise.all(asked)) {
      assert.equal(answer.status, 200, `${answer.status} ${answer.body}\n${logOf(world, address)}`);
      assert.equal(JSON.parse(answer.body).email, address);
    }
    assert.ok(Date.now() < limit, `not within ${PATIENCE_MS} ms: ${isDone}\n${logOf(world, address)}`);
    await new Promise((resolve) => setTimeout(resolve, PACE_MS));
  }
  assert.equal(agent.jar.get(world.door.origin, "__Host-anteroom").value, cookie.value, "the same session");
}

/** The session ends with the next renewal, which the provider refuses; until then it is good, and afterwards it is not. */
async function assertEnds(world, { agent, address, cookie }) {
  const limit = Date.now() + PATIENCE_MS;
  let answer;
  do {
    assert.ok(Date.now() < limit, `still signed in\n${logOf(world, address)}`);
    await new Promise((resolve) => setTimeout(resolve, PACE_MS));
    answer = await agent.fetch(`${world.door.origin}/data/1`);
  } while (answer.status === 200);
  assert.equal(answer.status, 401, answer.body);
  assert.equal((await world.idp.renewalsOf(address)).good, 0);

  const isOver = async () => {
    const again = new UserAgent();
    again.jar.put(cookie);
    return (await again.fetch(`${world.door.origin}/data/1`)).status === 401;
  };
  await world.anteroom.everywhere(isOver, "a session that the provider ended goes on");
  const sentAway = await agent.open(`${world.door.origin}${PAGE}`);
  assert.equal(new URL(sentAway.url).pathname, "/.anteroom/sign-in");
  const ended = events(world, address).filter(({ event }) => event === "session.ended");
  assert.deepEqual(
    ended.map(({ reason }) => reason),
    ["invalid_grant"],
    "one event, with the reason",
  );
}

/** The audit events about this person. */
function events(world, address) {
  const lines = world.anteroom.log.split("\n").filter((line) => line.includes('"kind":"audit"'));
  return lines.map((line) => JSON.parse(line)).filter(({ user }) => user === address);
}

const logOf = (world, address) =>
  world.anteroom.log
    .split("\n")
    .filter((line) => line.includes(address) || line.includes('"kind":"app"'))
    .join("\n");
