import { KeycloakSamlRealm } from "./keycloak-saml.mjs";
import { Pysaml2 } from "./pysaml2.mjs";
import { relay } from "./saml-messages.mjs";
import { keycloakSamlPages, universityPages } from "./saml-pages.mjs";
import { CONNECTOR } from "./saml-world.mjs";

// How each SAML provider is told to work, in the words that tests use for all of them.

let realms = 0;

const CIPHERS = {
  "http://www.w3.org/2001/04/xmlenc#aes128-cbc": "aes128-cbc",
  "http://www.w3.org/2001/04/xmlenc#aes256-cbc": "aes256-cbc",
  "http://www.w3.org/2009/xmlenc11#aes128-gcm": "aes128-gcm",
  "http://www.w3.org/2009/xmlenc11#aes256-gcm": "aes256-gcm",
};

export const university = {
  name: "pysaml2",
  preset: "shibboleth",
  // It has no subject-id: its persistent names say who somebody is.
  connector: { attributes: { subject: "NameID" } },
  domain: "university.example",
  person: "alice@university.example",
  colleague: "dora@university.example",
  stranger: "mallory@elsewhere.example",
  pages: universityPages,
  start: () => Pysaml2.start({ sign: "both" }),
  sign: (idp, what) => idp.control({ sign: what }),
  encrypt: (idp, cipher) => idp.control({ cipher: cipher && CIPHERS[cipher] }),
  signedRequestsOnly: (idp, yes) => idp.control({ want_signed_requests: yes }),
  headers: { "x-forwarded-preferred-username": "alice@university.example" },
  groups: ["finance%2C and more", "staff"],
  attributes: {
    "urn:oid:0.9.2342.19200300.100.1.3": ["alice@university.example"],
    "urn:oid:1.3.6.1.4.1.5923.1.5.1.1": ["finance, and more", "staff"],
  },
  tile: ({ idp }) => `${idp.origin}/my-apps`,
  logoutBy: ({ idp }, binding) => idp.control({ slo_by: binding }),
  signOutThere: async ({ idp }, agent) => relay(agent, await agent.open(`${idp.origin}/sign-out`)),
  roll: {
    publish: (idp) => idp.control({ publish: ["first", "second"] }),
    use: (idp) => idp.control({ sign_with: "second" }),
    retire: (idp) => idp.control({ publish: ["second"] }),
    // Signs with the old one again, whatever is published.
    misuse: (idp) => idp.control({ sign_with: "first" }),
  },
};

export const keycloak = (server) => ({
  name: "Keycloak",
  preset: "keycloak",
  connector: { attributes: { roles: "Role" } },
  domain: "keycloak.example",
  person: "alice@keycloak.example",
  colleague: "dora@keycloak.example",
  pages: keycloakSamlPages,
  headers: { "x-forwarded-preferred-username": "alice@keycloak.example", "x-anteroom-role": "Admin" },
  groups: ["finance", "staff"],
  attributes: { email: ["alice@keycloak.example"], groups: ["finance", "staff"] },
  start: (name = `saml-${(realms += 1)}`) => KeycloakSamlRealm.make(server(), name),
  /** "Sign documents" signs responses, and without it logout messages go unsigned. The import switches encryption on. */
  usual: (idp) =>
    idp.change({ idpInitiatedName: "campus", signResponses: true, signAssertions: true, encrypt: false }),
  tile: ({ idp }) => idp.idpInitiatedUrl("campus"),
  logoutBy: ({ idp, door }, binding) => {
    const slo = door.saml(CONNECTOR, "slo");
    return binding === "post"
      ? idp.change({ logoutByPost: slo, logoutByRedirect: "" })
      : idp.change({ logoutByPost: "", logoutByRedirect: slo });
  },
  /** It asks, since nothing says who wants it. */
  signOutThere: async ({ idp }, agent) => {
    const asked = await agent.open(idp.signOutUrl);
    return relay(agent, await agent.submit(asked, "session_code", { confirmLogout: "Logout" }));
  },
  sign: (idp, what) => idp.change({ signAssertions: what !== "response", signResponses: what !== "assertion" }),
  encrypt: (idp, cipher) =>
    cipher
      ? idp.change({
          encrypt: true,
          cipher,
          keyTransport: "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p",
          digest: "http://www.w3.org/2000/09/xmldsig#sha1",
        })
      : idp.change({ encrypt: false }),
  signedRequestsOnly: (idp, yes) => idp.change({ wantSignedRequests: yes }),
  roll: {
    publish: (idp) => idp.addSigningKey("second", 50),
    use: (idp) => idp.changeSigningKey("second", { priority: 200 }),
    retire: (idp) => idp.changeSigningKey("rsa-generated", { active: false, enabled: false }),
    async misuse(idp) {
      await idp.changeSigningKey("rsa-generated", { active: true, enabled: true });
      await idp.changeSigningKey("second", { priority: 50 });
    },
  },
});
