import { generateKeyPairSync, randomBytes } from "node:crypto";
import { once } from "node:events";
import http from "node:http";

import Provider, { interactionPolicy } from "oidc-provider";

import { closeServer } from "./child.mjs";
import { CANCELLED, ENTRA_TENANT, entraPeople, googlePeople } from "./people.mjs";
import { freePort } from "./ports.mjs";
import { loopbackLookup } from "./user-agent.mjs";

const TEN_MINUTES_S = 600;

/** What makes one tenant of oidc-provider look like the named product: issuer, claims, where they are, client authentication. */
const SHAPES = {
  entra: {
    host: "entra.localhost",
    path: `/${ENTRA_TENANT}/v2.0`,
    people: entraPeople,
    clientAuthMethod: "client_secret_post",
    claimsInIdToken: true,
    claims: {
      openid: ["sub", "tid", "oid", "ver", "acct"],
      profile: ["name", "preferred_username", "upn", "roles", "groups"],
      email: ["email"],
    },
    claimsOf: (address, person) => ({
      sub: `pairwise-${person.oid}`,
      tid: ENTRA_TENANT,
      oid: person.oid,
      ver: "2.0",
      acct: person.acct ?? 0,
      name: person.name,
      preferred_username: address,
      upn: address,
      email: person.email ?? address,
      roles: person.roles,
      groups: person.groups,
    }),
  },
  google: {
    host: "google.localhost",
    path: "",
    people: googlePeople,
    clientAuthMethod: "client_secret_basic",
    claimsInIdToken: true,
    claims: { openid: ["sub", "hd"], profile: ["name"], email: ["email", "email_verified"] },
    claimsOf: (address, person) => ({
      sub: person.sub,
      hd: person.hd,
      name: person.name,
      email: address,
      email_verified: person.emailVerified,
    }),
  },
  // As the library comes: an ID token that names the subject alone, everything else at userinfo.
  plain: {
    host: "idp.localhost",
    path: "/realm",
    people: googlePeople,
    clientAuthMethod: "client_secret_basic",
    claimsInIdToken: false,
    claims: { openid: ["sub"], profile: ["name", "preferred_username"], email: ["email", "email_verified"] },
    claimsOf: (address, person) => ({
      sub: person.sub,
      name: person.name,
      preferred_username: address.split("@")[0],
      email: address,
      email_verified: person.emailVerified,
    }),
  },
};

function signingKeys() {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return {
    keys: [{ ...privateKey.export({ format: "jwk" }), kid: randomBytes(8).toString("hex"), use: "sig", alg: "RS256" }],
  };
}

const escapeHtml = (value) => String(value).replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);

