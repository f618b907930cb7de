import { GROUPS, users } from "./keycloak.mjs";
import { metadataAt } from "./service-provider.mjs";

/** Where an attribute of SAML says that it is named plainly. */
const BASIC = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic";

/** Settings of a client by what a test calls them; each is one switch of Keycloak's admin console. */
const SETTINGS = {
  signAssertions: "saml.assertion.signature",
  signResponses: "saml.server.signature",
  wantSignedRequests: "saml.client.signature",
  encrypt: "saml.encrypt",
  cipher: "saml.encryption.algorithm",
  keyTransport: "saml.encryption.keyAlgorithm",
  digest: "saml.encryption.digestMethod",
  maskGeneration: "saml.encryption.maskGenerationFunction",
  nameIdFormat: "saml_name_id_format",
  forceNameIdFormat: "saml_force_name_id_format",
  forcePostBinding: "saml.force.post.binding",
  idpInitiatedName: "saml_idp_initiated_sso_url_name",
  logoutByRedirect: "saml_single_logout_service_url_redirect",
  logoutByPost: "saml_single_logout_service_url_post",
};

/** A realm of `keycloak` whose client speaks SAML. The client comes with `register`: it is made from our metadata. */
export class KeycloakSamlRealm {
  #client;

  static async make(keycloak, name) {
    const realm = new KeycloakSamlRealm();
    Object.assign(realm, { keycloak, name, origin: keycloak.origin });
    realm.entityId = `${keycloak.origin}/realms/${name}`;
    realm.metadataUrl = `${realm.entityId}/protocol/saml/descriptor`;
    await keycloak.admin("POST", "", {
      realm: name,
      enabled: true,
      sslRequired: "none",
      groups: GROUPS,
      users: users(),
      roles: { realm: [{ name: "Admin" }] },
    });
    // Its initial roles come as well; the assertion carries all of them.
    const alice = await keycloak.userId(name, "alice@keycloak.example");
    const role = await keycloak.admin("GET", `/${name}/roles/Admin`);
    await keycloak.admin("POST", `/${name}/users/${alice}/role-mappings/realm`, [role]);
    return realm;
  }

  /** Imports our metadata as an administrator does ("Import client"), and changes `settings` of the client that it makes. */
  async register(metadata, settings = {}) {
    const client = await this.keycloak.admin("POST", `/${this.name}/client-description-converter`, metadata);
    this.imported = structuredClone(client);
    await this.keycloak.admin("POST", `/${this.name}/clients`, {
      ...client,
      enabled: true,
      protocolMappers: [...mappers(), ...(client.protocolMappers ?? [])],
      attributes: { ...client.attributes, ...attributes(settings) },
    });
    const query = `clientId=${encodeURIComponent(client.clientId)}`;
    [this.#client] = await this.keycloak.admin("GET", `/${this.name}/clients?${query}`);
    return this.#client;
  }

  /** Changes switches of the client: see SETTINGS. */
  async change(settings) {
    this.#client.attributes = { ...this.#client.attributes, ...attributes(settings) };
    await this.keycloak.admin("PUT", `/${this.name}/clients/${this.#client.id}`, this.#client);
  }

  /** A switch that is no attribute: whether sign-out goes through the browser. */
  async set(values) {
    Object.assign(this.#client, values);
    await this.change({});
  }

  metadata() {
    return metadataAt(this.metadataUrl);
  }

  /** Where a sign-in begins at Keycloak, by the client's name for it. */
  idpInitiatedUrl(name) {
    return `${this.entityId}/protocol/saml/clients/${name}`;
  }

  /** Where a person signs out at Keycloak. */
  get signOutUrl() {
    return `${this.entityId}/protocol/openid-connect/logout`;
  }

  async sessionsOf(address) {
    const user = await this.keycloak.userId(this.name, address);
    return (await this.keycloak.admin("GET", `/${this.name}/users/${user}/sessions`)).length;
  }

  /** A further signing key: it is published at once, and used if its priority is the highest. Its id. */
  async addSigningKey(name, priority) {
    const { id: parentId } = await this.keycloak.admin("GET", `/${this.name}`);
    await this.keycloak.admin("POST", `/${this.name}/components`, {
      name,
      parentId,
      providerId: "rsa-generated",
      providerType: "org.keycloak.keys.KeyProvider",
      config: {
        priority: [String(priority)],
        keySize: ["2048"],
        algorithm: ["RS256"],
        active: ["true"],
        enabled: ["true"],
      },
    });
  }

  /** Changes a key by its name: `{ priority, active, enabled }`. A key that is not enabled is not published either. */
  async changeSigningKey(name, changes) {
    const type = "org.keycloak.keys.KeyProvider";
    const keys = await this.keycloak.admin("GET", `/${this.name}/components?type=${type}`);
    const key = keys.find((known) => known.name === name);
    for (const [setting, value] of Object.entries(changes)) key.config[setting] = [String(value)];
    await this.keycloak.admin("PUT", `/${this.name}/components/${key.id}`, key);
  }

  /** The realm goes with its server. */
  async close() {}
}

function attributes(settings) {
  const entries = Object.entries(settings).map(([name, value]) => {
    if (!SETTINGS[name]) throw new Error(`no setting of a SAML client: ${name}`);
    return [SETTINGS[name], String(value)];
  });
  return Object.fromEntries(entries);
}

/** What an administrator adds under "Client scopes": address, names and groups, as docs/saml.md says. */
function mappers() {
  const property = (name, from) => ({
    name,
    protocol: "saml",
    protocolMapper: "saml-user-property-mapper",
    config: {
      "user.attribute": from,
      "attribute.name": name,
      "attribute.nameformat": BASIC,
      "friendly.name": name,
    },
  });
  const groups = {
    name: "groups",
    protocol: "saml",
    protocolMapper: "saml-group-membership-mapper",
    config: { "attribute.name": "groups", "attribute.nameformat": BASIC, single: "true", "full.path": "false" },
  };
  return [
    property("email", "email"),
    property("firstName", "firstName"),
    property("lastName", "lastName"),
    property("username", "username"),
    groups,
  ];
}
