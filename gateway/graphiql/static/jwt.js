// What an access token says about itself. It is read here and sent nowhere. Its signature is not checked: Partner Center
// does that. The rules and words are those of gateway/cli/token/token_warnings.py.

const AUDIENCES = new Set([
  "https://api.partnercenter.microsoft.com",
  "fa3d9a0c-3fb0-42cc-9193-47c7ecd2edbd",
  "https://partner.partnercenterapi.microsoftonline.cn",
]);
// As in gateway/access_token.py.
const TOKEN = /^[!#-+\--[\]-~]{1,16384}$/;
// Clocks of different computers differ by a few minutes.
const EARLY_SECONDS = 300;
const [MINUTE, HOUR, DAY] = [60, 3600, 86_400];

/**
 * Returns what to show about a token at the time `now`, in seconds since 1970: `expiry`, such as "expires in 52 minutes",
 * and the `problems` for which it will be refused. Both are empty without a token.
 */
export function describeToken(token, now) {
  if (token === undefined) return { expiry: "", problems: [] };
  if (!TOKEN.test(token)) return { expiry: "", problems: ["It is malformed: copy it again."] };
  const claims = readClaims(token);
  if (claims === null) return { expiry: "expiry unknown: it is no JWT", problems: [] };
  const [expires, starts] = [seconds(claims.exp), seconds(claims.nbf)];
  const isExpired = expires !== null && expires <= now;
  return {
    expiry: isExpired ? "expired" : expires === null ? "expiry unknown" : `expires in ${duration(expires - now)}`,
    problems: [
      isExpired && `It expired ${duration(now - expires)} ago: get a new one.`,
      starts !== null &&
        starts > now + EARLY_SECONDS &&
        `It is valid only in ${duration(starts - now)}: wait, or get a new one.`,
      ...refusals(claims),
    ].filter(Boolean),
  };
}

/** Returns the claims of a JWT, or null for any other token. */
function readClaims(token) {
  const parts = token.split(".");
  if (parts.length !== 3) return null;
  try {
    const binary = atob(parts[1].replaceAll("-", "+").replaceAll("_", "/"));
    const claims = JSON.parse(new TextDecoder().decode(Uint8Array.from(binary, (letter) => letter.charCodeAt(0))));
    return claims !== null && typeof claims === "object" && !Array.isArray(claims) ? claims : null;
  } catch {
    return null;
  }
}

function refusals({ aud, amr, idtyp, scp, ver }) {
  const isKnown = (audience) => AUDIENCES.has(String(audience).toLowerCase().replace(/\/+$/, ""));
  // Version 2.0 tokens never have the claim amr.
  const isSilent = (amr ?? null) === null && ver === "2.0";
  return [
    ![aud].flat().some(isKnown) &&
      "Its audience is not Partner Center: get one for https://api.partnercenter.microsoft.com.",
    (idtyp === "app" || (scp ?? null) === null) &&
      "It belongs to an application, not to a user: sign in as a user of the partner tenant.",
    !isSilent &&
      ![amr].flat().includes("mfa") &&
      "The user signed in without multi-factor authentication: sign in again with it.",
  ];
}

function seconds(claim) {
  return typeof claim === "number" && Number.isFinite(claim) && claim > 0 ? claim : null;
}

function duration(time) {
  if (time < MINUTE) return "less than a minute";
  const [size, unit] = time < 2 * HOUR ? [MINUTE, "minute"] : time < 2 * DAY ? [HOUR, "hour"] : [DAY, "day"];
  const count = Math.floor(time / size);
  return `${count.toLocaleString("en")} ${unit}${count === 1 ? "" : "s"}`;
}
