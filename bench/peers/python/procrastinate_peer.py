"""procrastinate, with the command line and the answer that all peers have (see bench/README.md).

`procrastinate_peer.py <action> --config default|tuned --database-url URL --tasks N`. Both configurations are one: 24 coroutines in
one process; its documentation names no setting that makes a worker faster.
"""

import argparse
import asyncio
import json
import os
import resource
import time

import procrastinate
import psycopg

CLIENTS = 16
BATCH = 1000
SLOTS = 24
# Of `load`: who sends, tasks of one call at most, and how many may be on their way without a rate.
SENDERS = 4
LARGEST = 200
OUTSTANDING = 4000
LEFT = "select count(*) from (select from procrastinate_jobs where status <> 'succeeded' limit 1) left_over"


def payload(job):
    return {"job": job, "scene": "0190f3a1-7c1e-7000-8000-0123456789ab"}


def say(line):
    print(json.dumps(line), flush=True)


def answer(tasks, started, cpu, millis=None):
    line = {
        "tasks": tasks,
        "seconds": time.monotonic() - started,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    if millis:
        millis.sort()
        line["p50_ms"] = millis[len(millis) // 2]
        line["p99_ms"] = millis[min(int(len(millis) * 0.99), len(millis) - 1)]
    say(line)


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("action", choices=["setup", "fill", "enqueue", "drain", "pickup", "hold", "load"])
    parser.add_argument("--config", choices=["default", "tuned"], default="default")
    parser.add_argument("--database-url", default=os.environ.get("DATABASE_URL"))
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--rate", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=5)
    arguments = parser.parse_args()
    tasks = arguments.tasks
    app = procrastinate.App(
        connector=procrastinate.PsycopgConnector(conninfo=arguments.database_url, min_size=16, max_size=24)
    )
    seen = []
    sent = []

    @app.task(name="noop")
    async def noop(job, scene):
        if arguments.action == "pickup":
            seen.append((time.monotonic() - sent[job]) * 1e3)
            return
        if arguments.action == "load" and arguments.rate > 0:
            seen.append((time.monotonic() - started - job / arguments.rate) * 1e3)
            return
        seen.append(job)
        if arguments.action == "hold":
            say({"started": len(seen)})
            await asyncio.Event().wait()

    def work(slots):
        return asyncio.create_task(app.run_worker_async(concurrency=slots, install_signal_handlers=False))

    async with app.open_async():
        cpu, started = time.process_time(), time.monotonic()
        if arguments.action == "setup":
            await app.schema_manager.apply_schema_async()
        elif arguments.action == "fill":
            for first in range(0, tasks, BATCH):
                await noop.batch_defer_async(*(payload(job) for job in range(first, min(first + BATCH, tasks))))
            answer(tasks, started, cpu)
        elif arguments.action == "enqueue":

            async def client():
                for job in range(tasks // CLIENTS):
                    await noop.defer_async(**payload(job))

            await asyncio.gather(*(client() for _ in range(CLIENTS)))
            answer(tasks // CLIENTS * CLIENTS, started, cpu)
        elif arguments.action == "drain":
            worker = work(SLOTS)
            while len(seen) < tasks:
                await asyncio.sleep(0.001)
            async with await psycopg.AsyncConnection.connect(arguments.database_url, autocommit=True) as conn:
                while (await (await conn.execute(LEFT)).fetchone())[0] > 0:
                    await asyncio.sleep(0.002)
            answer(tasks, started, cpu)
            worker.cancel()
        elif arguments.action == "pickup":
            worker = work(SLOTS)
            await asyncio.sleep(1)
            cpu, started = time.process_time(), time.monotonic()
            for job in range(tasks):
                await asyncio.sleep(max(0, started + job * 0.02 - time.monotonic()))
                sent.append(time.monotonic())
                await noop.defer_async(**payload(job))
            while len(seen) < tasks:
                await asyncio.sleep(0.005)
            answer(tasks, started, cpu, seen)
            worker.cancel()
        elif arguments.action == "load":
            # Open loop, as Spool's own: tasks are sent when they are due, and latency counts from then.
            worker = work(SLOTS)
            await asyncio.sleep(1)
            cpu, started = time.process_time(), time.monotonic()
            count = 0

            async def sender():
                nonlocal count
                while (passed := time.monotonic() - started) < arguments.seconds:
                    due = int(passed * arguments.rate) if arguments.rate > 0 else len(seen) + OUTSTANDING
                    first, last = count, min(due, count + LARGEST)
                    if last > first:
                        count = last
                        await noop.batch_defer_async(*(payload(job) for job in range(first, last)))
                    else:
                        await asyncio.sleep(0.001)

            await asyncio.gather(*(sender() for _ in range(SENDERS)))
            while len(seen) < count:
                await asyncio.sleep(0.002)
            answer(count, started, cpu, seen if arguments.rate > 0 else None)
            worker.cancel()
        else:
            await work(tasks)
        # Not every worker can be stopped in bounded time.
        os._exit(0)


asyncio.run(main())
