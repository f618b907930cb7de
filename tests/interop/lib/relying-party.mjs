import { createHash, createPublicKey, randomBytes, verify } from "node:crypto";

import { exchange } from "./user-agent.mjs";

const random = () => randomBytes(24).toString("base64url");

async function json(url, options) {
  const answer = await exchange(url, options);
  if (answer.status !== 200) throw new Error(`${url}: ${answer.status} ${answer.body}`);
  return JSON.parse(answer.body);
}

const VERIFY = {
  RS256: (data, key, signature) => verify("sha256", data, key, signature),
  ES256: (data, key, signature) => verify("sha256", data, { key, dsaEncoding: "ieee-p1363" }, signature),
  EdDSA: (data, key, signature) => verify(null, data, key, signature),
};

/** Checks a compact JWT's signature with the key set at `jwksUri` and returns its header and claims. */
export async function verifyJwt(token, jwksUri) {
  const [head, body, signature] = token.split(".");
  const header = JSON.parse(Buffer.from(head, "base64url").toString("utf8"));
  const { keys } = await json(jwksUri);
  const jwk = keys.find(({ kid }) => kid === header.kid);
  if (!jwk) throw new Error(`${jwksUri} has no key ${header.kid}`);
  const key = createPublicKey({ key: jwk, format: "jwk" });
  const data = Buffer.from(`${head}.${body}`);
  if (!VERIFY[header.alg]?.(data, key, Buffer.from(signature, "base64url")))
    throw new Error(`bad ${header.alg} signature`);
  return { header, claims: JSON.parse(Buffer.from(body, "base64url").toString("utf8")) };
}

/**
 * The smallest client that can run a code flow, without Anteroom: it shows that a provider fixture is honest, so that a
 * failing interop test speaks about Anteroom. It is no example to follow.
 */
export class RelyingParty {
  static async discover({ issuer, clientId, clientSecret, redirectUri, clientAuthMethod }) {
    const party = new RelyingParty();
    party.metadata = await json(`${issuer}/.well-known/openid-configuration`);
    Object.assign(party, { clientId, clientSecret, redirectUri, clientAuthMethod });
    return party;
  }

  /** `{ url, state, nonce, verifier }` of a new authorization request. */
  start(extra = {}) {
    const attempt = { state: random(), nonce: random(), verifier: random() + random() };
    const url = new URL(this.metadata.authorization_endpoint);
    url.search = new URLSearchParams({
      response_type: "code",
      client_id: this.clientId,
      redirect_uri: this.redirectUri,
      scope: "openid profile email",
      state: attempt.state,
      nonce: attempt.nonce,
      code_challenge: createHash("sha256").update(attempt.verifier).digest("base64url"),
      code_challenge_method: "S256",
      ...extra,
    }).toString();
    return { ...attempt, url: url.href };
  }

  /** Redeems the code and returns the token answer with the ID token's verified claims. */
  async redeem(code, { verifier }) {
    const basic = `Basic ${Buffer.from(`${encodeURIComponent(this.clientId)}:${encodeURIComponent(this.clientSecret)}`).toString("base64")}`;
    const post = this.clientAuthMethod === "client_secret_post";
    const body = new URLSearchParams({
      grant_type: "authorization_code",
      code,
      redirect_uri: this.redirectUri,
      code_verifier: verifier,
      ...(post ? { client_id: this.clientId, client_secret: this.clientSecret } : {}),
    }).toString();
    const tokens = await json(this.metadata.token_endpoint, {
      method: "POST",
      headers: {
        "content-type": "application/x-www-form-urlencoded",
        "content-length": String(Buffer.byteLength(body)),
        ...(post ? {} : { authorization: basic }),
      },
      body,
    });
    const { claims } = await verifyJwt(tokens.id_token, this.metadata.jwks_uri);
    return { ...tokens, claims };
  }

  userinfo({ access_token: token }) {
    return json(this.metadata.userinfo_endpoint, { headers: { authorization: `Bearer ${token}` } });
  }

  signOutUrl({ id_token: token }, postLogoutRedirectUri, state) {
    const url = new URL(this.metadata.end_session_endpoint);
    url.search = new URLSearchParams({
      id_token_hint: token,
      post_logout_redirect_uri: postLogoutRedirectUri,
      state,
    }).toString();
    return url.href;
  }
}
