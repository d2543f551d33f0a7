// The sign-in form, in front of the current view: a console behind it keeps its text.

import { openDialog, show } from "./dialogs.js";
import { announce, field, fill, h } from "./dom.js";
import { signIn } from "./identity.js";

/**
 * Ask until somebody has signed in.
 * @param {{audience: string, tenant: string, name: string, again: boolean}} options `again`: the last sign-in expired
 * @returns {Promise<import("./identity.js").SignIn>}
 */
export function askToSignIn({ audience, tenant, name, again }) {
  return new Promise((resolve) => {
    const dialog = openDialog(again ? "Your sign-in has expired" : "Sign in to ttylab");
    dialog.classList.add("sign-in");
    dialog.addEventListener("cancel", (event) => event.preventDefault()); // there is nothing to return to
    const form = fields({ tenant, name });
    form.element.addEventListener("submit", async (event) => {
      event.preventDefault();
      const reason = await attempt({ ...form.values(), audience }, (found) => (resolve(found), dialog.close()));
      if (reason) form.refuse(reason);
    });
    const why = again ? "What is shown stays; sign in again to go on." : "To your VMs' serial consoles.";
    dialog.append(h("p", { class: "note" }, why), form.element);
    show(dialog);
    form.focus();
  });
}

/**
 * @param {Parameters<typeof signIn>[0]} who
 * @param {(found: import("./identity.js").SignIn) => void} done
 * @returns {Promise<string>} why not, "" if it succeeded
 */
async function attempt(who, done) {
  if (!who.name || !who.secret) return "Type a user and a password.";
  try {
    done(await signIn(who));
    return "";
  } catch (error) {
    return error instanceof TypeError ? "The service did not answer. Is it running?" : String(/** @type {Error} */ (error).message);
  }
}

/** @param {{tenant: string, name: string}} known */
function fields({ tenant, name }) {
  const user = field("User", {
    id: "user", name: "username", autocomplete: "username", spellcheck: "false", value: name, "aria-describedby": "user-help",
  }); // prettier-ignore
  const password = field("Password", { id: "password", type: "password", autocomplete: "current-password" });
  const place = field("Tenant", { id: "tenant", spellcheck: "false", autocomplete: "off", value: tenant });
  const alert = h("p", { class: "refusal", role: "alert", hidden: true });
  user.row.append(h("span", { id: "user-help", class: "note" }, "dev@localhost, or a service principal's client id"));
  const element = h(
    "form", { novalidate: true }, user.row, password.row,
    h("details", {}, h("summary", {}, "Tenant"), place.row), alert,
    h("div", { class: "row end" }, h("button", { type: "submit", class: "primary" }, "Sign in")),
  ); // prettier-ignore
  return {
    element,
    values: () => ({ name: user.input.value.trim(), secret: password.input.value, tenant: place.input.value.trim() }),
    focus: () => (name ? password : user).input.focus(),
    /** @param {string} reason */
    refuse(reason) {
      fill(alert, reason);
      alert.hidden = false;
      announce(reason, { urgent: true });
      password.input.setAttribute("aria-invalid", "true");
      password.input.select();
      password.input.focus();
    },
  };
}
