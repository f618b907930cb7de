import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** A key pair with a self-signed certificate, in `directory`: NAME.pem (RSA-2048, no password) and NAME.crt. */
export async function makeKeyPair(directory, name, { days = 365 } = {}) {
  const [key, certificate] = [`${name}.pem`, `${name}.crt`].map((file) => path.join(directory, file));
  const made = ["-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate];
  await run("openssl", ["req", "-x509", "-sha256", "-days", String(days), "-subj", `/CN=${name}`, ...made]);
  return { key, certificate };
}
