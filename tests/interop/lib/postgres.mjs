import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { accessSync, constants, readdirSync } from "node:fs";
import { chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";

import { Child } from "./child.mjs";

const USER = "anteroom";
const START_LIMIT_MS = 30_000;
const run = promisify(execFile);

/** A PostgreSQL server of the tests' own, in a directory of its own, reached by a Unix socket there. */
export class Postgres {
  #directory;
  #child;
  #password = randomBytes(18).toString("base64url");
  #databases = 0;

  static async start() {
    const postgres = new Postgres();
    postgres.#directory = await mkdtemp(path.join(os.tmpdir(), "anteroom-pg-"));
    try {
      await postgres.#make();
      await postgres.resume();
    } catch (error) {
      await postgres.close();
      throw error;
    }
    return postgres;
  }

  /** Makes an empty database. The URL of it. */
  async database() {
    this.#databases += 1;
    const name = `interop_${this.#databases}`;
    const options = ["--host", this.#directory, "--username", USER, name];
    await run(program("createdb"), options, { env: { ...process.env, PGPASSWORD: this.#password } });
    return `postgres://${USER}:${this.#password}@localhost/${name}?host=${encodeURIComponent(this.#directory)}`;
  }

  /** Starts it again after `interrupt`. */
  async resume() {
    const data = path.join(this.#directory, "data");
    const settings = ["listen_addresses=", "fsync=off", `unix_socket_directories=${this.#directory}`];
    const options = ["-D", data, ...settings.flatMap((setting) => ["-c", setting])];
    const [command, ...args] = await asOther(program("postgres"), options);
    this.#child = new Child(command, args, { name: "postgres", cwd: this.#directory, env: { LC_ALL: "C" } });
    await this.#child.line(/database system is ready to accept connections/, START_LIMIT_MS);
  }

  /** Ends the server and every connection to it; its data stay. */
  async interrupt() {
    await this.#child?.stop("SIGQUIT");
  }

  async close() {
    await this.interrupt();
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #make() {
    const passwordFile = path.join(this.#directory, "password");
    await writeFile(passwordFile, this.#password, { mode: 0o600 });
    const other = await otherUser();
    if (other) for (const file of [passwordFile, this.#directory]) await chown(file, other.uid, other.gid);
    const options = ["--pgdata", path.join(this.#directory, "data"), "--pwfile", passwordFile, "--username", USER];
    options.push("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync");
    const [command, ...args] = await asOther(program("initdb"), options);
    await run(command, args, { cwd: this.#directory });
  }
}

/** PostgreSQL refuses to run as root: then it is the user that Debian's package makes. */
async function otherUser() {
  if (process.getuid() !== 0) return undefined;
  const id = async (what) => Number((await run("id", [what, "postgres"])).stdout);
  return { uid: await id("-u"), gid: await id("-g") };
}

async function asOther(command, args) {
  const other = await otherUser();
  if (!other) return [command, ...args];
  return ["setpriv", `--reuid=${other.uid}`, `--regid=${other.gid}`, "--clear-groups", command, ...args];
}

/** A program of PostgreSQL. Debian keeps them out of the PATH, a directory for each version. */
function program(name) {
  const versions = list("/usr/lib/postgresql").sort((a, b) => Number(b) - Number(a));
  const places = versions.map((version) => `/usr/lib/postgresql/${version}/bin`);
  const found = [...places, ...process.env.PATH.split(":")]
    .map((place) => path.join(place, name))
    .find((file) => isProgram(file));
  if (!found) throw new Error(`PostgreSQL is missing (${name}): run \`ci/install test\``);
  return found;
}

function list(directory) {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function isProgram(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
