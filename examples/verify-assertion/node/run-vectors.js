// Runs every vector of docs/assertion-vectors through this sample's verifier; exits 1 on a difference.
//
//   node run-vectors.js [FOLDER]

import { readFileSync } from 'node:fs';
import { createLocalJWKSet } from 'jose';
import { InvalidAssertion, assertionVerifier } from './anteroom-assertion.js';

const folder = process.argv[2] ?? new URL('../../../docs/assertion-vectors', import.meta.url).pathname;
const read = (name) => JSON.parse(readFileSync(`${folder}/${name}`, 'utf8'));
const { issuer, audience, vectors } = read('vectors.json');
const verify = assertionVerifier({ issuer, audience, keys: createLocalJWKSet(read('jwks.json')) });

let wrong = 0;
for (const vector of vectors) {
  let verdict = 'accept';
  try {
    await verify(vector.assertion, new Date(vector.now * 1000));
  } catch (error) {
    if (!(error instanceof InvalidAssertion)) throw error;
    verdict = 'refuse';
  }
  if (verdict !== vector.verdict) {
    wrong += 1;
    console.log(`WRONG ${vector.name}: expected ${vector.verdict} (${vector.why})`);
  }
}
console.log(`node: ${vectors.length - wrong} of ${vectors.length} vectors as expected`);
process.exit(wrong || !vectors.length ? 1 : 0);
