import { decodeEntities } from "./html.mjs";
import { CANCELLED, PASSWORD } from "./people.mjs";

// How a person gets through each provider's own pages, once over plain HTTP (`signIn`, `confirmSignOut`) and once in
// Chromium (`signInWindow`, `confirmSignOutWindow`). `switchTo` signs in somebody else than who is signed in there.

export const oidcProviderPages = {
  isSignIn: (page) => page.forms.some(({ fields }) => "address" in fields),
  signIn: (agent, page, address) => agent.submit(page, "address", { address }),
  /** It ends the session of whoever was signed in before, by a form that sends itself. */
  async switchTo(agent, page, address) {
    const next = await this.signIn(agent, page, address);
    return next.forms.some(({ fields }) => "xsrf" in fields) ? agent.submit(next, "xsrf") : next;
  },
  cancel: (agent, page) => agent.submit(page, "address", { cancel: "yes" }),
  cancelDescription: CANCELLED,
  confirmSignOut: (agent, page) => agent.submit(page, "xsrf", { logout: "yes" }),
  confirmSignOutThere: (agent, page) => agent.submit(page, "xsrf", { logout: "yes" }),
  async signInWindow(page, address) {
    await page.getByLabel("Address").fill(address);
    await page.getByRole("button", { name: "Sign in" }).click();
  },
  confirmSignOutWindow: (page) => page.getByRole("button", { name: "Yes, sign me out" }).click(),
};

export const keycloakPages = {
  isSignIn: (page) => page.forms.some(({ fields }) => "password" in fields),
  signIn: (agent, page, address) => agent.submit(page, "password", { username: address, password: PASSWORD }),
  /** It asks whoever is signed in for the password again; a button, "Restart login", is for somebody else. */
  async switchTo(agent, page, address) {
    const [, restart] = /location\.href='([^']*\/login-actions\/restart[^']*)'/.exec(page.body);
    const afresh = await agent.open(new URL(decodeEntities(restart), page.url).href);
    return this.signIn(agent, afresh, address);
  },
  // It trusts the id_token_hint and asks nothing.
  confirmSignOut: async (_agent, page) => page,
  // Without a hint it asks.
  confirmSignOutThere: (agent, page) => agent.submit(page, "session_code", { confirmLogout: "Logout" }),
  async signInWindow(page, address) {
    await page.locator("#username").fill(address);
    await page.locator("#password").fill(PASSWORD);
    await page.locator("#kc-login").click();
  },
  confirmSignOutWindow: async () => {},
};
