// Ends the real program in the middle of its work, and takes its disk away: nothing that it has said is lost.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, rm, statfs, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { describe, test } from "node:test";

import { around } from "./lib/around.mjs";
import { COLLEAGUE, PERSON, SESSION, World } from "./lib/journey.mjs";
import { freePort } from "./lib/ports.mjs";
import { oidcProviderPages } from "./lib/provider-pages.mjs";
import { UserAgent } from "./lib/user-agent.mjs";

/** Sign-ins under way when the process is killed. */
const SIGN_INS = 12;
/** Requests of people who are signed in, under way all the time. */
const USERS = 4;
/** What somebody who starts a second process on the file waits at most; measured: a tenth of it, with a debug build. */
const REFUSAL_LIMIT_MS = 1_000;

for (const postgres of [false, true]) {
  describe(`kill -9 and a new start, sessions in ${postgres ? "PostgreSQL" : "SQLite"}`, () => {
    let world;
    let server;
    around(
      async () => {
        world = await World.start({ processes: 1, postgres });
        [server] = world.anteroom.processes;
      },
      () => world?.close(),
    );

    test("whoever is signed in stays so, while requests run; whoever signed out stays out", async () => {
      const { agent } = await world.signIn();
      const gone = await world.signIn(COLLEAGUE);
      const copy = world.copyOf(gone.agent);
      assert.equal(await copy.status(), 200);
      await gone.agent.click(gone.page, "Sign out");
      const pages = world.idp.signInPages;

      const load = new Load(world, agent);
      await load.answers(50);
      await server.kill();
      await load.failures(1);
      await server.start();
      await load.answers(50);
      assert.deepEqual(await load.end(), ["200"], "every answer that came at all");

      await world.assertSignedIn(agent);
      assert.equal(world.idp.signInPages, pages, "nobody was asked again");
      assert.equal(await copy.status(), 401);
    });

    test("a sign-in that reached its browser counts, wherever the others were", async () => {
      const agents = Array.from({ length: SIGN_INS }, () => new UserAgent());
      const signIns = agents.map(async (agent) => {
        const asked = await world.toProvider(agent);
        return oidcProviderPages.signIn(agent, asked, PERSON);
      });
      await Promise.any(signIns);
      await server.kill();
      const cut = (await Promise.allSettled(signIns)).filter(({ status }) => status === "rejected").length;
      await server.start();
      const signedIn = agents.filter((agent) => agent.jar.get(world.door.origin, SESSION));
      assert.ok(signedIn.length >= 1 && cut >= 1, `${signedIn.length} have a cookie, ${cut} were cut off`);
      for (const agent of signedIn) await world.assertSignedIn(agent);
      // Who was cut off begins again, and no half of a sign-in is in the way.
      for (const agent of agents.filter((agent) => !signedIn.includes(agent)).slice(0, 2)) {
        await agent.open(world.url("/")).then((page) => agent.submit(page, "email", { email: PERSON }));
      }
    });

    test("a sign-out that was answered counts, and nobody else is signed out", async () => {
      const visitors = await Promise.all(Array.from({ length: SIGN_INS }, () => world.signIn()));
      const { agent: staying } = await world.signIn(COLLEAGUE);
      const leaving = visitors.map(({ agent, page }) => {
        const copy = world.copyOf(agent);
        return agent.fetch(page.link("Sign out").href, { headers: { "sec-fetch-mode": "navigate" } }).then(() => copy);
      });
      await Promise.any(leaving);
      await server.kill();
      const left = (await Promise.allSettled(leaving)).filter(({ status }) => status === "fulfilled");
      await server.start();
      assert.ok(left.length >= 1, "somebody was answered");
      for (const { value: copy } of left) assert.equal(await copy.status(), 401);
      await world.assertSignedIn(staying, COLLEAGUE);
    });

    const second = postgres ? "a second process joins in" : "a second process on the same file is refused, in words";
    test(second, async (t) => {
      const { agent } = await world.signIn();
      const beside = server.beside({ port: await freePort() });
      try {
        if (postgres) {
          await beside.start();
        } else {
          const { code, took } = await beside.refuses();
          t.diagnostic(`refused after ${took} ms`);
          assert.equal(code, 1, beside.log);
          assert.match(beside.log, /anteroom\.db is in use by another process: SQLite serves one process at a time/);
          assert.ok(took < REFUSAL_LIMIT_MS, `${took} ms`);
        }
        await world.assertSignedIn(agent);
      } finally {
        await beside.stop();
      }
    });
  });
}

