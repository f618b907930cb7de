import { describe } from "node:test";

import { around } from "./lib/around.mjs";
import { honestProvider } from "./lib/honest-provider.mjs";
import { Keycloak } from "./lib/keycloak.mjs";
import { keycloakPages } from "./lib/provider-pages.mjs";
import { renewal } from "./lib/renewal.mjs";
import { interop } from "./lib/scenario.mjs";

describe("Keycloak", () => {
  let keycloak;
  around(
    async () => {
      keycloak = await Keycloak.start();
    },
    () => keycloak?.close(),
  );

  honestProvider({
    name: "Keycloak",
    start: (options) => keycloak.realm("fixture", options),
    pages: keycloakPages,
    address: "alice@keycloak.example",
    expected: { email: "alice@keycloak.example", email_verified: true },
    groups: ["finance", "staff"],
  });

  interop({
    name: "Keycloak",
    connectorId: "keycloak",
    button: "Log in with Keycloak",
    domain: "keycloak.example",
    connector: ({ issuer }) => ({ kind: "oidc", name: "Keycloak", issuer }),
    startProvider: (options) => keycloak.realm("customers", options),
    pages: keycloakPages,
    person: "alice@keycloak.example",
    colleague: "dora@keycloak.example",
    refused: { "an address that is not verified": "bob@keycloak.example" },
    headers: { "x-forwarded-preferred-username": "alice@keycloak.example" },
    groups: ["finance", "staff"],
    hints: { login_hint: "alice@keycloak.example" },
    administered: true,
  });

  renewal({
    name: "Keycloak",
    connectorId: "keycloak",
    button: "Log in with Keycloak",
    domain: "keycloak.example",
    connector: ({ issuer }) => ({ kind: "oidc", name: "Keycloak", issuer }),
    startProvider: (options) => keycloak.realm("renewed", options),
    pages: keycloakPages,
    people: {
      steady: "alice@keycloak.example",
      changing: "dora@keycloak.example",
      leaving: "erin@keycloak.example",
      leftThere: "frank@keycloak.example",
    },
    change: (idp, address) => idp.join(address, "finance"),
    header: ["x-forwarded-groups", undefined, "finance"],
    endSessionOf: (idp, { address }) => idp.endSessionsOf(address),
  });
});
