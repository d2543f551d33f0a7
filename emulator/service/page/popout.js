// A console in a separate window, which gets the sign-in by a message to our own origin, never by the address.

const ASK = "ttylab:who";
const TELL = "ttylab:me";
const WAIT_MS = 2000;

/**
 * Open the console at `hash` in a separate window.
 * @param {import("./identity.js").Identity} identity @param {string} hash
 * @param {() => void} closed called when that window is gone
 * @returns {Window | null} null if the browser did not allow it
 */
export function popOut(identity, hash, closed) {
  const child = open(`/?popout${hash}`, "", "popup,width=980,height=720");
  if (!child) return null;
  const listening = new AbortController();
  const answer = (/** @type {MessageEvent} */ event) => {
    if (event.origin !== location.origin || event.source !== child || event.data !== ASK) return;
    child.postMessage({ kind: TELL, current: identity.current }, location.origin);
  };
  addEventListener("message", answer, { signal: listening.signal });
  const timer = setInterval(() => {
    if (!child.closed) return;
    clearInterval(timer);
    listening.abort();
    closed();
  }, 500);
  return child;
}

/**
 * Take the sign-in over from the window that opened this one; without one the user is asked as usual.
 * @param {import("./identity.js").Identity} identity
 * @returns {Promise<void>}
 */
export function adoptIdentity(identity) {
  const parent = /** @type {Window | null} */ (opener);
  if (!parent) return Promise.resolve();
  return new Promise((resolve) => {
    const listening = new AbortController();
    const done = () => (listening.abort(), resolve());
    const take = (/** @type {MessageEvent} */ event) => {
      if (event.origin !== location.origin || event.source !== parent || event.data?.kind !== TELL) return;
      identity.current = event.data.current;
      done();
    };
    addEventListener("message", take, { signal: listening.signal });
    setTimeout(done, WAIT_MS);
    parent.postMessage(ASK, location.origin);
  });
}
