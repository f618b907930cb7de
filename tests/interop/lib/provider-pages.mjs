import { PASSWORD } from "./people.mjs";

// How a person gets through each provider's own pages, once over plain HTTP (`signIn`, `confirmSignOut`) and once in
// Chromium (`signInWindow`, `confirmSignOutWindow`).

export const oidcProviderPages = {
  isSignIn: (page) => page.forms.some(({ fields }) => "address" in fields),
  signIn: (agent, page, address) => agent.submit(page, "address", { address }),
  cancel: (agent, page) => agent.submit(page, "address", { cancel: "yes" }),
  confirmSignOut: (agent, page) => agent.submit(page, "xsrf", { logout: "yes" }),
  async signInWindow(page, address) {
    await page.getByLabel("Address").fill(address);
    await page.getByRole("button", { name: "Sign in" }).click();
  },
  confirmSignOutWindow: (page) => page.getByRole("button", { name: "Yes, sign me out" }).click(),
};

export const keycloakPages = {
  isSignIn: (page) => page.forms.some(({ fields }) => "password" in fields),
  signIn: (agent, page, address) => agent.submit(page, "password", { username: address, password: PASSWORD }),
  // It trusts the id_token_hint and asks nothing.
  confirmSignOut: async (_agent, page) => page,
  async signInWindow(page, address) {
    await page.locator("#username").fill(address);
    await page.locator("#password").fill(PASSWORD);
    await page.locator("#kc-login").click();
  },
  confirmSignOutWindow: async () => {},
};
