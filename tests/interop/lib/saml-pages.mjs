import { PASSWORD } from "./people.mjs";
import { relay } from "./saml-messages.mjs";

// How a person gets through the pages of each SAML provider. The forms between the two sites send themselves, in
// Chromium by a script and here by `relay`.

export const universityPages = {
  isSignIn: (page) => page.forms.some(({ fields }) => "ticket" in fields),
  signIn: async (agent, page, address, options) => relay(agent, await agent.submit(page, "ticket", { address }), options),
  cancel: async (agent, page) => relay(agent, await agent.submit(page, "ticket", { cancel: "yes" })),
  async signInWindow(page, address) {
    await page.getByLabel("Address").fill(address);
    await page.getByRole("button", { name: "Sign in" }).click();
  },
};

export const keycloakSamlPages = {
  isSignIn: (page) => page.forms.some(({ fields }) => "password" in fields),
  signIn: async (agent, page, address, options) =>
    relay(agent, await agent.submit(page, "password", { username: address, password: PASSWORD }), options),
  async signInWindow(page, address) {
    await page.locator("#username").fill(address);
    await page.locator("#password").fill(PASSWORD);
    await page.locator("#kc-login").click();
  },
};
