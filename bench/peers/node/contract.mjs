// What the peers written for Node have in common: command line, workloads, and the line of JSON that they answer with.
// `node <peer>.mjs <action> --config default|tuned --database-url URL --tasks N`; see bench/README.md.

import { parseArgs } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';

const CLIENTS = 16;
const BATCH = 1000;
// Of `load`: who sends, tasks of one call at most, and how many may be on their way without a rate.
const SENDERS = 4;
const LARGEST = 200;
const OUTSTANDING = 4000;

const payload = (job) => ({ job, scene: '0190f3a1-7c1e-7000-8000-0123456789ab' });
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const cpuSeconds = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

function answer(tasks, started, cpu, millis) {
  const line = {
    tasks,
    seconds: (performance.now() - started) / 1e3,
    cpu_seconds: cpuSeconds() - cpu,
    peak_mb: process.resourceUsage().maxRSS / 1024,
  };
  if (millis) {
    millis.sort((a, b) => a - b);
    const at = (share) => millis[Math.min(Math.floor(millis.length * share), millis.length - 1)];
    line.p50_ms = at(0.5);
    line.p99_ms = at(0.99);
  }
  say(line);
}

/**
 * Runs one action. `connect({ databaseUrl, tuned })` gives a peer: setup(), enqueue(payload), enqueueMany(payloads),
 * work(handle, slots) and left(), the number of tasks that are not done as the database shows.
 */
export async function run(connect) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      config: { type: 'string', default: 'default' },
      'database-url': { type: 'string', default: process.env.DATABASE_URL },
      tasks: { type: 'string', default: '1000' },
      rate: { type: 'string', default: '0' },
      seconds: { type: 'string', default: '5' },
    },
  });
  const tasks = Number(values.tasks);
  const peer = await connect({ databaseUrl: values['database-url'], tuned: values.config === 'tuned' });
  const action = positionals[0];
  let cpu = cpuSeconds();
  let started = performance.now();
  if (action === 'setup') {
    await peer.setup();
  } else if (action === 'fill') {
    for (let first = 0; first < tasks; first += BATCH) {
      const length = Math.min(BATCH, tasks - first);
      await peer.enqueueMany(Array.from({ length }, (_, index) => payload(first + index)));
    }
    answer(tasks, started, cpu);
  } else if (action === 'enqueue') {
    const each = Math.floor(tasks / CLIENTS);
    const client = async () => {
      for (let job = 0; job < each; job += 1) await peer.enqueue(payload(job));
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
    answer(each * CLIENTS, started, cpu);
  } else if (action === 'drain') {
    let done = 0;
    await peer.work(() => {
      done += 1;
    });
    while (done < tasks) await sleep(1);
    while ((await peer.left()) > 0) await sleep(2);
    answer(tasks, started, cpu);
  } else if (action === 'pickup') {
    const millis = [];
    const sent = [];
    await peer.work(({ job }) => {
      millis.push(performance.now() - sent[job]);
    });
    await sleep(1000);
    cpu = cpuSeconds();
    started = performance.now();
    for (let job = 0; job < tasks; job += 1) {
      await sleep(Math.max(0, started + job * 20 - performance.now()));
      sent.push(performance.now());
      await peer.enqueue(payload(job));
    }
    while (millis.length < tasks) await sleep(5);
    answer(tasks, started, cpu, millis);
  } else if (action === 'load') {
    // Open loop, as Spool's own: tasks are sent when they are due, and latency counts from then.
    const rate = Number(values.rate);
    const lasting = Number(values.seconds) * 1e3;
    const millis = [];
    let [sent, done] = [0, 0];
    await peer.work(({ job }) => {
      done += 1;
      if (rate > 0) millis.push(performance.now() - started - (job / rate) * 1e3);
    });
    await sleep(1000);
    cpu = cpuSeconds();
    started = performance.now();
    const sender = async () => {
      while (performance.now() - started < lasting) {
        const due = rate > 0 ? Math.floor(((performance.now() - started) / 1e3) * rate) : done + OUTSTANDING;
        const [first, length] = [sent, Math.min(due - sent, LARGEST)];
        if (length > 0) {
          sent += length;
          await peer.enqueueMany(Array.from({ length }, (_, index) => payload(first + index)));
        } else {
          await sleep(1);
        }
      }
    };
    await Promise.all(Array.from({ length: SENDERS }, sender));
    while (done < sent) await sleep(2);
    answer(sent, started, cpu, rate > 0 ? millis : undefined);
  } else if (action === 'hold') {
    let running = 0;
    await peer.work(() => {
      running += 1;
      say({ started: running });
      return new Promise(() => {});
    }, tasks);
    await new Promise(() => {});
  } else {
    throw new Error(`unknown action ${action}`);
  }
  // Not every peer's worker can be stopped in bounded time.
  process.exit(0);
}
