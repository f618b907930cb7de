import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { repository } from "./anteroom.mjs";
import { Child } from "./child.mjs";
import { universityPeople } from "./people.mjs";
import { freePort } from "./ports.mjs";
import { makeKeyPair } from "./saml-keys.mjs";
import { exchange } from "./user-agent.mjs";

const START_LIMIT_MS = 30_000;
const PROGRAM = fileURLToPath(new URL("../pysaml2/provider.py", import.meta.url));

function python() {
  const file = path.join(repository, "target/interop/pysaml2/bin/python");
  if (!existsSync(file)) throw new Error("pysaml2 is not there: run `ci/install test`");
  return file;
}

/** An identity provider of PyPI's pysaml2, with keys made for this run: "first", and "second" to roll over to. */
export class Pysaml2 {
  #child;
  #directory;

  static async start(options = {}) {
    const provider = new Pysaml2();
    provider.#directory = await mkdtemp(path.join(os.tmpdir(), "pysaml2-interop-"));
    try {
      await Promise.all(["first", "second"].map((name) => makeKeyPair(provider.#directory, name)));
      await provider.#launch();
      await provider.control(options);
    } catch (error) {
      await provider.close();
      throw error;
    }
    return provider;
  }

  async #launch() {
    const port = await freePort();
    this.origin = `http://university.localhost:${port}`;
    this.entityId = `${this.origin}/metadata`;
    this.metadataUrl = this.entityId;
    const settings = { port, origin: this.origin, directory: this.#directory, people: universityPeople };
    const file = path.join(this.#directory, "settings.json");
    await writeFile(file, JSON.stringify(settings));
    this.#child = new Child(python(), [PROGRAM, file], { name: "pysaml2", env: { PYTHONDONTWRITEBYTECODE: "1" } });
    await this.#child.line(/^listening$/m, START_LIMIT_MS);
  }

  /** Its metadata loader reads ours: from now on it knows where to answer and which keys are ours. */
  async register(metadata) {
    await this.control({ service_provider: metadata });
  }

  /**
   * Changes how it works from now on: `sign` (response, assertion, both), `hash` (sha256, sha1), `cipher` (aes128-cbc, aes256-gcm, 3des…; null:
   * assertions are not encrypted), `want_signed_requests`, `name_id` (persistent, transient, email), `slo` (bindings it
   * takes), `slo_by` (the one it uses), `publish` and `sign_with` (key pairs). What it knows: `sessions` (addresses), `seen`.
   */
  async control(changes = {}) {
    const headers = { "content-type": "application/json" };
    const answer = await exchange(`${this.origin}/control`, { method: "POST", headers, body: JSON.stringify(changes) });
    if (answer.status !== 200) throw new Error(`pysaml2: ${answer.status} ${answer.body}\n${this.#child.output}`);
    return JSON.parse(answer.body);
  }

  /** The messages that it recognised, newest last: kind, binding, and whether a signature was there and verified. */
  async seen() {
    return (await this.control()).seen;
  }

  /** How many sign-in sessions it keeps for this person. */
  async sessionsOf(address) {
    return (await this.control()).sessions.filter((one) => one === address).length;
  }

  async metadata() {
    return (await exchange(this.metadataUrl)).body;
  }

  async close() {
    await this.#child?.stop();
    await rm(this.#directory, { recursive: true, force: true });
  }
}
