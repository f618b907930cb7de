import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { Balancer } from "./balancer.mjs";
import { Child } from "./child.mjs";
import { freePort } from "./ports.mjs";
import { Postgres } from "./postgres.mjs";
import { exchange } from "./user-agent.mjs";

const READY_LIMIT_MS = 15_000;
const POLL_MS = 25;

/** How many processes a test has behind its front door, unless it says so itself. */
const PROCESSES = Number(process.env.ANTEROOM_PROCESSES ?? 1);

/** The longest that a session ended at one process may be served by another: the default of sessions.revocation_bound. */
export const REVOCATION_BOUND_MS = 5_000;

export const repository = fileURLToPath(new URL("../../../", import.meta.url));

/** A program that Cargo built: `name` under target/debug, or the file that the environment's `variable` names. */
export function built(name, variable) {
  const target = path.resolve(repository, process.env.CARGO_TARGET_DIR ?? "target");
  const file = path.resolve(process.env[variable] ?? path.join(target, "debug", name));
  if (!existsSync(file)) throw new Error(`${file} is not there: run \`make build\`, or name a program in ${variable}`);
  return file;
}

const binary = () => built("anteroom", "ANTEROOM_BIN");

/** Where Anteroom will listen, known before it starts: a provider wants its redirect URI first. */
export async function reserveFrontDoor(host = "portal.localhost") {
  const port = await freePort();
  const origin = `http://${host}:${port}`;
  return {
    port,
    origin,
    callback: (connector) => `${origin}/.anteroom/oidc/${connector}/callback`,
    saml: (connector, page) => `${origin}/.anteroom/saml/${connector}/${page}`,
    signedOut: `${origin}/.anteroom/sign-out/done`,
    backChannelLogout: (connector) => `${origin}/.anteroom/backchannel-logout/${connector}`,
  };
}

const text = (value) => JSON.stringify(value); // a TOML basic string escapes as JSON does

/** A value of TOML: a table within a line has other signs than one of JSON. */
function toml(value) {
  if (typeof value !== "object" || Array.isArray(value)) return text(value);
  return `{ ${Object.entries(value).map(([key, inner]) => `${key} = ${toml(inner)}`).join(", ")} }`;
}

function tomlTable(name, values) {
  const lines = Object.entries(values).map(([key, value]) => `${key} = ${toml(value)}`);
  return [`[${name}]`, ...lines, ""].join("\n");
}

/**
 * The real binary in front of `upstream`, with one connector, its domains and a directory of its own: SQLite for one
 * process (`url` names another file); for several a PostgreSQL database, and a balancer that sends every request to the
 * next process. `connector` is the body of `[connectors.<id>]`; a secret of it goes into a file, as in production. `routes` are TOML;
 * `apps` are further applications in front of the same upstream, `connectors` further connectors with a domain each, by id.
 */
export class Anteroom {
  /** The processes, each of which can be ended and started again. */
  processes = [];
  #postgres;

