// A page that follows a job: `node live.mjs SITE JOB`; prints the lines that it saw, in their order.
// It stands on the stack's own site, so that what is said of origins holds for it as for the interface.
import { launched } from "./chromium.mjs";

const [site, job] = process.argv.slice(2);
const browser = await launched();
try {
  const page = await (await browser.newContext()).newPage();
  page.setDefaultTimeout(90_000);
  await page.goto(site);
  const seen = await page.evaluate(async (job) => {
    const ticket = await (await fetch("/api/ws-ticket", { method: "POST" })).json();
    const socket = new WebSocket(`${ticket.url}?ticket=${ticket.ticket}`);
    await new Promise((done, fail) => Object.assign(socket, { onopen: done, onerror: () => fail("refused") }));
    const told = { chunks: 0, lines: 0, have: [] };
    const unpacked = async ({ url }) => {
      const plain = (await fetch(url)).body.pipeThrough(new DecompressionStream("gzip"));
      return (await new Response(plain).text()).trimEnd().split("\n").map((line) => JSON.parse(line));
    };
    const takes = async (message) => {
      for (const chunk of message.chunks ?? []) {
        told.chunks += 1;
        told.have.push(...(await unpacked(chunk)).map((line) => line.line));
      }
      told.lines += message.type === "lines" ? 1 : 0;
      told.have.push(...(message.lines ?? []).map((line) => line.line));
    };
    let before = Promise.resolve();
    await new Promise((done, fail) => {
      socket.onclose = () => fail("closed");
      socket.onmessage = ({ data }) => {
        const message = JSON.parse(data);
        before = before.then(() => takes(message)).catch(fail);
        if (message.type === "caught_up") before.then(done);
      };
      socket.send(JSON.stringify({ action: "subscribe", id: "1", topic: { job_id: job } }));
    });
    return told;
  }, job);
  console.log(JSON.stringify(seen));
} finally {
  await browser.close();
}
