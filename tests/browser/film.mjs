// A film in a plain <video src>: on a page of another origin, by a signed link, without a header of ours. It must play, and show its own
// frame after a jump to the middle; the browser must have got it in parts (206).
// Environment: FILM (the signed link), FILM_SECONDS (its length), PICTURES (folder for what one saw). Needs ffmpeg, to look at both frames.
import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { Chromium } from "./chromium.mjs";

const { FILM, FILM_SECONDS, PICTURES } = process.env;
assert(FILM && FILM_SECONDS && PICTURES, "FILM, FILM_SECONDS and PICTURES must be set");
/** Mean difference of grey values from which on two small pictures are not of the same frame. */
const ANOTHER = 20;

const page = `<!doctype html><title>A film</title>
  <style>body { margin: 0; background: black } video { display: block; width: 1280px; height: 720px }</style>
  <video id="film" muted playsinline preload="metadata" src="${FILM.replaceAll("&", "&amp;")}"></video>`;

/** Runs in the page: what the film does, each step after the one before. */
async function watch() {
  const film = document.getElementById("film");
  const broken = () => `the film is broken: ${film.error?.code} ${film.error?.message}`;
  const event = (name, is = () => true) => new Promise((resolve, reject) => {
    if (film.error) reject(new Error(broken()));
    film.addEventListener("error", () => reject(new Error(broken())), { once: true });
    film.addEventListener(name, function listener() {
      if (is()) {
        film.removeEventListener(name, listener);
        resolve();
      }
    });
  });
  const seen = () => ({ at: film.currentTime, ready: film.readyState, frames: film.getVideoPlaybackQuality().totalVideoFrames });
  if (film.readyState < film.HAVE_METADATA) await event("loadedmetadata");
  const known = { duration: film.duration, width: film.videoWidth, height: film.videoHeight };

  // The jump comes first: what lies there has not been fetched yet.
  const middle = event("seeked");
  film.currentTime = film.duration / 2;
  await middle;
  if (film.readyState < film.HAVE_CURRENT_DATA) await event("canplay");
  const jumped = seen();

  await film.play();
  await event("timeupdate", () => film.currentTime > jumped.at + 1);
  film.pause();
  const played = seen();

  const back = event("seeked");
  film.currentTime = jumped.at;
  await back;
  // The frame is on the screen when the next one may be drawn.
  await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
  return { ...known, jumped, played };
}

/** A frame as a small grey picture. */
function grey(input, filter = "null") {
  const tail = ["-frames:v", "1", "-vf", `${filter},scale=32:32,format=gray`, "-f", "rawvideo", "-"];
  const { stdout, stderr, status } = spawnSync("ffmpeg", ["-nostdin", "-v", "error", ...input, ...tail]);
  assert.equal(status, 0, String(stderr));
  assert.equal(stdout.length, 32 * 32);
  return stdout;
}

function difference(a, b) {
  return a.reduce((sum, value, at) => sum + Math.abs(value - b[at]), 0) / a.length;
}

const server = createServer((_, answer) => answer.setHeader("content-type", "text/html").end(page));
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const browser = await Chromium.start();
try {
  const tab = await browser.page();
  await tab.open(`http://127.0.0.1:${server.address().port}/`);
  const { duration, width, height, jumped, played } = await tab.run(watch);
  assert(Math.abs(duration - Number(FILM_SECONDS)) < 0.5, `it is ${duration} s long, the storyboard says ${FILM_SECONDS}`);
  assert(width > 0 && height > 0);
  assert(jumped.ready >= 2, `after the jump there is no frame: readyState ${jumped.ready}`);
  assert(Math.abs(jumped.at - duration / 2) < 0.1);
  assert(played.at > jumped.at + 1 && played.frames > jumped.frames, JSON.stringify({ jumped, played }));

  const picture = await tab.picture();
  await mkdir(PICTURES, { recursive: true });
  const file = join(PICTURES, "film.png");
  await writeFile(file, picture);
  const shown = grey(["-i", file], "crop=1280:720:0:0");
  const [there, elsewhere] = [duration / 2, 0.1].map((at) => grey(["-ss", String(at), "-i", FILM]));
  assert(difference(shown, there) < ANOTHER, `what one sees is not the film's frame at ${duration / 2} s: ${file}`);
  assert(difference(shown, elsewhere) > difference(shown, there), "and no other one");

  const requests = [...tab.requests.values()].filter(({ url }) => url === FILM);
  const parts = requests.map(({ asked, status, said }) => ({ range: asked?.range, status, got: said?.["content-range"] }));
  assert(parts.length > 0 && parts.every(({ range, status, got }) => range && status === 206 && got), JSON.stringify(parts));
  assert(parts.some(({ range }) => !range.startsWith("bytes=0-")), `nothing was fetched from the middle: ${JSON.stringify(parts)}`);
  assert.deepEqual(tab.problems, []);
  console.log(`${duration} s of ${width}x${height} play and jump; fetched in parts: ${parts.map(({ range }) => range).join(", ")}`);
} finally {
  await browser.stop();
  server.close();
}
