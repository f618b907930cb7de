/** The registrable part of a host name as a browser sees it for `*.localhost` and addresses: the unit of "same site". */
export function siteOf(url) {
  const { protocol, hostname } = new URL(url);
  const isAddress = /^[0-9.]+$|^\[/.test(hostname);
  return `${protocol}//${isAddress ? hostname : hostname.split(".").slice(-2).join(".")}`;
}

/**
 * Cookies as a browser keeps them: host-only and domain cookies, paths, `Secure`, `SameSite`, the `__Host-` and
 * `__Secure-` rules. Plain http on loopback names counts as secure, as it does in Chromium.
 */
export class CookieJar {
  #cookies = [];

  /** What one `Set-Cookie` header says. A cookie that a browser would refuse is an error here, not a silence. */
  store(header, url) {
    const cookie = parse(header, new URL(url));
    this.#cookies = this.#cookies.filter((kept) => !isSame(kept, cookie));
    if (cookie.expires > Date.now()) this.#cookies.push(cookie);
  }

  /** The `Cookie` header for a top-level navigation or fetch to `url`, or undefined. `crossSite`: who asks is another site. */
  header(url, { method = "GET", crossSite = false } = {}) {
    const { hostname, pathname } = new URL(url);
    const sent = this.#cookies
      .filter((cookie) => cookie.expires > Date.now())
      .filter((cookie) => hostMatches(hostname, cookie) && pathMatches(pathname, cookie.path))
      .filter((cookie) => !crossSite || cookie.sameSite === "none" || (cookie.sameSite === "lax" && method === "GET"))
      .sort((a, b) => b.path.length - a.path.length);
    return sent.length === 0 ? undefined : sent.map(({ name, value }) => `${name}=${value}`).join("; ");
  }

  /** Every cookie that `url`'s host can see, with its attributes. */
  all(url) {
    const { hostname } = new URL(url);
    return this.#cookies.filter((cookie) => cookie.expires > Date.now() && hostMatches(hostname, cookie));
  }

  get(url, name) {
    return this.all(url).find((cookie) => cookie.name === name);
  }

  /** Puts a cookie back that was seen before, as an attacker with a copy of it would. */
  put(cookie) {
    this.#cookies = [...this.#cookies.filter((kept) => !isSame(kept, cookie)), cookie];
  }

  delete(url, name) {
    const gone = this.get(url, name);
    this.#cookies = this.#cookies.filter((cookie) => cookie !== gone);
  }
}

const isSame = (a, b) => a.name === b.name && a.host === b.host && a.path === b.path;

const hostMatches = (host, cookie) => host === cookie.host || (!cookie.hostOnly && host.endsWith(`.${cookie.host}`));

const pathMatches = (path, prefix) => path === prefix || path.startsWith(prefix.endsWith("/") ? prefix : `${prefix}/`);

function parse(header, url) {
  const [pair, ...parts] = header.split(";");
  const name = pair.slice(0, pair.indexOf("=")).trim();
  const value = pair.slice(pair.indexOf("=") + 1).trim();
  const attribute = {};
  for (const part of parts) {
    const [key, ...rest] = part.split("=");
    attribute[key.trim().toLowerCase()] = rest.join("=").trim();
  }
  const host = (attribute.domain ?? url.hostname).replace(/^\./, "").toLowerCase();
  const path = attribute.path?.startsWith("/") ? attribute.path : url.pathname.replace(/\/[^/]*$/, "") || "/";
  const secure = "secure" in attribute;
  const sameSite = (attribute.samesite ?? "lax").toLowerCase();
  const refuse = (why) => {
    throw new Error(`a browser would refuse the cookie ${name} of ${url.origin}: ${why}`);
  };
  if (url.hostname !== host && !url.hostname.endsWith(`.${host}`)) refuse(`its Domain is ${host}`);
  if (name.startsWith("__Host-") && !(secure && path === "/" && !("domain" in attribute))) refuse("the __Host- rules");
  if (name.startsWith("__Secure-") && !secure) refuse("the __Secure- rules");
  if (sameSite === "none" && !secure) refuse("SameSite=None without Secure");
  return {
    name,
    value,
    host,
    hostOnly: !("domain" in attribute),
    path,
    secure,
    httpOnly: "httponly" in attribute,
    sameSite,
    expires: expiry(attribute),
  };
}

function expiry(attribute) {
  if ("max-age" in attribute) return Date.now() + Number(attribute["max-age"]) * 1000;
  if ("expires" in attribute) return Date.parse(attribute.expires);
  return Number.POSITIVE_INFINITY;
}
