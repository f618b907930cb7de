// Reads the links and forms of server-rendered pages. It looks only for what a person could click or fill in, which
// is all that these tests need; the browser tests show that real pages mean the same.

const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0" };

export function decodeEntities(text) {
  return text.replace(/&(?:#x([0-9a-f]+)|#([0-9]+)|([a-z]+));/gi, (whole, hex, decimal, name) => {
    if (hex) return String.fromCodePoint(Number.parseInt(hex, 16));
    if (decimal) return String.fromCodePoint(Number.parseInt(decimal, 10));
    return ENTITIES[name] ?? whole;
  });
}

/** The text that a reader sees, in one line. */
export function textOf(html) {
  const visible = html.replace(/<(script|style|head|template)\b[\s\S]*?<\/\1>|<!--[\s\S]*?-->/gi, " ");
  return decodeEntities(visible.replace(/<[^>]*>/g, " "))
    .replace(/\s+/g, " ")
    .trim();
}

function attributes(tag) {
  const found = {};
  for (const [, name, double, single, bare] of tag.matchAll(
    /([^\s"'<>/=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/g,
  )) {
    found[name.toLowerCase()] ??= decodeEntities(double ?? single ?? bare ?? "");
  }
  return found;
}

/** Every link with an address: `{ href, text }`, the address resolved against `base`. */
export function linksOf(html, base) {
  return [...html.matchAll(/<a\b([^>]*)>([\s\S]*?)<\/a>/gi)]
    .map(([, tag, inner]) => ({ href: attributes(tag).href, text: textOf(inner) }))
    .filter(({ href }) => href !== undefined)
    .map(({ href, text }) => ({ href: new URL(href, base).href, text }));
}

/** Every form: `{ id, action, method, fields, buttons }`; a field's value is what the page put there. */
export function formsOf(html, base) {
  return [...html.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/gi)].map(([, tag, inner]) => {
    const { id, action = "", method = "get" } = attributes(tag);
    const fields = {};
    for (const [, input] of inner.matchAll(/<input\b([^>]*)>/gi)) {
      const { name, type = "text", value = "", checked } = attributes(input);
      const carriesNothing = ["submit", "button", "image", "reset"].includes(type.toLowerCase());
      const unticked = ["checkbox", "radio"].includes(type.toLowerCase()) && checked === undefined;
      if (name && !carriesNothing && !unticked) fields[name] = value;
    }
    const buttons = [...inner.matchAll(/<button\b([^>]*)>([\s\S]*?)<\/button>/gi)].map(([, button, label]) => {
      const { name, value = "" } = attributes(button);
      return { name, value, text: textOf(label) };
    });
    return { id, action: new URL(action || base, base).href, method: method.toUpperCase(), fields, buttons };
  });
}
