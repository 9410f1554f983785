// The reference page of a running API: it must draw every operation and every schema of the document, find one by its filter and by its
// address, and fetch nothing from elsewhere.
// Environment: SPOOL_API, PICTURES (folder for what one saw).
import { strict as assert } from "node:assert";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Chromium } from "./chromium.mjs";

const { SPOOL_API, PICTURES } = process.env;
assert(SPOOL_API && PICTURES, "SPOOL_API and PICTURES must be set");
const api = await (await fetch(`${SPOOL_API}/api/openapi.json`)).json();
const operations = Object.values(api.paths).flatMap((item) => Object.values(item)).map(({ operationId }) => operationId);

/** Runs in the page. */
async function drawn() {
  for (let frame = 0; frame < 600 && !document.querySelector("main section"); frame += 1) await new Promise(requestAnimationFrame);
  const all = [...document.querySelectorAll("details.operation")];
  // What opens is drawn once the browser tells of it, and may hold more that opens.
  const lacking = () => [...document.querySelectorAll("details")].filter((details) => !details.open || details.children.length < 2);
  for (let turn = 0; turn < 600 && lacking().length > 0; turn += 1) {
    for (const details of lacking()) details.open = true;
    await new Promise((next) => setTimeout(next, 10));
  }
  const empty = lacking().map(({ id, textContent }) => id || textContent);
  return { operations: all.map(({ id }) => id), schemas: document.querySelectorAll("details.schema").length, empty };
}

function filtered(word) {
  const field = document.getElementById("filter");
  field.value = word;
  field.dispatchEvent(new Event("input"));
  return [...document.querySelectorAll("details.operation:not([hidden])")].map(({ id }) => id);
}

const browser = await Chromium.start();
try {
  const page = await browser.page();
  await page.open(`${SPOOL_API}/api/docs`);
  const found = await page.run(drawn);
  assert.deepEqual([...found.operations].sort(), operations.sort());
  assert.equal(found.schemas, Object.keys(api.components.schemas).length);
  assert.deepEqual(found.empty, [], "these open and show nothing");
  const approvals = await page.run(filtered, "approve");
  assert(approvals.includes("approve_job") && approvals.length < operations.length / 4, approvals.join(" "));

  const named = await browser.page();
  await named.open(`${SPOOL_API}/api/docs#create_job_from_image_pairs`);
  await named.run(drawnOnly);
  assert(await named.run(() => document.getElementById("create_job_from_image_pairs").open));
  await mkdir(PICTURES, { recursive: true });
  const file = join(PICTURES, "reference.png");
  await writeFile(file, await named.picture());

  for (const { requests, problems } of [page, named]) {
    assert.deepEqual(problems, []);
    const elsewhere = [...requests.values()].map(({ url }) => url).filter((url) => !url.startsWith(SPOOL_API) && !url.startsWith("data:"));
    assert.deepEqual(elsewhere, []);
  }
  console.log(`${operations.length} operations and ${found.schemas} schemas are drawn: ${file}`);
} finally {
  await browser.stop();
}

async function drawnOnly() {
  for (let frame = 0; frame < 600 && !document.querySelector("main section"); frame += 1) await new Promise(requestAnimationFrame);
}
