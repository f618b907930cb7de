// Starts both sample applications on loopback, with a server for jwks.json, and checks what they answer to good,
// missing, forged and expired assertions.
//
//   node ci/verify-samples-live.mjs target/verify-samples

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';

const work = resolve(process.argv[2]);
const vectors = resolve('docs/assertion-vectors');
const { SignJWT, importPKCS8 } = createRequire(`${work}/node/app.js`)('jose');

const { keys } = JSON.parse(readFileSync(`${vectors}/jwks.json`, 'utf8'));
const [current, previous] = await Promise.all(
  ['current', 'previous'].map(async (name, index) => ({
    kid: keys[index].kid,
    key: await importPKCS8(readFileSync(`${vectors}/TEST-KEY-${name}.pem`, 'utf8'), 'ES256'),
  })),
);

const jwks = createServer((request, response) => {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ keys }));
});
jwks.listen(0, '127.0.0.1');
await once(jwks, 'listening');

const issuer = 'https://app.example.com';
const env = {
  PATH: process.env.PATH,
  PYTHONDONTWRITEBYTECODE: '1',
  ASSERTION_ISSUER: issuer,
  ASSERTION_AUDIENCE: 'portal',
  ASSERTION_JWKS_URL: `http://127.0.0.1:${jwks.address().port}/.anteroom/jwks.json`,
  PORT: '0',
};

const assertion = (signer, aud = 'portal', age = 0) => {
  const iat = Math.floor(Date.now() / 1000) - age;
  return new SignJWT({ email: 'alice@acme.com', role: 'Admin' })
    .setProtectedHeader({ alg: 'ES256', kid: signer.kid, typ: 'JWT' })
    .setIssuer(issuer).setAudience(aud).setSubject('6d3e0f9e-8c1c-5a0e-9d57-1f1d3f4a7c11')
    .setIssuedAt(iat).setExpirationTime(iat + 60)
    .sign(signer.key);
};

const started = async (command, args, cwd) => {
  const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const port = new Promise((found, failed) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (data) => {
        output += data;
        const match = /(?:listening on port |127\.0\.0\.1:)(\d+)/.exec(output);
        if (match) found(match[1]);
      });
    }
    child.on('exit', (code) => failed(new Error(`${command} ended with ${code}: ${output}`)));
  });
  return { child, port: await port };
};

let wrong = 0;
const samples = {
  python: [`${work}/venv/bin/flask`, ['--app', 'app', 'run', '--port', '0'], resolve('examples/verify-assertion/python')],
  node: ['node', ['app.js'], `${work}/node`],
};
for (const [name, [command, args, cwd]] of Object.entries(samples)) {
  const { child, port } = await started(command, args, cwd);
  const status = async (value) => {
    const headers = value === undefined ? {} : { 'X-Anteroom-Assertion': value };
    const answer = await fetch(`http://127.0.0.1:${port}/`, { headers });
    const body = await answer.text();
    return answer.status === 200 && !body.includes('alice@acme.com') ? 'no e-mail' : answer.status;
  };
  const expect = async (what, value, expected) => {
    const got = await status(value);
    if (got !== expected) {
      wrong += 1;
      console.log(`WRONG ${name}: ${what}: ${got} instead of ${expected}`);
    }
  };
  try {
    await expect('good', await assertion(current), 200);
    await expect('the previous key', await assertion(previous), 200);
    await expect('a kid that is not published', await assertion({ ...current, kid: 'other' }), 401);
    await expect('none', undefined, 401);
    await expect('empty', '', 401);
    await expect('plain headers only', 'alice@acme.com', 401);
    await expect('another application', await assertion(current, 'billing'), 401);
    await expect('expired', await assertion(current, 'portal', 120), 401);
    await expect('forged kid', await assertion({ ...current, kid: previous.kid }), 401);
    await expect('sent twice', `${await assertion(previous)}, ${await assertion(previous)}`, 401);
  } finally {
    child.removeAllListeners('exit');
    child.kill();
    await once(child, 'exit');
  }
  console.log(`${name}: answers checked`);
}
jwks.close();
process.exit(wrong ? 1 : 0);
