// Opens pages of a running portal in Chromium as a phone, a desk and an elder
// would, takes a picture of each and lets axe-core judge it. Exits with 1 where
// axe finds something, a target is under 44 px, a page is wider than its screen,
// or the browser reports an error.
//
//   node look.mjs http://127.0.0.1:8080 OUTDIR [--code LOGIN-CODE] /path …
//
// A path may have a name for its picture in front: estate=/estates/1.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [base, out, ...rest] = process.argv.slice(2);
const login = rest[0] === "--code" ? rest.splice(0, 2)[1] : "";
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const profile = mkdtempSync(join(tmpdir(), "look-"));
mkdirSync(out, { recursive: true });

const chromium = spawn(process.env.CHROMIUM ?? "chromium",
  ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars", `--user-data-dir=${profile}`, "--remote-debugging-pipe", "about:blank"],
  { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
let id = 0, buffer = "";
const waiting = new Map(), listeners = new Set();
chromium.stdio[4].on("data", (chunk) => {
  buffer += chunk;
  for (let end; (end = buffer.indexOf("\0")) >= 0; buffer = buffer.slice(end + 1)) {
    const m = JSON.parse(buffer.slice(0, end));
    if (m.id) { const { resolve, reject } = waiting.get(m.id); waiting.delete(m.id); m.error ? reject(new Error(m.error.message)) : resolve(m.result); }
    else listeners.forEach((l) => l(m));
  }
});
const send = (method, params = {}, sessionId) => new Promise((resolve, reject) => {
  waiting.set(++id, { resolve, reject });
  chromium.stdio[3].write(JSON.stringify({ id, method, params, sessionId }) + "\0");
});
const once = (method) => new Promise((resolve) => { const l = (m) => { if (m.method === method) { listeners.delete(l); resolve(m.params); } }; listeners.add(l); });

let bad = 0;
const complain = (...words) => { bad++; console.log("✗", ...words); };
try {
  const { targetId } = await send("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
  const page = (method, params) => send(method, params, sessionId);
  const run = async (expression) => (await page("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true })).result.value;
  const open = async (path) => {
    const loaded = once("Page.loadEventFired");
    await page("Page.navigate", { url: base + path });
    await loaded;
    await new Promise((r) => setTimeout(r, 250)); // charts and fragments
  };
  await page("Page.enable"); await page("Runtime.enable"); await page("Log.enable"); await page("Network.enable");
  let where = "", bytes = 0;
  listeners.add((m) => {
    if (m.method === "Log.entryAdded" && m.params.entry.level === "error" && !/status of 4\d\d/.test(m.params.entry.text)) complain(where, m.params.entry.text);
    if (m.method === "Runtime.exceptionThrown") complain(where, m.params.exceptionDetails.exception?.description ?? m.params.exceptionDetails.text);
    if (m.method === "Network.loadingFinished") bytes += m.params.encodedDataLength;
  });
  if (login) {
    await open("/login?next=/about");
    const loaded = once("Page.loadEventFired");
    await run(`document.querySelector("[name=code]").value = ${JSON.stringify(login)}; document.querySelector("main form").submit()`);
    await loaded;
  }
  for (const [name, width, elder] of [["390", 390, 0], ["1280", 1280, 0], ["elder", 390, 1]]) {
    await page("Emulation.setDeviceMetricsOverride", { width, height: 844, deviceScaleFactor: 1, mobile: width < 600 });
    for (const arg of rest) {
      const [, label, path] = arg.match(/^(?:([\w-]+)=)?(.*)$/);
      where = `${name} ${path}`;
      await page("Network.setCacheDisabled", { cacheDisabled: true });
      await page("Network.setCookie", { name: "elder", value: String(elder), url: base });
      bytes = 0;
      await open(path);
      const { cssContentSize: size } = await page("Page.getLayoutMetrics");
      if (size.width > width) complain(where, `is ${size.width} px wide`);
      const shot = await page("Page.captureScreenshot", { captureBeyondViewport: true, clip: { x: 0, y: 0, width, height: Math.min(size.height, 8000), scale: 1 } });
      writeFileSync(join(out, `${label ?? path.replace(/\W+/g, "-")}-${name}.png`), Buffer.from(shot.data, "base64"));
      // Links inside a sentence are as high as its line; everything else is a target.
      const small = await run(`[...document.querySelectorAll("a, button, summary, input:not([type=hidden],[type=radio],[type=checkbox]), select")].filter((e) => { const r = e.getBoundingClientRect(); return r.width > 0 && r.left >= 0 && r.height < 43.5 && !e.closest("p:not(.links):not(.crumb):not(.actions), li:not(.rows li), dd") }).map((e) => e.outerHTML.slice(0, 90) + " " + e.getBoundingClientRect().height)`);
      for (const target of small.slice(0, 3)) complain(where, "small target", target);
      await run(axe);
      const { passed, found } = JSON.parse(await run(`axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"].concat(${elder} ? ["wcag2aaa"] : []) }).then((r) => JSON.stringify({ passed: r.passes.length, found: r.violations.map((v) => [v.id, v.nodes.length, v.nodes[0].html.slice(0, 120), v.nodes[0].failureSummary]) }))`));
      for (const [rule, count, html, why] of found) complain(where, `${rule} ×${count}`, html, why.replace(/\s+/g, " "));
      console.log("·", where, `${(bytes / 1000).toFixed(1)} kB, ${passed} rules passed`);
    }
  }
} finally {
  const gone = new Promise((r) => chromium.once("exit", r));
  chromium.kill();
  await gone;
  for (let tries = 50; ; tries--) { // its children end after it, and write until then
    try {
      rmSync(profile, { recursive: true, force: true });
      break;
    } catch (err) {
      if (tries === 0) throw err;
      await new Promise((r) => setTimeout(r, 100));
    }
  }
}
process.exit(bad ? 1 : 0);
