import { after, before } from "node:test";

/**
 * Runs `start` before a suite's tests and `stop` after them. `stop` also runs when `start` failed half way: Node 18
 * leaves that out, and a server that is left listening keeps the whole run from ending.
 */
export function around(start, stop) {
  let stopped = false;
  const stopOnce = async () => {
    if (stopped) return;
    stopped = true;
    await stop();
  };
  before(async () => {
    try {
      await start();
    } catch (error) {
      await stopOnce();
      throw error;
    }
  });
  after(stopOnce);
}
