import { OidcProvider } from "./lib/oidc-provider.mjs";
import { oidcProviderPages } from "./lib/provider-pages.mjs";
import { interop } from "./lib/scenario.mjs";

interop({
  name: "npm oidc-provider, shaped like Google Workspace",
  connectorId: "initech-google",
  button: "Log in with Google",
  domain: "initech.example",
  connector: ({ issuer }) => ({ kind: "google", issuer }),
  startProvider: (options) => OidcProvider.start({ shape: "google", ...options }),
  pages: oidcProviderPages,
  person: "alice@initech.example",
  colleague: "dora@initech.example",
  refused: {
    "an address that is not verified": "bob@initech.example",
    "an account outside the organisation": "carol@initech.example",
  },
  headers: {},
  hints: { login_hint: "alice@initech.example", hd: "initech.example" },
});

interop({
  name: "npm oidc-provider, with its claims at userinfo",
  connectorId: "plain",
  button: "Log in with Initech",
  domain: "initech.example",
  connector: ({ issuer }) => ({ kind: "oidc", name: "Initech", issuer }),
  startProvider: (options) => OidcProvider.start({ shape: "plain", ...options }),
  pages: oidcProviderPages,
  person: "alice@initech.example",
  colleague: "dora@initech.example",
  refused: { "an address that is not verified": "bob@initech.example" },
  headers: {},
  hints: { login_hint: "alice@initech.example" },
});
