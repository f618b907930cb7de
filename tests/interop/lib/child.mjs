import { spawn } from "node:child_process";
import { once } from "node:events";

const STOP_LIMIT_MS = 15_000;
const running = new Set();

// A test run that is interrupted leaves no server behind.
process.on("exit", () => running.forEach((child) => child.signal("SIGKILL")));
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => process.exit(1));
}

/** A server started by a test: its output, a wait for one line of it, and an end that takes its children along. */
export class Child {
  #process;
  #name;
  #exited;
  #waiting = new Set();
  output = "";

  constructor(command, args, { name = command, env = {}, cwd } = {}) {
    this.#name = name;
    this.#process = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    running.add(this);
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        this.output += text;
        this.#waiting.forEach((check) => check());
      });
    }
    this.#exited = new Promise((resolve) => {
      const end = () => {
        running.delete(this);
        resolve();
        this.#waiting.forEach((check) => check());
      };
      this.#process.once("exit", end);
      this.#process.once("error", (error) => {
        this.output += `${error.message}\n`;
        end();
      });
    });
  }

  get ended() {
    return !running.has(this);
  }

  get exitCode() {
    return this.#process.exitCode;
  }

  /** The first match of `pattern` in the output; an error if the process ends or `limitMs` passes before. */
  line(pattern, limitMs) {
    return new Promise((resolve, reject) => {
      const settle = (act) => {
        clearTimeout(timer);
        this.#waiting.delete(check);
        act();
      };
      const check = () => {
        const match = pattern.exec(this.output);
        if (match) {
          settle(() => resolve(match));
        } else if (this.ended) {
          settle(() => reject(new Error(`${this.#name} ended before ${pattern}:\n${this.output}`)));
        }
      };
      const late = () =>
        settle(() => reject(new Error(`${this.#name}: no ${pattern} in ${limitMs} ms:\n${this.output}`)));
      const timer = setTimeout(late, limitMs);
      this.#waiting.add(check);
      check();
    });
  }

  /** Signals the process and its children: a start script such as Keycloak's need not pass signals on. */
  signal(signal) {
    try {
      process.kill(-this.#process.pid, signal);
    } catch (error) {
      if (error.code !== "ESRCH") throw error;
    }
  }

  async exited() {
    await this.#exited;
    return this.exitCode;
  }

  /** Ends it as a crash or a power cut would, and waits. */
  async kill() {
    this.signal("SIGKILL");
    await this.#exited;
  }

  /** Asks it to end and waits. Ends it by force, and says so, after 15 s. */
  async stop(signal = "SIGTERM") {
    if (this.ended) return;
    this.signal(signal);
    const timer = setTimeout(() => this.signal("SIGKILL"), STOP_LIMIT_MS);
    await this.#exited;
    clearTimeout(timer);
    if (this.#process.signalCode === "SIGKILL") {
      throw new Error(`${this.#name} did not end within ${STOP_LIMIT_MS} ms of ${signal}:\n${this.output}`);
    }
  }
}

/** Closes an HTTP server and the connections that clients keep open to it. */
export async function closeServer(server) {
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await closed;
}
