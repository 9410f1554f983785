// pg-boss. Default: 24 workers, one job each per poll of 0.5 s (the shortest there is).
// Tuned: LISTEN/NOTIFY, 4 workers with batches of 200, no pause while batches are full.

import pg from 'pg';
import { PgBoss } from 'pg-boss';
import { run } from './contract.mjs';

const QUEUE = 'main';

run(async ({ databaseUrl, tuned }) => {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 2 });
  const boss = new PgBoss({ connectionString: databaseUrl, max: 16, useListenNotify: tuned });
  boss.on('error', (error) => process.stderr.write(`${error}\n`));
  boss.on('warning', () => {});
  await boss.start();
  return {
    setup: () => boss.createQueue(QUEUE, tuned ? { notify: true } : {}),
    enqueue: (payload) => boss.send(QUEUE, payload),
    enqueueMany: (payloads) => boss.insert(QUEUE, payloads.map((data) => ({ data }))),
    work: async (handle, slots) => {
      const all = (jobs) => Promise.all(jobs.map((job) => handle(job.data)));
      if (tuned && !slots) {
        const options = { batchSize: 200, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 };
        for (let worker = 0; worker < 4; worker += 1) await boss.work(QUEUE, options, all);
      } else {
        const options = { batchSize: 1, pollingIntervalSeconds: 0.5 };
        for (let worker = 0; worker < (slots ?? 24); worker += 1) await boss.work(QUEUE, options, all);
      }
    },
    left: async () => {
      const sql = "select count(*)::int as n from (select from pgboss.job where name = $1 and state < 'completed' limit 1) left_over";
      return (await pool.query(sql, [QUEUE])).rows[0].n;
    },
  };
});