  static async start({ door, processes = PROCESSES, postgres = processes > 1, url, ...options }) {
    const anteroom = new Anteroom();
    anteroom.origin = door.origin;
    anteroom.directory = await mkdtemp(path.join(os.tmpdir(), "anteroom-interop-"));
    try {
      if (postgres) anteroom.#postgres = await Postgres.start();
      const database = (await anteroom.#postgres?.database()) ?? url;
      const file = await writeConfiguration(anteroom.directory, { door, database, ...options });
      const ports = processes === 1 ? [door.port] : await Promise.all(Array.from({ length: processes }, freePort));
      for (const port of ports) {
        anteroom.processes.push(new Process({ file, port, name: `anteroom ${anteroom.processes.length}` }));
      }
      if (processes > 1) anteroom.balancer = await Balancer.start({ port: door.port, ports });
      await Promise.all(anteroom.processes.map((one) => one.start()));
    } catch (error) {
      await anteroom.stop();
      throw error;
    }
    return anteroom;
  }

  /** Everything that they have written: their three kinds of log. */
  get log() {
    return this.processes.map((one) => one.log).join("\n");
  }

  /** The PostgreSQL server, if there is one. */
  get postgres() {
    return this.#postgres;
  }

  /**
   * Waits until `isOver` holds at every process, at most the revocation bound. One process alone knows at once. How
   * long it took, in milliseconds.
   */
  async everywhere(isOver, what) {
    const began = Date.now();
    for (let agreed = 0; agreed < this.processes.length; ) {
      agreed = (await isOver()) ? agreed + 1 : 0;
      const late = Date.now() - began > REVOCATION_BOUND_MS;
      if (agreed === 0 && (late || this.processes.length === 1)) {
        throw new Error(`${what}, after ${Date.now() - began} ms`);
      }
    }
    return Date.now() - began;
  }

  async stop() {
    await this.balancer?.close();
    await Promise.all(this.processes.map((one) => one.stop()));
    await this.#postgres?.close();
    await rm(this.directory, { recursive: true, force: true });
  }
}

const domainTable = (domain, connector) =>
  tomlTable(`domains.${text(domain)}`, { connector, environment: "demo" });

async function writeConfiguration(directory, options) {
  const { door, database, upstream, connectorId, connector, domains, routes = [], apps = {}, connectors = {} } = options;
  const isServer = database?.startsWith("postgres:");
  await mkdir(path.join(directory, "keys"));
  const { client_secret: secret, ...settings } = connector;
  if (secret) {
    await writeFile(path.join(directory, "client-secret"), secret, { mode: 0o600 });
    settings.client_secret_file = "client-secret";
  }
  if (isServer) await writeFile(path.join(directory, "database-url"), database, { mode: 0o600 });
  const config = [
    tomlTable("server", { public_url: door.origin, environment: "demo" }),
    tomlTable("keys", { dir: "keys" }),
    // Left out: the SQLite file that Anteroom makes by itself, here beside its configuration.
    database ? tomlTable("directory", isServer ? { url_file: "database-url" } : { url: database }) : "",
    `[apps.portal]\nupstream = "http://127.0.0.1:${upstream.port}"`,
    `routes = [${['{ path = "/assets/**", access = "public" }', ...routes].join(", ")}]\n`,
    ...Object.entries(apps).map(([id, app]) =>
      tomlTable(`apps.${id}`, { upstream: `http://127.0.0.1:${upstream.port}`, ...app }),
    ),
    tomlTable(`connectors.${connectorId}`, settings),
    ...domains.map((domain) => domainTable(domain, connectorId)),
    ...Object.entries(connectors).flatMap(([id, { domain, ...values }]) => [
      tomlTable(`connectors.${id}`, values),
      domainTable(domain, id),
    ]),
  ].join("\n");
  const file = path.join(directory, "anteroom.toml");
  await writeFile(file, config);
  return file;
}

/** One process of a deployment. What differs from one to the next is in its environment. */
export class Process {
  #file;
  #port;
  #name;
  #child;
  #before = "";

  constructor({ file, port, name = "anteroom" }) {
    this.#file = file;
    this.#port = port;
    this.#name = name;
  }

  /** Everything that it has written, through all its starts. */
  get log() {
    return this.#before + (this.#child?.output ?? "");
  }

  /** Starts it, and waits until it is ready. */
  async start() {
    const ops = await freePort();
    this.#launch(ops);
    const limit = Date.now() + READY_LIMIT_MS;
    for (;;) {
      if (this.#child.ended) throw new Error(`${this.#name} ended at start-up:\n${this.log}`);
      const status = await exchange(`http://127.0.0.1:${ops}/readyz`).then(
        (answer) => answer.status,
        () => undefined, // not listening yet
      );
      if (status === 200) return;
      if (Date.now() > limit)
        throw new Error(`${this.#name} not ready in ${READY_LIMIT_MS} ms (last answer ${status}):\n${this.log}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** Another process of the same configuration, on a port of its own and not started yet. */
  beside({ port }) {
    return new Process({ file: this.#file, port, name: `${this.#name}, the second` });
  }

  /** Starts it where it must not start: its exit code, and how long it took to end in milliseconds. */
  async refuses() {
    this.#launch(await freePort());
    const began = Date.now();
    return { code: await this.#child.exited(), took: Date.now() - began };
  }

  /** A command of the operator, over this process's admin socket. What it printed. */
  async command(...words) {
    const options = [...words, "--config", this.#file];
    const { stdout } = await promisify(execFile)(binary(), options, { env: { ...process.env, ...this.#environment() } });
    return stdout;
  }

  /** Ends it without a word: kill -9. */
  async kill() {
    await this.#child.kill();
  }

  /** Ends it as Ctrl-C does: SIGTERM would wait for a load balancer first. */
  async stop() {
    await this.#child?.stop("SIGINT");
  }

  #launch(ops) {
    this.#before = this.log;
    const env = { ...this.#environment(), ANTEROOM__OPS__LISTEN: `127.0.0.1:${ops}` };
    this.#child = new Child(binary(), ["serve", "--config", this.#file], { name: this.#name, env });
  }

  #environment() {
    return {
      ANTEROOM__SERVER__LISTEN: `127.0.0.1:${this.#port}`,
      ANTEROOM__OPS__ADMIN_SOCKET: path.join(path.dirname(this.#file), `admin-${this.#port}.sock`),
    };
  }
}
