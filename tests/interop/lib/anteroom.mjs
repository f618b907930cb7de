import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { Child } from "./child.mjs";
import { freePort } from "./ports.mjs";
import { exchange } from "./user-agent.mjs";

const READY_LIMIT_MS = 15_000;
const POLL_MS = 25;

export const repository = fileURLToPath(new URL("../../../", import.meta.url));

/** A program that Cargo built: `name` under target/debug, or the file that the environment's `variable` names. */
export function built(name, variable) {
  const target = path.resolve(repository, process.env.CARGO_TARGET_DIR ?? "target");
  const file = path.resolve(process.env[variable] ?? path.join(target, "debug", name));
  if (!existsSync(file)) throw new Error(`${file} is not there: run \`make build\`, or name a program in ${variable}`);
  return file;
}

/** Where Anteroom will listen, known before it starts: a provider wants its redirect URI first. */
export async function reserveFrontDoor() {
  const port = await freePort();
  const origin = `http://portal.localhost:${port}`;
  return {
    port,
    origin,
    opsPort: await freePort(),
    callback: (connector) => `${origin}/.anteroom/oidc/${connector}/callback`,
    signedOut: `${origin}/.anteroom/sign-out/done`,
    backChannelLogout: (connector) => `${origin}/.anteroom/backchannel-logout/${connector}`,
  };
}

const text = (value) => JSON.stringify(value); // a TOML basic string escapes as JSON does

function tomlTable(name, values) {
  const lines = Object.entries(values).map(([key, value]) => `${key} = ${text(value)}`);
  return [`[${name}]`, ...lines, ""].join("\n");
}

/**
 * The real binary in front of `upstream`, with one connector, its domains and a directory of its own.
 * `connector` is the body of `[connectors.<id>]`; its secret goes into a file, as in production. `routes` are TOML.
 */
export class Anteroom {
  static async start({ door, upstream, connectorId, connector, domains, routes = [] }) {
    const directory = await mkdtemp(path.join(os.tmpdir(), "anteroom-interop-"));
    await mkdir(path.join(directory, "keys"));
    const { client_secret: secret, ...settings } = connector;
    await writeFile(path.join(directory, "client-secret"), secret, { mode: 0o600 });
    const config = [
      tomlTable("server", { listen: `127.0.0.1:${door.port}`, public_url: door.origin, environment: "demo" }),
      tomlTable("ops", { listen: `127.0.0.1:${door.opsPort}` }),
      tomlTable("keys", { dir: "keys" }),
      `[apps.portal]\nupstream = "http://127.0.0.1:${upstream.port}"`,
      `routes = [${['{ path = "/assets/**", access = "public" }', ...routes].join(", ")}]\n`,
      tomlTable(`connectors.${connectorId}`, { ...settings, client_secret_file: "client-secret" }),
      ...domains.map((domain) => tomlTable(`domains.${text(domain)}`, { connector: connectorId, environment: "demo" })),
    ].join("\n");
    const file = path.join(directory, "anteroom.toml");
    await writeFile(file, config);

    const anteroom = new Anteroom();
    anteroom.origin = door.origin;
    anteroom.directory = directory;
    anteroom.child = new Child(built("anteroom", "ANTEROOM_BIN"), ["serve", "--config", file], { name: "anteroom" });
    try {
      await anteroom.#ready(`http://127.0.0.1:${door.opsPort}/readyz`);
    } catch (error) {
      await anteroom.stop();
      throw error;
    }
    return anteroom;
  }

  /** Everything it has written: its three kinds of log. */
  get log() {
    return this.child.output;
  }

  async stop() {
    await this.child.stop();
    await rm(this.directory, { recursive: true, force: true });
  }

  async #ready(url) {
    const limit = Date.now() + READY_LIMIT_MS;
    for (;;) {
      if (this.child.ended) throw new Error(`anteroom ended at start-up:\n${this.log}`);
      const status = await exchange(url).then(
        (answer) => answer.status,
        () => undefined, // not listening yet
      );
      if (status === 200) return;
      if (Date.now() > limit)
        throw new Error(`anteroom not ready in ${READY_LIMIT_MS} ms (last answer ${status}):\n${this.log}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}
