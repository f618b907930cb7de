import http from "node:http";

import { CookieJar, siteOf } from "./cookie-jar.mjs";
import { formsOf, linksOf, textOf } from "./html.mjs";

const MAX_REDIRECTS = 20;

// Debian's resolver does not know *.localhost; browsers and Anteroom resolve these names themselves (RFC 6761).
export function loopbackLookup(hostname, options, callback) {
  if (!/(^|\.)localhost$|^127\./.test(hostname)) {
    callback(new Error(`${hostname} is not on loopback: these tests talk to this machine only`));
  } else if (options.all) {
    callback(null, [{ address: "127.0.0.1", family: 4 }]);
  } else {
    callback(null, "127.0.0.1", 4);
  }
}

/** One HTTP exchange, nothing added: `{ status, headers, setCookies, body }`. */
export function exchange(url, { method = "GET", headers = {}, body } = {}) {
  return new Promise((resolve, reject) => {
    const options = { method, headers, lookup: loopbackLookup, agent: false, timeout: 30_000 };
    const request = http.request(url, options, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () =>
        resolve({
          url: String(url),
          status: response.statusCode,
          headers: response.headers,
          setCookies: response.headers["set-cookie"] ?? [],
          body: Buffer.concat(chunks).toString("utf8"),
        }),
      );
    });
    request.on("timeout", () => request.destroy(new Error(`no answer from ${url} in 30 s`)));
    request.on("error", reject);
    request.end(body);
  });
}

/** The last answer of a navigation. `hops` holds every exchange on the way, with the headers that were sent. */
export class Page {
  constructor(hops) {
    this.hops = hops;
    Object.assign(this, hops.at(-1));
  }

  get text() {
    return textOf(this.body);
  }

  get links() {
    return linksOf(this.body, this.url);
  }

  get forms() {
    return formsOf(this.body, this.url);
  }

  /** The link whose text is `text`; an error that shows the page if there is none. */
  link(text) {
    const found = this.links.find((link) => link.text === text);
    if (!found) throw new Error(`no link "${text}" on ${this.describe()}`);
    return found;
  }

  /** The form that has a field called `field`. */
  formWith(field) {
    const found = this.forms.find((form) => field in form.fields);
    if (!found) throw new Error(`no form with ${field} on ${this.describe()}`);
    return found;
  }

  describe() {
    return `${this.url} (${this.status}): ${this.text.slice(0, 600)}`;
  }
}

/**
 * A browser without the picture: one cookie jar, top-level navigations that follow redirects, and the Sec-Fetch-*,
 * Origin and SameSite behaviour of Chromium.
 */
export class UserAgent {
  jar = new CookieJar();

  constructor({ headers = {} } = {}) {
    this.headers = headers;
  }

  /** An address typed into the address bar. */
  open(url, options = {}) {
    return this.#navigate({ url, method: "GET", ...options });
  }

  /** A click on a link of `page`. */
  click(page, text) {
    return this.#navigate({ url: page.link(text).href, method: "GET", initiator: page });
  }

  /** `page`'s form that has the field `field`, sent with `fields` filled in over what the page put there. */
  submit(page, field, fields = {}) {
    const form = page.formWith(field);
    const values = new URLSearchParams({ ...form.fields, ...fields }).toString();
    if (form.method === "POST") {
      return this.#navigate({ url: form.action, method: "POST", body: values, initiator: page });
    }
    const url = new URL(form.action);
    url.search = values;
    return this.#navigate({ url: url.href, method: "GET", initiator: page });
  }

  /** What `fetch(url, { credentials: "include" })` in a page of `origin` sends. Redirects are shown, not followed. */
  async fetch(url, { method = "GET", origin = new URL(url).origin, headers = {}, body } = {}) {
    const site = relation(origin, [url]);
    const sent = clean({
      ...this.headers,
      accept: "*/*",
      "sec-fetch-dest": "empty",
      "sec-fetch-mode": "cors",
      "sec-fetch-site": site,
      origin: site === "same-origin" && method === "GET" ? undefined : origin,
      cookie: this.jar.header(url, { method: "POST", crossSite: site === "cross-site" }),
      ...headers,
    });
    return this.#exchange(url, { method, headers: sent, body });
  }

  async #navigate({ url, method, body, initiator, headers = {} }) {
    const hops = [];
    const chain = [];
    while (hops.length <= MAX_REDIRECTS) {
      chain.push(url);
      const site = initiator ? relation(new URL(initiator.url).origin, chain) : "none";
      const sent = clean({
        ...this.headers,
        accept: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "upgrade-insecure-requests": "1",
        "sec-fetch-dest": "document",
        "sec-fetch-mode": "navigate",
        "sec-fetch-site": site,
        "sec-fetch-user": "?1",
        origin: method === "POST" ? originOf(initiator, chain) : undefined,
        "content-type": method === "POST" ? "application/x-www-form-urlencoded" : undefined,
        "content-length": method === "POST" ? String(Buffer.byteLength(body)) : undefined,
        cookie: this.jar.header(url, {
          method,
          crossSite: initiator !== undefined && siteOf(initiator.url) !== siteOf(url),
        }),
        ...headers,
      });
      const answer = await this.#exchange(url, { method, headers: sent, body });
      hops.push({ ...answer, method, sent, sentBody: body });
      if (![301, 302, 303, 307, 308].includes(answer.status) || !answer.headers.location) return new Page(hops);
      url = new URL(answer.headers.location, url).href;
      if (answer.status < 307) {
        method = "GET";
        body = undefined;
      }
    }
    throw new Error(`more than ${MAX_REDIRECTS} redirects:\n${chain.join("\n")}`);
  }

  async #exchange(url, request) {
    const answer = await exchange(url, request);
    answer.setCookies.forEach((header) => this.jar.store(header, url));
    return answer;
  }
}

const clean = (headers) => Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined));

/** Sec-Fetch-Site: the loosest relation between who asks and any address on the way. */
function relation(origin, urls) {
  if (urls.some((url) => siteOf(url) !== siteOf(origin))) return "cross-site";
  return urls.some((url) => new URL(url).origin !== origin) ? "same-site" : "same-origin";
}

/** The Origin of a form's POST: `null` where the page sends no referrer, or after a redirect to another origin. */
function originOf(initiator, chain) {
  const silent = (initiator.headers["referrer-policy"] ?? "").includes("no-referrer");
  const origins = new Set(chain.slice(0, -1).map((url) => new URL(url).origin));
  const left = [...origins].some((origin) => origin !== new URL(initiator.url).origin);
  return silent || left ? "null" : new URL(initiator.url).origin;
}
