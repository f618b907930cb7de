import net from "node:net";

const given = new Set();

/**
 * A TCP port that is free on loopback now. It lies below the range the kernel takes for outgoing connections
 * (32768 and up on Linux), so that no client socket can take it before the server that it is meant for starts.
 */
export function freePort() {
  return freePorts([0]);
}

/** A port N such that N plus each of `offsets` is free: for programs that derive several ports from one. */
export async function freePorts(offsets) {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const base = 20_000 + Math.floor(Math.random() * 10_000);
    const ports = offsets.map((offset) => base + offset);
    const free = await Promise.all(ports.map((port) => !given.has(port) && canListen(port)));
    if (free.every(Boolean)) {
      ports.forEach((port) => given.add(port));
      return base;
    }
  }
  throw new Error("no free TCP port between 20000 and 30000 on loopback");
}

function canListen(port) {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
