// SAML against two families of providers that nobody here wrote: PyPI's pysaml2 and Keycloak.

import { describe } from "node:test";

import { around } from "./lib/around.mjs";
import { honestSamlProvider } from "./lib/honest-saml-provider.mjs";
import { Keycloak } from "./lib/keycloak.mjs";
import { keycloak, university } from "./lib/saml-providers.mjs";
import { samlInterop } from "./lib/saml-scenario.mjs";
import { elsewhere, initiatedThere, processes, rolling, strict, tenants } from "./lib/saml-settings.mjs";

const SCENARIOS = [honestSamlProvider, samlInterop, strict, initiatedThere, elsewhere, rolling, processes];

for (const scenario of [...SCENARIOS, tenants]) scenario(university);

describe("Keycloak over SAML", () => {
  let server;
  around(
    async () => {
      server = await Keycloak.start();
    },
    () => server?.close(),
  );
  const provider = keycloak(() => server);
  for (const scenario of SCENARIOS) scenario(provider);
});
