// A person with a browser: `node browser.mjs START_URL LOGIN [ABORT]`; prints what was seen as one JSON object.
// The page on which the journey ends is that of START_URL's own site, at /login/callback.
import { launched } from "./chromium.mjs";

const [start, login, ending] = process.argv.slice(2);
const site = new URL(start).origin;
const browser = await launched();
try {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(90_000);
  const visited = [];
  page.on("framenavigated", (frame) => frame === page.mainFrame() && visited.push(frame.url()));
  await page.goto(start);
  if (ending === "abort") {
    await page.getByText("Cancel").click();
  } else {
    await page.locator("input[name=login]").fill(login);
    await page.locator("input[name=password]").fill("whatever");
    await page.locator("button[type=submit]").click();
    await page.getByRole("button", { name: "Continue" }).click();
  }
  await page.waitForURL((url) => url.origin === site && url.pathname === "/login/callback");
  const cookies = await context.cookies([`${site}/api/auth/refresh`, `${site}/api/auth/oidc/x`]);
  // What a script of the page can see, and what a same-site request carries.
  const readable = await page.evaluate(() => document.cookie);
  const renewed = await page.evaluate(async () => {
    const answer = await fetch("/api/auth/refresh", { method: "POST" });
    return { status: answer.status, body: await answer.json() };
  });
  console.log(JSON.stringify({ url: page.url(), visited, cookies, readable, renewed, version: browser.version() }));
} finally {
  await browser.close();
}
