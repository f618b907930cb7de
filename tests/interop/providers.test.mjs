import { honestProvider } from "./lib/honest-provider.mjs";
import { OidcProvider } from "./lib/oidc-provider.mjs";
import { ENTRA_TENANT } from "./lib/people.mjs";
import { oidcProviderPages } from "./lib/provider-pages.mjs";

const start = (shape) => (options) => OidcProvider.start({ shape, ...options });

honestProvider({
  name: "oidc-provider shaped like Entra ID",
  start: start("entra"),
  pages: oidcProviderPages,
  clientAuthMethod: "client_secret_post",
  address: "alice@contoso.example",
  expected: {
    tid: ENTRA_TENANT,
    preferred_username: "alice@contoso.example",
    upn: "alice@contoso.example",
    roles: ["Admin"],
  },
});

honestProvider({
  name: "oidc-provider shaped like Google",
  start: start("google"),
  pages: oidcProviderPages,
  address: "alice@initech.example",
  expected: { email: "alice@initech.example", email_verified: true, hd: "initech.example" },
});

honestProvider({
  name: "oidc-provider with its claims at userinfo",
  start: start("plain"),
  pages: oidcProviderPages,
  address: "alice@initech.example",
  expected: { email: undefined },
  userinfo: { email: "alice@initech.example", email_verified: true },
});
