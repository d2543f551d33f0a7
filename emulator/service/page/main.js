// The page: header, sign-in, and one view at a time, chosen by the address.

import { availability, makeApp, readCloud } from "./app.js";
import { announce, button, fill, h } from "./dom.js";
import { adoptIdentity } from "./popout.js";
import { applyTheme, isDark, onPreference, prefer } from "./preferences.js";
import { parseRoute } from "./routes.js";
import { showInstances, showResources } from "./view_list.js";
import { showMachine } from "./view_machine.js";

/** @typedef {import("./app.js").App} App */

const main = /** @type {HTMLElement} */ (document.getElementById("main"));
const header = /** @type {HTMLElement} */ (document.getElementById("top"));

applyTheme();
document.getElementById("skip")?.addEventListener("click", () => main.focus());
const missing = document.body.dataset.install;
if (missing) sayWhatIsMissing(missing);
else void begin();

async function begin() {
  const popped = new URLSearchParams(location.search).has("popout");
  document.body.classList.toggle("popped", popped);
  const app = makeApp(await readCloud(), popped);
  if (popped) await adoptIdentity(app.identity);
  showHeader(app);
  let view = new AbortController();
  const turn = () => {
    view.abort();
    view = new AbortController();
    void showRoute(app, view.signal);
  };
  addEventListener("hashchange", turn);
  turn();
}

/** @param {App} app @param {AbortSignal} signal */
async function showRoute(app, signal) {
  const route = parseRoute(location.hash);
  await app.identity.token().catch(() => "");
  if (signal.aborted) return;
  showHeader(app);
  if (route.kind === "vm") await showMachine(app, main, route, signal);
  else if (route.kind === "set") await showInstances(app, main, route.id, signal);
  else await showResources(app, main, signal);
  if (signal.aborted) return;
  if (document.activeElement === document.body) main.focus({ preventScroll: true }); // the link that had the focus is gone
  document.title = `${main.querySelector("h1")?.textContent ?? "ttylab"} · ttylab`;
}

let shownHeader = new AbortController();

/** @param {App} app */
function showHeader(app) {
  shownHeader.abort();
  shownHeader = new AbortController();
  const said = availability(app.cloud.name);
  const name = app.identity.current?.name;
  const theme = button("", () => prefer({ theme: isDark() ? "light" : "dark" }), { class: "quiet" });
  const label = () => fill(theme, isDark() ? "Light theme" : "Dark theme");
  label();
  onPreference(label, shownHeader.signal);
  const out = name && button("Sign out", () => (app.identity.signOut(), location.reload()), { class: "quiet" });
  fill(
    header,
    h("a", { class: "brand", href: "#/" }, h("img", { src: "/page/icon.svg", alt: "", width: 22, height: 22 }), "ttylab"),
    said && h("span", { class: "badge preview" }, said),
    h("span", { class: "grow" }),
    name && h("span", { class: "who" }, name),
    theme,
    out || null,
  );
}

/** @param {string} command */
function sayWhatIsMissing(command) {
  const text = "The web console's terminal is not installed.";
  fill(main, h("div", { class: "page" }, h("h1", {}, text), h("p", {}, "Install it, then load this page again:"), h("pre", {}, command)));
  announce(`${text} Run: ${command}`, { urgent: true });
}
