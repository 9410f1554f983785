// Makes a film as a frontend would, with nothing but the types that openapi-typescript makes of the API's document: a client, a
// campaign, photos, a job, the approval, polls until the end. Says at the end, as JSON, which job it was and where its film is.
// Environment: SPOOL_API (such as http://127.0.0.1:8080), SPOOL_KEY, PHOTOS (a folder of JPEGs).
import { strict as assert } from "node:assert";
import { randomUUID } from "node:crypto";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type Job = components["schemas"]["JobJson"];
type Status = components["schemas"]["JobStatus"];
type Problem = components["schemas"]["Problem"];

function setting(name: string): string {
  const value = process.env[name];
  assert(value, `${name} is not set`);
  return value;
}

const api = createClient<paths>({ baseUrl: setting("SPOOL_API"), headers: { "x-api-key": setting("SPOOL_KEY") } });

/** What an answer brought; a refusal ends the program with its sentence. */
function data<T>(answer: { data?: T; error?: Problem; response: Response }): T {
  if (answer.data === undefined) {
    const { error, response } = answer;
    throw new Error(`${response.url} answered ${response.status}: ${error?.code} ${error?.detail}`);
  }
  return answer.data;
}

async function campaign(): Promise<string> {
  const client = data(await api.POST("/api/v3/clients", { body: { name: "Mountain lodge", metadata: { tier: "gold" } } })).data;
  // @ts-expect-error a client must have a name
  const refused = await api.POST("/api/v3/clients", { body: { homepage: "https://lodges.example" } });
  assert.equal(refused.error?.code, "validation_failed");
  const created = await api.POST("/api/v3/campaigns", { body: { name: "Autumn", client_id: client.id, brief: { tone: "warm" } } });
  const { id, clientId } = data(created).data;
  assert.equal(clientId, client.id);
  return id;
}

async function upload(campaign: string, path: string): Promise<void> {
  const photo = new Blob([await readFile(path)], { type: "image/jpeg" });
  const answer = await api.POST("/api/v3/assets", {
    // The types know binary data as text; what goes out is a form.
    body: { file: photo as unknown as string, campaign_id: campaign, name: path.split("/").pop() ?? "photo.jpg" },
    bodySerializer: () => {
      const form = new FormData();
      form.append("campaign_id", campaign);
      form.append("file", photo, path.split("/").pop());
      return form;
    },
  });
  const asset = data(answer).data;
  assert.equal(asset.size, photo.size);
  assert.equal(asset.type, "image");
}

async function approvedJob(campaign: string): Promise<number> {
  const body = { campaign_id: campaign, num_pairs: 2, clip_duration: 4, video_model: "veo-3.1-fast", resolution: "1080p" };
  const word = { "idempotency-key": randomUUID() };
  const job = data(await api.POST("/api/v3/jobs/from-image-pairs", { params: { header: word }, body }));
  assert.equal(job.status, "pending");
  assert.equal(job.storyboard.scenes.length, job.scene_count);
  const again = data(await api.POST("/api/v3/jobs/from-image-pairs", { params: { header: word }, body }));
  assert.equal(again.job_id, job.job_id, "the same word, the same job");
  const id = job.job_id;
  data(await api.POST("/api/v3/jobs/{id}/approve", { params: { path: { id } } }));
  const twice = await api.POST("/api/v3/jobs/{id}/approve", { params: { path: { id } } });
  assert.equal(twice.error?.code, "not_pending");
  return id;
}

const ENDS = new Set<Status>(["completed", "failed", "canceled"]);

/** Polls until the end: each answer is held until there is news. */
async function finished(id: number): Promise<Job> {
  let etag: string | undefined;
  for (;;) {
    const header = etag === undefined ? {} : { "if-none-match": etag };
    const answer = await api.GET("/api/v3/jobs/{id}", { params: { path: { id }, query: { wait: "30s" }, header } });
    if (answer.response.status === 304) continue;
    const job = data(answer);
    if (ENDS.has(job.status)) return job;
    etag = answer.response.headers.get("etag") ?? undefined;
  }
}

const folder = setting("PHOTOS");
const photos = (await readdir(folder)).filter((name) => name.endsWith(".jpg")).sort().slice(0, 4);
assert.equal(photos.length, 4, `${folder} has four photos`);
const place = await campaign();
for (const name of photos) await upload(place, join(folder, name));
const job = await finished(await approvedJob(place));
assert.equal(job.status, "completed", job.error ?? undefined);
assert(job.video_url, "a completed job has a film");
const film = await fetch(job.video_url);
assert.equal(film.headers.get("content-type"), "video/mp4");
const bytes = (await film.arrayBuffer()).byteLength;
const videos = data(await api.GET("/api/v3/generated-videos", { params: { query: { job_id: job.job_id } } }));
assert.deepEqual(videos.data.map((video) => video.job_id), [job.job_id]);
console.log(JSON.stringify({ job_id: job.job_id, video_url: job.video_url, seconds: job.storyboard.total_duration, bytes }));
