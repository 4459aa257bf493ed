// A browser without a window: the one of the lock file, or one that is installed.
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

const INSTALLED = [
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
];

async function program() {
  if (process.platform === "linux" && process.arch === "x64") {
    // It brings its libraries along where it believes to be in a Lambda; few machines have them.
    process.env.AWS_EXECUTION_ENV = "AWS_Lambda_nodejs20.x";
    const packed = (await import("@sparticuz/chromium")).default;
    return { executablePath: await packed.executablePath(), args: packed.args };
  }
  const found = INSTALLED.find((path) => existsSync(path));
  if (!found) throw new Error(`There is no browser here: install Chrome or Chromium as one of ${INSTALLED}`);
  return { executablePath: found };
}

export async function launched() {
  return chromium.launch({ headless: true, timeout: 120_000, ...(await program()) });
}
