import { OidcProvider } from "./lib/oidc-provider.mjs";
import { entraPeople } from "./lib/people.mjs";
import { interop } from "./lib/scenario.mjs";
import { oidcProviderPages } from "./lib/provider-pages.mjs";

const alice = entraPeople["alice@contoso.example"];

interop({
  name: "npm oidc-provider, shaped like Microsoft Entra ID",
  connectorId: "contoso-entra",
  button: "Log in with Microsoft",
  domain: "contoso.example",
  // The authority as administrators copy it, without /v2.0.
  connector: ({ issuer }) => ({ kind: "entra", issuer: issuer.replace(/\/v2\.0$/, "/") }),
  startProvider: (options) => OidcProvider.start({ shape: "entra", ...options }),
  pages: oidcProviderPages,
  person: "alice@contoso.example",
  colleague: "dora@contoso.example",
  refused: {
    "a guest of the tenant, whose address Entra does not vouch for": "gus_fabrikam.example#EXT#@contoso.example",
  },
  headers: {
    "x-forwarded-groups": alice.groups.join(","),
    "x-forwarded-preferred-username": "alice@contoso.example",
    "x-anteroom-role": "Admin",
  },
  hints: { login_hint: "alice@contoso.example", domain_hint: "contoso.example" },
});
