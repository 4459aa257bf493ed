// A real OpenID provider on loopback: `node provider.mjs PORT CLIENTS_JSON`, then "ready" on standard output.
// Its log-in page lets in whoever is in PEOPLE, with any password; it asks for consent as usual.
// POST /rotate puts another signing key in force, and the old one out.
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import Provider from "oidc-provider";

const [port, clients] = [Number(process.argv[2]), JSON.parse(process.argv[3])];
// Another name than that of the stack, so that a browser takes the two for two sites.
const issuer = `http://localhost:${port}`;
const PEOPLE = {
  ada: { email: "ada@example.org", email_verified: true, name: "Ada Lovelace" },
  bob: { email: "bob@example.org", email_verified: true, name: "Bob" },
  eve: { email: "ada@example.org", email_verified: false, name: "Eve" },
};

function keys() {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { keys: [{ ...privateKey.export({ format: "jwk" }), kid: randomUUID(), use: "sig", alg: "RS256" }] };
}

function provide() {
  const provider = new Provider(issuer, {
    clients,
    jwks: keys(),
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
    // "1": address and name stand beside the ID token only, as the specification has it.
    conformIdTokenClaims: process.env.CLAIMS_IN_USERINFO === "1",
    pkce: { required: () => true },
    cookies: { keys: [randomUUID()] },
    findAccount: (_, sub) => PEOPLE[sub] && { accountId: sub, claims: () => ({ sub, ...PEOPLE[sub] }) },
  });
  provider.on("server_error", (_, error) => console.error(error));
  return provider.callback();
}

let serve = provide();
createServer((request, response) => {
  if (request.method === "POST" && request.url === "/rotate") {
    serve = provide();
    response.writeHead(204).end();
    return;
  }
  serve(request, response);
}).listen(port, "127.0.0.1", () => console.log("ready"));
