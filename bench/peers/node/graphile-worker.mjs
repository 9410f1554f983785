// graphile-worker. Tuned: localQueue 500, batches of completions without delay, 25 connections (its performance page).

import { Logger, makeWorkerUtils, run as runWorker } from 'graphile-worker';
import pg from 'pg';
import { run } from './contract.mjs';

const logger = new Logger(() => () => {});

run(async ({ databaseUrl, tuned }) => {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 16 });
  pool.on('error', (error) => process.stderr.write(`${error}\n`));
  pool.on('connect', (client) => client.on('error', () => {}));
  const utils = await makeWorkerUtils({ pgPool: pool, logger });
  return {
    setup: () => utils.migrate(),
    enqueue: (payload) => utils.addJob('noop', payload),
    enqueueMany: (payloads) => utils.addJobs(payloads.map((payload) => ({ identifier: 'noop', payload }))),
    work: (handle, slots = 24) =>
      runWorker({
        connectionString: databaseUrl,
        logger,
        noHandleSignals: true,
        preset: {
          worker: tuned
            ? { concurrentJobs: slots, maxPoolSize: 25, localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 }
            : { concurrentJobs: slots },
        },
        taskList: { noop: (payload) => handle(payload) },
      }),
    left: async () => {
      const sql = 'select count(*)::int as n from (select from graphile_worker._private_jobs limit 1) left_over';
      return (await pool.query(sql)).rows[0].n;
    },
  };
});
