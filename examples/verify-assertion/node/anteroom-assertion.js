// Verify the assertion that Anteroom adds to every signed-in request.
// Framework-free: call the verifier with the header's value. Standard: RFC 7519, RFC 8725.

import { createRemoteJWKSet, jwtVerify } from 'jose';

export const HEADER = 'x-anteroom-assertion';
export const SKEW_SECONDS = 30;

/** The request carries no assertion that proves who makes it. Answer 401 and do no work. */
export class InvalidAssertion extends Error {}

/** Keys from Anteroom: kept for five minutes, asked for again (at most every 5 s) for an unknown key id. */
export const remoteKeys = (url) =>
  createRemoteJWKSet(new URL(url), { cacheMaxAge: 300_000, cooldownDuration: 5_000, timeoutDuration: 5_000 });

/**
 * issuer: Anteroom's public_url; audience: this application's id in Anteroom's configuration;
 * keys: `remoteKeys(url)`, or jose's createLocalJWKSet.
 * Returns a function from the header's value to the claims.
 */
export function assertionVerifier({ issuer, audience, keys }) {
  return async function verify(assertion, now = new Date()) {
    if (!assertion) throw new InvalidAssertion('no assertion');
    const keyByName = (header, token) => {
      if (typeof header.kid !== 'string') throw new InvalidAssertion('no key id');
      return keys(header, token);
    };
    try {
      const { payload } = await jwtVerify(assertion, keyByName, {
        // Never taken from the token: RFC 8725 section 3.1.
        algorithms: ['ES256'],
        issuer,
        audience,
        clockTolerance: SKEW_SECONDS,
        requiredClaims: ['exp', 'iat', 'iss', 'aud', 'sub'],
        // No assertion lives longer; with it jose also refuses an iat in the future.
        maxTokenAge: '10 minutes',
        currentDate: now,
      });
      return payload;
    } catch (error) {
      throw error instanceof InvalidAssertion ? error : new InvalidAssertion(error.message, { cause: error });
    }
  };
}
