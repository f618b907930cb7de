import { once } from "node:events";
import http from "node:http";
import net from "node:net";

import { closeServer } from "./child.mjs";

const HOP_BY_HOP = new Set(["connection", "keep-alive", "transfer-encoding"]);

/**
 * What stands in front of several processes: every request goes to the next one, over a connection of its own, whoever
 * sends it. One that does not listen is passed over.
 */
export class Balancer {
  /** What was asked of which process, oldest first: `{ method, path, process }`. */
  served = [];
  /** The process that gets a request, by its number; undefined: the next one. For tests that care. */
  choose = () => undefined;
  #next = 0;
  #tunnels = new Set();
  #ports;
  #server;

  static async start({ port, ports }) {
    const balancer = new Balancer();
    balancer.#ports = ports;
    balancer.#server = http.createServer((request, response) => balancer.#forward(request, response));
    balancer.#server.on("upgrade", (request, socket, head) => balancer.#tunnel(request, socket, head));
    balancer.#server.listen(port, "127.0.0.1");
    await once(balancer.#server, "listening");
    return balancer;
  }

  close() {
    this.#tunnels.forEach((client) => client.destroy());
    return closeServer(this.#server);
  }

  async #forward(request, response) {
    const socket = await this.#connect(request);
    if (!socket) {
      response.writeHead(502).end("no process listens");
      return;
    }
    const onward = http.request({
      createConnection: () => socket,
      method: request.method,
      path: request.url,
      headers: endToEnd(request.rawHeaders),
    });
    onward.on("response", (answer) => {
      response.writeHead(answer.statusCode, answer.statusMessage, endToEnd(answer.rawHeaders));
      answer.pipe(response);
      answer.on("error", () => response.destroy());
    });
    // The process has gone in the middle of it: whoever asked sees the same.
    onward.on("error", () => response.destroy());
    response.on("close", () => onward.destroy());
    request.pipe(onward);
  }

  async #tunnel(request, client, head) {
    client.on("error", () => {});
    this.#tunnels.add(client);
    client.on("close", () => this.#tunnels.delete(client));
    const socket = await this.#connect(request);
    if (!socket) {
      client.destroy();
      return;
    }
    const { method, url, rawHeaders } = request;
    const lines = [`${method} ${url} HTTP/1.1`];
    for (let i = 0; i < rawHeaders.length; i += 2) lines.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`);
    socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    socket.write(head);
    socket.on("close", () => client.destroy());
    client.on("close", () => socket.destroy());
    socket.pipe(client).pipe(socket);
  }

  /** A connection to the process whose turn it is. */
  async #connect(request) {
    const wanted = this.choose(request);
    const first = wanted ?? this.#next++;
    for (let i = 0; i < this.#ports.length; i += 1) {
      const process = (first + i) % this.#ports.length;
      const socket = net.connect(this.#ports[process], "127.0.0.1");
      try {
        await once(socket, "connect");
      } catch {
        continue;
      }
      socket.on("error", () => {});
      this.served.push({ method: request.method, path: new URL(request.url, "http://x").pathname, process });
      return socket;
    }
    return undefined;
  }
}

/** The headers as they came, in their order and spelling, without those that end at this hop. */
function endToEnd(rawHeaders) {
  const headers = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (!HOP_BY_HOP.has(rawHeaders[i].toLowerCase())) headers.push(rawHeaders[i], rawHeaders[i + 1]);
  }
  return headers;
}
