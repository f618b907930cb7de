import { once } from "node:events";
import http from "node:http";

import { closeServer } from "./child.mjs";
import { freePort } from "./ports.mjs";

/** A host that answers every request with a short page: where a provider fixture's own test sends the browser back to. */
export class Landing {
  #server = http.createServer((_request, response) => {
    response.setHeader("content-type", "text/html; charset=utf-8");
    response.end("<!doctype html><title>Landed</title><h1>Landed</h1>");
  });

  static async start() {
    const landing = new Landing();
    const port = await freePort();
    landing.origin = `http://client.localhost:${port}`;
    landing.#server.listen(port, "127.0.0.1");
    await once(landing.#server, "listening");
    return landing;
  }

  close() {
    return closeServer(this.#server);
  }
}
