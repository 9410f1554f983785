// A headless Chromium over a pipe, with as much of the DevTools protocol as the checks here need and no package at all: messages are
// JSON, each ended by a NUL; the browser reads them from descriptor 3 and writes to 4.
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PATIENCE_MS = 60_000;

export class Chromium {
  static async start() {
    const folder = await mkdtemp(join(tmpdir(), "spool-chromium-"));
    const flags = [
      "--headless=new", "--remote-debugging-pipe", `--user-data-dir=${folder}`, "--no-first-run", "--no-default-browser-check",
      "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
      "--mute-audio", "--window-size=1280,900",
      // Its sandbox cannot be built as root, which is who runs in containers.
      ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
      "about:blank",
    ];
    const child = spawn(process.env.CHROMIUM ?? "chromium", flags, { stdio: ["ignore", "ignore", "pipe", "pipe", "pipe"] });
    return new Chromium(child, folder);
  }

  constructor(child, folder) {
    Object.assign(this, { child, folder, waiting: new Map(), listeners: new Set(), last: 0, said: "" });
    child.stderr.on("data", (text) => (this.said = (this.said + text).slice(-4000)));
    this.ended = new Promise((end) => child.on("exit", end));
    const fail = (why) => {
      for (const { reject } of this.waiting.values()) reject(new Error(`chromium ${why}: ${this.said}`));
      this.waiting.clear();
    };
    child.on("error", (error) => fail(error.message));
    child.stdio[3].on("error", (error) => fail(`takes no commands, is it installed? ${error.message}`));
    child.on("exit", (code) => fail(`ended with ${code}`));
    let rest = "";
    child.stdio[4].setEncoding("utf8").on("data", (chunk) => {
      const messages = (rest + chunk).split("\0");
      rest = messages.pop();
      for (const message of messages) this.#take(JSON.parse(message));
    });
  }

  #take(message) {
    const waiting = this.waiting.get(message.id);
    if (waiting) {
      this.waiting.delete(message.id);
      if (message.error) waiting.reject(new Error(`${waiting.method}: ${message.error.message}`));
      else waiting.resolve(message.result);
    } else if (message.method) {
      for (const listener of this.listeners) listener(message);
    }
  }

  send(method, params = {}, sessionId = undefined) {
    const id = ++this.last;
    const answer = new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject, method }));
    this.child.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return within(answer, method);
  }

  /** A new page with what it says (`problems`) and what it fetches (`requests`, by request id). */
  async page() {
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
    const page = new Page(this, sessionId);
    for (const domain of ["Page", "Runtime", "Network", "Log"]) await page.send(`${domain}.enable`);
    // What it has kept it would only ask about again, and be told that it is unchanged: nothing would be fetched.
    await page.send("Network.setCacheDisabled", { cacheDisabled: true });
    return page;
  }

  async stop() {
    this.child.kill("SIGTERM");
    await this.ended;
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

class Page {
  constructor(browser, sessionId) {
    Object.assign(this, { browser, sessionId, problems: [], requests: new Map() });
    browser.listeners.add((message) => message.sessionId === sessionId && this.#hear(message));
  }

  #hear({ method, params }) {
    const request = () => {
      if (!this.requests.has(params.requestId)) this.requests.set(params.requestId, {});
      return this.requests.get(params.requestId);
    };
    if (method === "Network.requestWillBeSent") Object.assign(request(), { url: params.request.url });
    if (method === "Network.requestWillBeSentExtraInfo") Object.assign(request(), { asked: lower(params.headers) });
    if (method === "Network.responseReceived") Object.assign(request(), { status: params.response.status });
    if (method === "Network.responseReceivedExtraInfo") Object.assign(request(), { status: params.statusCode, said: lower(params.headers) });
    if (method === "Runtime.exceptionThrown") this.problems.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    if (method === "Log.entryAdded" && params.entry.level === "error") this.problems.push(`${params.entry.text} ${params.entry.url ?? ""}`);
  }

  send(method, params = {}) {
    return this.browser.send(method, params, this.sessionId);
  }

  async open(url) {
    const loaded = new Promise((resolve) => {
      const listener = ({ method, sessionId }) => {
        if (sessionId !== this.sessionId || method !== "Page.loadEventFired") return;
        this.browser.listeners.delete(listener);
        resolve();
      };
      this.browser.listeners.add(listener);
    });
    const { errorText } = await this.send("Page.navigate", { url });
    if (errorText) throw new Error(`${url}: ${errorText}`);
    await within(loaded, `the load of ${url}`);
  }

  /** What a function gives that runs in the page; a promise is waited for. */
  async run(code, ...values) {
    const expression = `(${code})(${values.map((value) => JSON.stringify(value)).join(", ")})`;
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  /** A PNG of what one sees. */
  async picture() {
    return Buffer.from((await this.send("Page.captureScreenshot", { format: "png" })).data, "base64");
  }
}

const lower = (headers) => Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));

function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${PATIENCE_MS / 1000} s in vain for ${what}`)), PATIENCE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
