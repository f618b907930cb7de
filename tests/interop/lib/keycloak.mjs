import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

import { repository } from "./anteroom.mjs";
import { Child } from "./child.mjs";
import { keycloakPeople, PASSWORD } from "./people.mjs";
import { freePort } from "./ports.mjs";
import { exchange } from "./user-agent.mjs";

const START_LIMIT_MS = 180_000;

/** The server that `ci/install test` put under target/interop. */
function home() {
  const directory = path.join(repository, "target/interop");
  const name = existsSync(directory) && readdirSync(directory).find((entry) => /^keycloak-[0-9.]+$/.test(entry));
  if (!name) throw new Error("Keycloak is not there: run `ci/install test`");
  return path.join(directory, name);
}

/** A Keycloak with its data in memory. It takes 15 to 30 s to start, so a test file starts one and makes realms. */
export class Keycloak {
  #child;
  #directory;
  #token = { until: 0 };
  #adminPassword = randomBytes(12).toString("hex");

  static async start() {
    const keycloak = new Keycloak();
    const port = await freePort();
    keycloak.origin = `http://keycloak.localhost:${port}`;
    const options = [
      "--optimized",
      "--http-enabled=true",
      "--hostname-strict=false",
      "--http-host=127.0.0.1",
      `--http-port=${port}`,
    ];
    keycloak.#child = new Child(path.join(home(), "bin/kc.sh"), ["start", ...options], {
      name: "keycloak",
      env: {
        // Java asks this file alone: the names that it has to reach by itself, to tell of a sign-out.
        JAVA_OPTS_APPEND: `-Djdk.net.hosts.file=${keycloak.#hosts()}`,
        JAVA_OPTS_KC_HEAP: "-Xms64m -Xmx512m",
        KC_BOOTSTRAP_ADMIN_USERNAME: "admin",
        KC_BOOTSTRAP_ADMIN_PASSWORD: keycloak.#adminPassword,
      },
    });
    try {
      await keycloak.#child.line(/Listening on: http/, START_LIMIT_MS);
    } catch (error) {
      await keycloak.close();
      throw error;
    }
    return keycloak;
  }

  #hosts() {
    this.#directory = mkdtempSync(path.join(os.tmpdir(), "keycloak-interop-"));
    const file = path.join(this.#directory, "hosts");
    const names = ["localhost", os.hostname(), "keycloak.localhost", "portal.localhost"];
    writeFileSync(file, names.map((name) => `127.0.0.1 ${name}\n`).join(""));
    return file;
  }

  /** A realm with people, groups and one confidential client that must use PKCE S256. */
  async realm(name, options) {
    const client = { clientId: "anteroom", clientSecret: randomBytes(24).toString("base64url") };
    await this.admin("POST", "", realm({ name, ...client, ...options }));
    const user = async (address) => `/${name}/users/${await this.userId(name, address)}`;
    return {
      ...client,
      issuer: `${this.origin}/realms/${name}`,
      /** How many sign-in sessions Keycloak itself keeps for this person. */
      sessionsOf: async (address) =>
        (await this.admin("GET", `/${name}/users/${await this.userId(name, address)}/sessions`)).length,
      /** An administrator signs this person out of everything. */
      endSessionsOf: async (address) =>
        this.admin("POST", `/${name}/users/${await this.userId(name, address)}/logout`),
      /** How often this person's tokens were renewed, and how often that was refused. */
      renewalsOf: async (address) => {
        const events = await this.admin("GET", `/${name}/events?max=1000&user=${await this.userId(name, address)}`);
        const count = (type) => events.filter((event) => event.type === type).length;
        return { good: count("REFRESH_TOKEN"), refused: count("REFRESH_TOKEN_ERROR") };
      },
      /** Puts this person into another group. */
      join: async (address, group) => {
        const groups = await this.admin("GET", `/${name}/groups`);
        const { id } = groups.find((known) => known.name === group);
        await this.admin("PUT", `${await user(address)}/groups/${id}`);
      },
      disable: async (address) => this.admin("PUT", await user(address), { enabled: false }),
      /** The realm goes with its server. */
      close: async () => {},
    };
  }

  async close() {
    await this.#child.stop();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async userId(realm, address) {
    const [user] = await this.admin("GET", `/${realm}/users?exact=true&username=${encodeURIComponent(address)}`);
    return user.id;
  }

  /** One that is good for a while yet: Keycloak gives them for a minute, and making one costs it a password check. */
  async #adminToken() {
    if (Date.now() < this.#token.until) return this.#token.value;
    const form = new URLSearchParams({
      grant_type: "password",
      client_id: "admin-cli",
      username: "admin",
      password: this.#adminPassword,
    });
    const answer = await exchange(`${this.origin}/realms/master/protocol/openid-connect/token`, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: form.toString(),
    });
    if (answer.status !== 200) throw new Error(`Keycloak's administrator: ${answer.status} ${answer.body}`);
    const { access_token: value, expires_in: seconds } = JSON.parse(answer.body);
    this.#token = { value, until: Date.now() + (seconds * 1000) / 2 };
    return value;
  }

  /** One request to the admin API, below `/admin/realms`. `body` is sent as JSON, text as it is. */
  async admin(method, where, body) {
    const token = await this.#adminToken();
    const answer = await exchange(`${this.origin}/admin/realms${where}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        "content-type": typeof body === "string" ? "text/plain" : "application/json",
      },
      body: typeof body === "string" ? body : body && JSON.stringify(body),
    });
    if (answer.status >= 300) throw new Error(`${method} /admin/realms${where}: ${answer.status} ${answer.body}`);
    return answer.body === "" ? undefined : JSON.parse(answer.body);
  }
}

export const GROUPS = [{ name: "staff" }, { name: "finance" }];

/** The people of a realm. */
export function users() {
  return Object.entries(keycloakPeople).map(([address, person]) => ({
    username: address,
    email: address,
    enabled: true,
    ...person,
    groups: person.groups.map((group) => `/${group}`),
    credentials: [{ type: "password", value: PASSWORD, temporary: false }],
  }));
}

function realm({ name, clientId, clientSecret, redirectUri, postLogoutRedirectUri, backChannelLogoutUri, tokensLastS }) {
  return {
    realm: name,
    enabled: true,
    sslRequired: "none",
    // Renewals are no events that it keeps unless it is told to.
    eventsEnabled: true,
    enabledEventTypes: ["REFRESH_TOKEN", "REFRESH_TOKEN_ERROR"],
    // A refresh token works once.
    revokeRefreshToken: true,
    refreshTokenMaxReuse: 0,
    groups: GROUPS,
    users: users(),
    clients: [
      {
        clientId,
        secret: clientSecret,
        enabled: true,
        protocol: "openid-connect",
        publicClient: false,
        standardFlowEnabled: true,
        implicitFlowEnabled: false,
        directAccessGrantsEnabled: false,
        redirectUris: [redirectUri],
        attributes: {
          "pkce.code.challenge.method": "S256",
          "post.logout.redirect.uris": postLogoutRedirectUri,
          ...(tokensLastS && { "access.token.lifespan": String(tokensLastS) }),
          ...(backChannelLogoutUri && {
            "backchannel.logout.url": backChannelLogoutUri,
            "backchannel.logout.session.required": "true",
          }),
        },
        protocolMappers: [
          {
            name: "groups",
            protocol: "openid-connect",
            protocolMapper: "oidc-group-membership-mapper",
            config: {
              "claim.name": "groups",
              "full.path": "false",
              "id.token.claim": "true",
              "userinfo.token.claim": "true",
            },
          },
        ],
      },
    ],
  };
}
