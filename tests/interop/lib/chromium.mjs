import { chromium } from "playwright-core";

const EXECUTABLE = process.env.CHROMIUM ?? "/usr/bin/chromium";

// Debian's Chromium, talking to this machine only. Without a sandbox because CI runs as root; every page it sees is ours.
const FLAGS = [
  "--headless=new",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--disable-dev-shm-usage",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-default-apps",
  "--disable-domain-reliability",
  "--disable-sync",
  "--no-pings",
];

/** Patience for one page or element; a page that is there takes milliseconds. */
const LIMIT_MS = 15_000;

/** A browser with a fresh profile. */
export function launchChromium() {
  return chromium.launch({ executablePath: EXECUTABLE, args: FLAGS });
}

/** A new window with no cookies. `navigations` gathers every top-level request with the headers that were really sent. */
export async function openWindow(browser, options = {}) {
  const context = await browser.newContext({ locale: "en-GB", timezoneId: "UTC", ...options });
  context.setDefaultTimeout(LIMIT_MS);
  const page = await context.newPage();
  const pending = [];
  page.on("request", (request) => {
    if (request.isNavigationRequest() && request.frame() === page.mainFrame()) {
      pending.push(request.allHeaders().then((headers) => ({ url: request.url(), method: request.method(), headers })));
    }
  });
  return { context, page, navigations: () => Promise.all(pending) };
}

/** Whether anything on the page is wider than the window. */
export function scrollsSideways(page) {
  return page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
}
