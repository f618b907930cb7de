import { createHash } from "node:crypto";
import { once } from "node:events";
import http from "node:http";

import { closeServer } from "./child.mjs";
import { freePort } from "./ports.mjs";

/** What RFC 6455 (section 1.3) puts behind the key of a WebSocket handshake. */
const WEBSOCKET_SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/**
 * The application behind Anteroom. It keeps every request that reaches it, knows how many bytes came in over all its
 * connections, and answers with a page, under `/data/` with JSON, and under `/live` with an event stream or a WebSocket
 * that greets and then stays open.
 */
export class RecordingUpstream {
  requests = [];
  /** Answers a request in place of the page, if it returns something: `{ status, headers }`. */
  answer = () => undefined;
  #sockets = [];
  #server;

  static async start() {
    const upstream = new RecordingUpstream();
    upstream.port = await freePort();
    upstream.#server = http.createServer((request, response) => upstream.#answer(request, response));
    upstream.#server.on("connection", (socket) => upstream.#sockets.push(socket));
    upstream.#server.on("upgrade", (request, socket) => upstream.#webSocket(request, socket));
    upstream.#server.listen(upstream.port, "127.0.0.1");
    await once(upstream.#server, "listening");
    return upstream;
  }

  /** Bytes received so far, of whatever kind: a request that never became one counts too. */
  get bytes() {
    return this.#sockets.reduce((sum, socket) => sum + socket.bytesRead, 0);
  }

  /** The newest request for `path`, query included. */
  last(path) {
    const found = this.requests.filter((request) => request.url === path).at(-1);
    if (!found) throw new Error(`the application never saw ${path}; it saw: ${this.requests.map(({ url }) => url)}`);
    return found;
  }

  async close() {
    this.#sockets.forEach((socket) => socket.destroy());
    await closeServer(this.#server);
  }

  async #answer(request, response) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const { method, url, headers, rawHeaders } = request;
    this.requests.push({ method, url, headers, rawHeaders, body: Buffer.concat(chunks).toString("utf8") });
    const own = this.answer(this.requests.at(-1));
    if (own) {
      response.writeHead(own.status, own.headers).end();
      return;
    }
    if (url.startsWith("/data/")) {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ url, email: headers["x-forwarded-email"] ?? null }));
      return;
    }
    if (url === "/live") {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write("data: hello\n\n");
      return;
    }
    if (url === "/favicon.ico") {
      response.writeHead(204).end();
      return;
    }
    response.setHeader("content-type", "text/html; charset=utf-8");
    response.end(
      `<!doctype html><html lang="en"><title>Ledger</title><h1>Ledger</h1>` +
        `<p>Signed in as ${headers["x-forwarded-email"] ?? "nobody"}</p>` +
        `<p><a href="/.anteroom/sign-out">Sign out</a></p></html>`,
    );
  }
  #webSocket({ method, url, headers, rawHeaders }, socket) {
    this.requests.push({ method, url, headers, rawHeaders, body: "" });
    const accept = createHash("sha1").update(headers["sec-websocket-key"] + WEBSOCKET_SUFFIX).digest("base64");
    const lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"];
    socket.on("error", () => {}); // cut off: that is what tests are about
    socket.on("end", () => socket.end()).resume();
    socket.write([...lines, `Sec-WebSocket-Accept: ${accept}`, "", ""].join("\r\n"));
    socket.write(Buffer.from([0x81, 5, ...Buffer.from("hello")])); // one text frame, not masked
  }
}
