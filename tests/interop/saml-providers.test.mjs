// The SAML fixtures alone: if these fail, the fault is not Anteroom's.

import { describe } from "node:test";

import { around } from "./lib/around.mjs";
import { honestSamlProvider } from "./lib/honest-saml-provider.mjs";
import { Keycloak } from "./lib/keycloak.mjs";
import { keycloak, university } from "./lib/saml-providers.mjs";

honestSamlProvider({
  ...university,
  address: university.person,
  attributes: {
    "urn:oid:0.9.2342.19200300.100.1.3": ["alice@university.example"],
    "urn:oid:1.3.6.1.4.1.5923.1.5.1.1": ["finance, and more", "staff"],
  },
});

describe("Keycloak over SAML", () => {
  let server;
  around(
    async () => {
      server = await Keycloak.start();
    },
    () => server?.close(),
  );

  const provider = keycloak(() => server);
  honestSamlProvider({
    ...provider,
    start: () => provider.start("saml-fixture"),
    address: provider.person,
    attributes: { email: ["alice@keycloak.example"], groups: ["finance", "staff"] },
  });
});
