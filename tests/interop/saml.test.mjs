// SAML against two families of providers that nobody here wrote: PyPI's pysaml2 and Keycloak.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { describe, test } from "node:test";

import { around } from "./lib/around.mjs";
import { Keycloak } from "./lib/keycloak.mjs";
import { keycloak, university } from "./lib/saml-providers.mjs";
import { samlInterop } from "./lib/saml-scenario.mjs";
import {
  administrators,
  elsewhere,
  expiring,
  initiatedThere,
  processes,
  rolling,
  strict,
} from "./lib/saml-settings.mjs";

for (const scenario of [samlInterop, strict, initiatedThere, elsewhere, rolling, processes]) scenario(university);

describe("Keycloak over SAML", () => {
  let server;
  around(
    async () => {
      server = await Keycloak.start();
    },
    () => server?.close(),
  );
  const provider = keycloak(() => server);
  for (const scenario of [samlInterop, strict, initiatedThere, elsewhere, rolling, processes]) scenario(provider);
});
