import { OidcProvider } from "./lib/oidc-provider.mjs";
import { oidcProviderPages } from "./lib/provider-pages.mjs";
import { renewal } from "./lib/renewal.mjs";

const NEW_GROUP = "5d0b6a1e-8c0d-4f5e-9b9a-7e0c4b1f2d33";

// As Entra ID has it: offline_access, claims in the ID token. The library gives that scope for prompt=consent alone.
renewal({
  name: "npm oidc-provider, shaped like Microsoft Entra ID",
  connectorId: "contoso-entra",
  button: "Log in with Microsoft",
  domain: "contoso.example",
  connector: ({ issuer }) => ({ kind: "entra", issuer, prompt: "consent" }),
  startProvider: (options) => OidcProvider.start({ shape: "entra", refresh: "offline", ...options }),
  pages: oidcProviderPages,
  people: { steady: "alice@contoso.example", changing: "dora@contoso.example", leaving: "erin@contoso.example" },
  change: (idp, address) => idp.change(address, { groups: [NEW_GROUP] }),
  header: ["x-forwarded-groups", undefined, NEW_GROUP],
});

// Claims at userinfo; refresh tokens that end with the session at the provider.
renewal({
  name: "npm oidc-provider, with its claims at userinfo",
  connectorId: "plain",
  button: "Log in with Initech",
  domain: "initech.example",
  connector: ({ issuer }) => ({ kind: "oidc", name: "Initech", issuer }),
  startProvider: (options) => OidcProvider.start({ shape: "plain", refresh: "session", ...options }),
  pages: oidcProviderPages,
  people: {
    steady: "alice@initech.example",
    changing: "dora@initech.example",
    leaving: "erin@initech.example",
    leftThere: "fay@initech.example",
  },
  change: (idp, address) => idp.change(address, { preferred_username: "dora.dias" }),
  header: ["x-forwarded-preferred-username", "dora", "dora.dias"],
  async endSessionOf({ issuer }, { agent }) {
    await oidcProviderPages.confirmSignOutThere(agent, await agent.open(`${issuer}/session/end`));
  },
});