describe("a full disk", { skip: cannotMount() }, () => {
  let world;
  let disk;
  around(
    async () => {
      disk = await mkdtemp(path.join(os.tmpdir(), "anteroom-disk-"));
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", disk]);
      world = await World.start({ processes: 1, url: `sqlite://${disk}/anteroom.db` });
    },
    async () => {
      await world?.close();
      execFileSync("umount", [disk]);
      await rm(disk, { recursive: true, force: true });
    },
  );

  test("nobody new comes in, nobody is thrown out, and room is enough to heal it", async () => {
    const { agent } = await world.signIn();
    const filler = path.join(disk, "filler");
    await fill(filler, disk);

    // The log of the database may have a little room of its own left: the first sign-ins use it up.
    let refused;
    for (let tries = 0; refused === undefined; tries += 1) {
      assert.ok(tries < 200, "sign-ins succeed on a full disk");
      const stranger = new UserAgent();
      const asked = await world.toProvider(stranger, COLLEAGUE);
      const answer = await oidcProviderPages.signIn(stranger, asked, COLLEAGUE);
      if (answer.status !== 200) refused = { answer, stranger };
      await fill(filler, disk);
    }
    const { answer, stranger } = refused;
    assert.equal(answer.status, 503, answer.describe());
    assert.ok(Number(answer.headers["retry-after"]) > 0, "it says when to come again");
    assert.match(answer.headers["content-type"], /text\/html/);
    assert.match(answer.text, /Reference: \w+/);
    assert.equal(stranger.jar.get(world.door.origin, SESSION), undefined);
    assert.equal((await world.data(stranger)).status, 401);

    for (let i = 0; i < 20; i += 1) await world.assertSignedIn(agent);

    await rm(filler);
    const { agent: again } = await world.signIn(COLLEAGUE);
    await world.assertSignedIn(again, COLLEAGUE);
    await world.assertSignedIn(agent);
    await world.anteroom.processes[0].kill();
    await world.anteroom.processes[0].start();
    await world.assertSignedIn(again, COLLEAGUE);
    await world.assertSignedIn(agent);
  });
});

/** People who are signed in and ask all the time. */
class Load {
  #statuses = new Set();
  #answered = 0;
  #failed = 0;
  #over = false;
  #users;

  constructor(world, agent) {
    this.#users = Array.from({ length: USERS }, async () => {
      while (!this.#over) {
        await world.data(agent).then(
          ({ status }) => {
            this.#answered += 1;
            this.#statuses.add(String(status));
          },
          // Nothing listens, or the connection broke: no answer at all.
          () => (this.#failed += 1),
        );
      }
    });
  }

  answers(more) {
    const wanted = this.#answered + more;
    return this.#until(() => this.#answered >= wanted);
  }

  failures(more) {
    const wanted = this.#failed + more;
    return this.#until(() => this.#failed >= wanted);
  }

  /** The kinds of answers that came. */
  async end() {
    this.#over = true;
    await Promise.all(this.#users);
    return [...this.#statuses];
  }

  async #until(isSo) {
    while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Takes all the room that is left. */
async function fill(file, disk) {
  const { bavail, bsize } = await statfs(disk);
  if (bavail > 0) await writeFile(file, Buffer.alloc(bavail * bsize), { flag: "a" });
}

/** Why there can be no small disk here, or false. */
function cannotMount() {
  if (process.getuid() !== 0) return "only root can mount a small disk";
  const probe = path.join(os.tmpdir(), `anteroom-mount-${process.pid}`);
  try {
    execFileSync("mkdir", [probe]);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", probe], { stdio: "ignore" });
    execFileSync("umount", [probe]);
    return false;
  } catch {
    return "this container may not mount a small disk";
  } finally {
    execFileSync("rm", ["-rf", probe]);
  }
}
