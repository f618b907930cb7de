import { inflateRawSync } from "node:zlib";

const FIELDS = ["SAMLRequest", "SAMLResponse"];

/** The form of `page` that a script sends on as soon as it is there: `{ field, form }`, or undefined. */
export function messageForm(page) {
  for (const form of page.forms) {
    const field = FIELDS.find((name) => name in form.fields);
    if (field) return { field, form };
  }
  return undefined;
}

/** The message of a form: XML. */
export const posted = (value) => Buffer.from(value, "base64").toString("utf8");

/** The message of a redirect: XML, and what was beside it. */
export function redirected(url) {
  const { searchParams } = new URL(url);
  const field = FIELDS.find((name) => searchParams.has(name));
  if (!field) return undefined;
  const xml = inflateRawSync(Buffer.from(searchParams.get(field), "base64")).toString("utf8");
  return { field, xml, query: Object.fromEntries(searchParams) };
}

/**
 * Sends on every form that a browser with scripts would send on by itself, until a page asks a person something. The
 * last page, with the exchanges of all of them and with `messages`: each SAML message that passed, by whichever binding.
 * `stopAt` looks at a form before it is sent, and may keep it back.
 */
export async function relay(agent, page, { stopAt = () => false } = {}) {
  const hops = [...page.hops];
  for (let forms = 0; forms < 10; forms += 1) {
    const found = messageForm(page);
    if (!found || stopAt(found.form, found.field)) break;
    page = await agent.submit(page, found.field);
    hops.push(...page.hops);
  }
  page.hops = hops;
  return page;
}

/** Every SAML message on the way to `page`: `{ field, binding, to, xml, relayState, signature }`, in order. */
export function messagesOf(page) {
  return page.hops.flatMap((hop) => {
    const byRedirect = hop.method === "GET" && redirected(hop.url);
    const to = hop.url.split("?")[0];
    if (byRedirect) {
      const { field, xml, query } = byRedirect;
      return [{ field, binding: "redirect", to, xml, relayState: query.RelayState, signature: query.Signature }];
    }
    const form = new URLSearchParams(hop.sentBody ?? "");
    const field = FIELDS.find((name) => form.has(name));
    if (!field) return [];
    const xml = posted(form.get(field));
    const signature = /<(?:[\w.-]+:)?SignatureValue>/.exec(xml)?.[0];
    return [{ field, binding: "post", to, xml, relayState: form.get("RelayState") ?? undefined, signature }];
  });
}
