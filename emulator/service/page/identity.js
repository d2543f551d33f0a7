// Who is signed in. Only this object has the token: no address, storage, cookie or message, except one to our own window.

/** @typedef {{token: string, name: string, expires: number}} SignIn expires: milliseconds as of Date.now */

const CLIENT = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"; // az's, since the page requests what az does
const SPARE_MS = 15000;

/** Why a sign-in was refused; `message` is the service's reason. */
export class SignInRefused extends Error {}

/** The page's one identity. */
export class Identity {
  /** @param {() => Promise<SignIn>} ask shows the sign-in form and settles when it succeeded */
  constructor(ask) {
    this.ask = ask;
    /** @type {SignIn | null} */
    this.current = null;
    /** @type {Promise<SignIn> | null} */
    this.asking = null;
  }

  /** @returns {Promise<string>} a token that has not expired; asks the user if there is none */
  async token() {
    if (this.current && this.current.expires - SPARE_MS > Date.now()) return this.current.token;
    return (await this.renew()).token;
  }

  /** @returns {Promise<SignIn>} after one form, however many callers wait */
  async renew() {
    this.asking ??= this.ask().finally(() => (this.asking = null));
    this.current = await this.asking;
    return this.current;
  }

  /** @param {string} token a token that the service has refused; a newer one stays */
  refuse(token) {
    if (this.current?.token === token) this.current = { ...this.current, expires: 0 };
  }

  /** Forget the token. */
  signOut() {
    this.current = null;
  }
}

/**
 * Request a token. A name with "@" is a user's, any other a service principal's client id.
 * @param {{name: string, secret: string, tenant: string, audience: string}} who
 * @returns {Promise<SignIn>}
 */
export async function signIn({ name, secret, tenant, audience }) {
  const scope = `${audience.replace(/\/$/, "")}/.default`;
  const form = name.includes("@")
    ? { grant_type: "password", client_id: CLIENT, username: name, password: secret, scope: `openid ${scope}` }
    : { grant_type: "client_credentials", client_id: name, client_secret: secret, scope };
  const response = await fetch(`/${encodeURIComponent(tenant)}/oauth2/v2.0/token`, {
    method: "POST",
    body: new URLSearchParams(form),
    credentials: "omit",
    cache: "no-store",
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok || typeof answer.access_token !== "string") {
    throw new SignInRefused(reasonOf(answer) || `The service answered ${response.status}.`);
  }
  return { token: answer.access_token, name, expires: Date.now() + 1000 * Number(answer.expires_in ?? 3600) };
}

/** @param {any} answer @returns {string} */
function reasonOf(answer) {
  const said = answer.error_description ?? answer.error?.message ?? "";
  return String(said).split(/\r?\n| Trace ID:/)[0];
}