const htmlPage = (title, body) =>
  `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
  `<title>${title}</title><h1>${title}</h1>${body}</html>`;

/** One tenant of npm's oidc-provider on a `*.localhost` name of its own, with a sign-in page that asks for an address. */
export class OidcProvider {
  clientId = "anteroom";
  clientSecret = randomBytes(24).toString("base64url");
  /** The query of every authorization request, as sent. */
  authorizations = [];
  /** How often a person was asked to sign in. */
  signInPages = 0;
  /** Paths asked for, newest last. */
  paths = [];
  #server;
  #claims;
  #renewals = new Map();

  /**
   * `refresh`: "offline" gives refresh tokens for offline_access, as the standard has it; "session" gives them to
   * everybody, for as long as the session here lasts. Each works once. `tokensLastS`: the life of access tokens.
   */
  static async start({ shape, refresh, tokensLastS = TEN_MINUTES_S, ...client }) {
    const tenant = new OidcProvider();
    tenant.shape = SHAPES[shape];
    tenant.#claims = Object.entries(tenant.shape.people).map(([address, person]) =>
      withoutAbsent(tenant.shape.claimsOf(address, person)),
    );
    tenant.port = await freePort();
    tenant.origin = `http://${tenant.shape.host}:${tenant.port}`;
    tenant.issuer = `${tenant.origin}${tenant.shape.path}`;
    const provider = tenant.#provider({ refresh, tokensLastS, ...client });
    provider.on("grant.success", (context) => tenant.#renewal(context, "good"));
    provider.on("grant.error", (context) => tenant.#renewal(context, "refused"));
    const callback = provider.callback();
    tenant.#server = http.createServer((request, response) => {
      tenant.#record(request);
      const { path } = tenant.shape;
      if (path !== "" && !request.url.startsWith(`${path}/`)) {
        response.writeHead(404).end();
        return;
      }
      // oidc-provider finds the path it is mounted on by comparing the two.
      request.originalUrl = request.url;
      request.url = request.url.slice(path.length);
      if (request.url.startsWith("/interaction/")) {
        tenant.#interaction(provider, request, response).catch((error) => {
          response.writeHead(500, { "content-type": "text/plain" }).end(String(error.stack));
        });
        return;
      }
      callback(request, response);
    });
    tenant.#server.listen(tenant.port, "127.0.0.1");
    await once(tenant.#server, "listening");
    return tenant;
  }

  /** How often this person's tokens were renewed, and how often that was refused. */
  async renewalsOf(address) {
    return this.#renewals.get(this.#subject(address)) ?? { good: 0, refused: 0 };
  }

  /** Changes what is said of this person from now on. */
  async change(address, claims) {
    Object.assign(this.#claims.find(({ sub }) => sub === this.#subject(address)), claims);
  }

  /** Knows this person no more. */
  async disable(address) {
    this.#claims = this.#claims.filter(({ sub }) => sub !== this.#subject(address));
  }

  async close() {
    await closeServer(this.#server);
  }

  #subject(address) {
    return this.shape.claimsOf(address, this.shape.people[address]).sub;
  }

  #renewal({ oidc }, outcome) {
    if (oidc.params?.grant_type !== "refresh_token") return;
    const subject = oidc.entities.RefreshToken?.accountId;
    const renewals = this.#renewals.get(subject) ?? { good: 0, refused: 0 };
    this.#renewals.set(subject, { ...renewals, [outcome]: renewals[outcome] + 1 });
  }

  #record(request) {
    const url = new URL(request.url, this.origin);
    this.paths.push(url.pathname);
    if (url.pathname === `${this.shape.path}/auth`) this.authorizations.push(Object.fromEntries(url.searchParams));
  }

  #provider({ refresh, tokensLastS, redirectUri, postLogoutRedirectUri, backChannelLogoutUri }) {
    const { shape } = this;
    const { base, Prompt } = interactionPolicy;
    const policy = base();
    policy.add(new Prompt({ name: "select_account", requestable: true }), 0);
    const provider = new Provider(this.issuer, {
      clients: [
        {
          client_id: this.clientId,
          client_secret: this.clientSecret,
          redirect_uris: [redirectUri],
          post_logout_redirect_uris: [postLogoutRedirectUri],
          token_endpoint_auth_method: shape.clientAuthMethod,
          grant_types: refresh ? ["authorization_code", "refresh_token"] : ["authorization_code"],
          response_types: ["code"],
          ...(backChannelLogoutUri && {
            backchannel_logout_uri: backChannelLogoutUri,
            backchannel_logout_session_required: true,
          }),
        },
      ],
      clientAuthMethods: [shape.clientAuthMethod],
      claims: shape.claims,
      conformIdTokenClaims: !shape.claimsInIdToken,
      jwks: signingKeys(),
      // On plain http its default, SameSite=None, is refused by browsers.
      cookies: { keys: [randomBytes(16).toString("hex")], long: { sameSite: "lax" }, short: { sameSite: "lax" } },
      rotateRefreshToken: true,
      ...(refresh === "session" && { issueRefreshToken: () => true }),
      pkce: { methods: ["S256"], required: () => true },
      ttl: {
        AccessToken: tokensLastS,
        AuthorizationCode: 60,
        Grant: TEN_MINUTES_S,
        IdToken: TEN_MINUTES_S,
        Interaction: TEN_MINUTES_S,
        RefreshToken: TEN_MINUTES_S,
        Session: TEN_MINUTES_S,
      },
      interactions: { policy, url: (_context, interaction) => `${shape.path}/interaction/${interaction.uid}` },
      features: {
        devInteractions: { enabled: false },
        backchannelLogout: { enabled: true },
        rpInitiatedLogout: {
          logoutSource: (context, form) => {
            context.body = htmlPage(
              "Sign out?",
              `${form}<button form="op.logoutForm" name="logout" value="yes">Yes, sign me out</button>`,
            );
          },
        },
      },
      httpOptions: () => ({ dnsLookup: loopbackLookup }),
      renderError: (context, out) => {
        context.type = "html";
        context.body = htmlPage("Provider error", `<pre>${escapeHtml(JSON.stringify(out))}</pre>`);
      },
      findAccount: (_context, subject) => {
        const claims = this.#claims.find(({ sub }) => sub === subject);
        return claims && { accountId: subject, claims: () => claims };
      },
      // Every user has consented for everybody, as an administrator does for a company.
      loadExistingGrant: async (context) => {
        const grant = new context.oidc.provider.Grant({
          clientId: context.oidc.client.clientId,
          accountId: context.oidc.session.accountId,
        });
        grant.addOIDCScope("openid profile email offline_access");
        await grant.save();
        return grant;
      },
    });
    return provider;
  }

  async #interaction(provider, request, response) {
    const { prompt, params, uid } = await provider.interactionDetails(request, response);
    if (request.method !== "POST") {
      this.signInPages += 1;
      response.setHeader("content-type", "text/html; charset=utf-8");
      response.end(
        htmlPage(
          "Provider sign-in",
          `<form method="post" action="${this.shape.path}/interaction/${uid}">` +
            `<label>Address <input name="address" value="${escapeHtml(params.login_hint ?? "")}"></label> ` +
            `<button>Sign in</button> <button name="cancel" value="yes">Cancel</button></form>`,
        ),
      );
      return;
    }
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const form = new URLSearchParams(Buffer.concat(chunks).toString("utf8"));
    const person = this.shape.people[form.get("address")];
    const result =
      person && form.get("cancel") === null
        ? { [prompt.name]: {}, consent: {}, login: { accountId: this.shape.claimsOf(form.get("address"), person).sub } }
        : { error: "access_denied", error_description: CANCELLED };
    await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  }
}

const withoutAbsent = (claims) => Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined));
