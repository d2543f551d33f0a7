// The user's preferences, in the browser's storage, where nothing secret is ever kept.

/** @typedef {{theme: "auto" | "dark" | "light", fontSize: number, screenReader: boolean}} Preferences */

const NAME = "ttylab-preferences";
/** @type {Preferences} */
const DEFAULTS = { theme: "auto", fontSize: 16, screenReader: false };
export const FONT_SIZES = Object.freeze([10, 12, 14, 16, 18, 20, 24]);

const DARK = matchMedia("(prefers-color-scheme: dark)");
const heard = new EventTarget();

/** @returns {Preferences} */
export function preferences() {
  try {
    return checked(JSON.parse(localStorage.getItem(NAME) ?? "{}"));
  } catch {
    return { ...DEFAULTS };
  }
}

/** @param {Partial<Preferences>} changes */
export function prefer(changes) {
  try {
    localStorage.setItem(NAME, JSON.stringify({ ...preferences(), ...changes }));
  } catch {
    // A browser that stores nothing shows the page with its defaults.
  }
  applyTheme();
  heard.dispatchEvent(new Event("change"));
}

/** @param {() => void} act called after each change @param {AbortSignal} signal ends it */
export function onPreference(act, signal) {
  heard.addEventListener("change", act, { signal });
  DARK.addEventListener("change", act, { signal });
}

/** @returns {boolean} */
export function isDark() {
  const { theme } = preferences();
  return theme === "auto" ? DARK.matches : theme === "dark";
}

/** Show the chosen theme. */
export function applyTheme() {
  document.documentElement.dataset.theme = isDark() ? "dark" : "light";
}

DARK.addEventListener("change", applyTheme);

/** @param {any} found @returns {Preferences} */
function checked(found) {
  return {
    theme: ["auto", "dark", "light"].includes(found?.theme) ? found.theme : DEFAULTS.theme,
    fontSize: FONT_SIZES.includes(found?.fontSize) ? found.fontSize : DEFAULTS.fontSize,
    screenReader: found?.screenReader === true,
  };
}
