// Runs the official JavaScript client, unchanged, against the server at REPLICATE_BASE_URL (with /v1) and exits
// non-zero at the first thing that is not as the real service does it.
// The run that is cancelled must last: a simulator should not be more than a hundred times faster than real.
// Environment: REPLICATE_BASE_URL, REPLICATE_API_TOKEN.
"use strict";
const assert = require("node:assert/strict");
const Replicate = require("replicate");

const MUSICGEN =
  "meta/musicgen:671ac645ce5e552cc63a54a2bbff63fcf798043055d2dac5fc9e36a837eedcfb";

async function bytesOf(url) {
  const response = await fetch(url);
  assert.equal(response.status, 200, `${url} answered ${response.status}`);
  const bytes = Buffer.from(await response.arrayBuffer());
  assert.equal(Number(response.headers.get("content-length")), bytes.length);
  return { bytes, type: response.headers.get("content-type") };
}

async function main() {
  const baseUrl = process.env.REPLICATE_BASE_URL;
  assert(baseUrl, "REPLICATE_BASE_URL is not set");
  const replicate = new Replicate({ baseUrl, auth: process.env.REPLICATE_API_TOKEN });

  const account = await replicate.accounts.current();
  assert(account.username, "the account has a name");

  // Upload a picture as a file input, create, wait, read the output.
  const picture = await replicate.run("black-forest-labs/flux-schnell", {
    input: { prompt: "a sunlit kitchen", aspect_ratio: "16:9", output_format: "jpg" },
  });
  assert(Array.isArray(picture) && picture.length === 1, "flux-schnell returns a list");
  const image = await bytesOf(String(picture[0]));
  assert.equal(image.type, "image/jpeg");

  const blob = new Blob([image.bytes], { type: "image/jpeg" });
  const created = await replicate.predictions.create({
    model: "google/veo-3.1-fast",
    input: { prompt: "a slow dolly", image: blob, duration: 4, resolution: "720p", generate_audio: false },
  });
  assert.match(created.id, /^[a-z0-9]{26}$/);
  assert.equal(created.version, "hidden");
  assert(created.input.image.includes("/files/"), "the blob was uploaded through the files API");
  const done = await replicate.wait(created, { interval: 100 });
  assert.equal(done.status, "succeeded", done.error);
  assert.equal(done.metrics.video_output_duration_seconds, 4);
  const clip = await bytesOf(done.output);
  assert.equal(clip.type, "video/mp4");
  assert.equal(clip.bytes.subarray(4, 8).toString(), "ftyp");

  // A community model goes by its version, blocking.
  const music = await replicate.run(MUSICGEN, {
    input: { prompt: "calm piano", duration: 2, output_format: "mp3" },
    wait: { mode: "poll", interval: 100 },
  });
  assert.equal((await bytesOf(String(music))).type, "audio/mpeg");

  // Cancel.
  const victim = await replicate.predictions.create({ model: "google/veo-3.1", input: { prompt: "never mind" } });
  await replicate.predictions.cancel(victim.id);
  assert.equal((await replicate.wait(victim, { interval: 100 })).status, "canceled");

  // Refusals are explained.
  await assert.rejects(
    replicate.predictions.create({ model: "google/veo-3.1", input: { prompt: "p", aspect_ratio: "1:1" } }),
    (error) => error.response.status === 422 && error.message.includes("input.aspect_ratio must be one of"),
  );
  await assert.rejects(replicate.predictions.get("nosuchprediction"), (error) => error.response.status === 404);

  // List, every page of it.
  const seen = new Set();
  for await (const page of replicate.paginate(replicate.predictions.list)) {
    assert(page.length <= 100);
    page.forEach((row) => seen.add(row.id));
  }
  assert(seen.has(created.id) && seen.has(victim.id), "the list has what was created");

  // Files.
  const file = await replicate.files.create(new Blob(["hello"], { type: "text/plain" }), { purpose: "check" });
  assert.equal(file.size, 5);
  assert.equal(file.metadata.purpose, "check");
  assert.equal((await replicate.files.get(file.id)).checksums.sha256, file.checksums.sha256);
  assert((await replicate.files.list()).results.some((row) => row.id === file.id));
  assert.equal(await replicate.files.delete(file.id), true);
  await assert.rejects(replicate.files.get(file.id), (error) => error.response.status === 404);

  // Models, hardware, collections, deployments, webhook secret.
  const model = await replicate.models.get("google", "veo-3.1-fast");
  assert(model.latest_version.openapi_schema.components.schemas.Input.properties.prompt);
  assert((await replicate.models.versions.list("meta", "musicgen")).length ?? true);
  assert((await replicate.hardware.list()).length > 0);
  assert((await replicate.collections.get("image-to-video")).models.length > 0);
  const deployed = await replicate.deployments.predictions.create("acme", "flux-schnell", {
    input: { prompt: "a door" },
  });
  assert.equal((await replicate.wait(deployed, { interval: 100 })).status, "succeeded");
  const secret = await replicate.webhooks.default.secret.get();
  assert.match(secret.key, /^whsec_/);

  console.log("ok");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
