//! Rounds of the sweep: a trouble, a few jobs at once, and the places at which workers die meanwhile.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use system_tests::armed::Armed;
use system_tests::system::System;

/// Jobs of a round, of one clip each.
const JOBS: usize = 3;
/// Most further jobs of a round: a worker that dies takes with it what its other runs were about to pass.
const MORE_JOBS: usize = 6;
/// Longer than a run may wait before it posts, in milliseconds.
const STILL: &str = "2500";

/// What goes wrong, where workers die, and what comes of it.
pub(super) struct Round {
    name: &'static str,
    faults: fn() -> Vec<Value>,
    /// Places that only this trouble leads to, and those it must be tried with.
    pub(super) places: &'static [&'static str],
    /// Places where a run stands still, and nobody dies.
    pub(super) stills: &'static [&'static str],
    /// Jobs that fail.
    failed: usize,
    /// Runs that are paid for in vain.
    in_vain: usize,
}

const QUIET: Round = Round { name: "", faults: Vec::new, places: &[], stills: &[], failed: 0, in_vain: 0 };

pub(super) const ROUNDS: &[Round] = &[
    Round {
        name: "nothing wrong but a process that stands still before it posts",
        places: &["NotSentUncommitted", "NotSentRecorded"],
        stills: &["IntentWritten"],
        ..QUIET
    },
    Round {
        name: "answers and webhooks lost, and lists that fail",
        faults: || {
            let mut faults = answers_lost(JOBS);
            faults.push(json!({"match": {"route": "list"}, "times": 3,
                               "fault": {"kind": "http_error", "status": 502, "when": "before"}}));
            faults
        },
        places: &[
            "AnswerUncommitted",
            "UnknownRecorded",
            "ScanFailed",
            "Listed",
            "Found",
            "AdoptionUncommitted",
            "Adopted",
        ],
        ..QUIET
    },
    Round {
        name: "requests lost before anything was created",
        faults: || {
            vec![
                json!({"match": {"route": "create"}, "times": 2, "fault": {"kind": "drop_response", "when": "before"}}),
            ]
        },
        places: &[
            "IntentWritten",
            "LossUncommitted",
            "LossRecorded",
            "EmptyScanUncommitted",
            "EmptyScanRecorded",
            "VoidUncommitted",
        ],
        ..QUIET
    },
    Round {
        name: "server errors after creating",
        faults: || {
            let after = |status: u16| json!({"match": {"route": "create"}, "fault": {"kind": "http_error", "status": status, "when": "after"}});
            vec![after(500), after(502), after(504)]
        },
        places: &["UnknownRecorded", "Posted"],
        ..QUIET
    },
    Round {
        name: "throttled",
        faults: || {
            let throttled = |way: &str| json!({"match": {"route": "create"}, "fault": {"kind": "throttle", "retry_after": 1, "say_in": way}});
            vec![throttled("body"), throttled("header"), throttled("text")]
        },
        places: &["AnswerUncommitted", "RefusalRecorded"],
        ..QUIET
    },
    Round {
        name: "a crowded provider, and a run that fails and is charged",
        faults: || {
            vec![
                json!({"match": {"nth": 1}, "fault": {"kind": "fail", "before_start": true,
                       "error": "Director: unexpected error handling prediction (E6716)"}}),
                json!({"match": {"nth": 2}, "fault": {"kind": "fail", "error": "failed to upload file (E9825)"}}),
            ]
        },
        places: &["PauseRecorded", "RetryUncommitted", "RetryRecorded"],
        in_vain: 1,
        ..QUIET
    },
    Round {
        name: "a run that is refused and charged",
        faults: || {
            vec![json!({"fault": {"kind": "fail", "error": "The input was flagged as sensitive. (E005)"}})]
        },
        places: &["FailureUncommitted", "FailureRecorded"],
        failed: 1,
        in_vain: 1,
        ..QUIET
    },
    Round {
        name: "slow runs whose last webhook is lost",
        faults: || {
            vec![
                json!({"times": "always", "fault": {"kind": "run_time", "seconds": 480}}),
                json!({"match": {"event": "completed"}, "times": "always", "fault": {"kind": "webhook_lost"}}),
            ]
        },
        places: &["LookUncommitted", "LookRecorded"],
        ..QUIET
    },
    Round {
        name: "webhooks twice, late, stale and forged, and an output that is gone once",
        faults: || {
            let webhook = |nth: u32, kind: &str| json!({"match": {"event": "completed", "nth": nth}, "fault": {"kind": kind}});
            vec![
                json!({"match": {"event": "start"}, "times": "always", "fault": {"kind": "webhook_double", "copies": 3}}),
                json!({"match": {"event": "completed", "nth": 1}, "fault": {"kind": "webhook_late", "ms": 3000}}),
                webhook(2, "webhook_stale"),
                webhook(3, "webhook_bad_signature"),
                json!({"fault": {"kind": "output_expired"}}),
            ]
        },
        places: &["OutputAskedAgain"],
        ..QUIET
    },
];

/// The provider creates predictions, and neither its answers nor its webhooks arrive.
pub(super) fn answers_lost(count: usize) -> Vec<Value> {
    vec![
        json!({"match": {"route": "create"}, "times": count, "fault": {"kind": "drop_response"}}),
        json!({"times": "always", "fault": {"kind": "webhook_lost"}}),
    ]
}

/// The places on the way of such a job.
pub(super) fn of_a_job_whose_answers_are_lost(all: &[String]) -> Vec<String> {
    let on_its_way = [
        "AnswerUncommitted",
        "UnknownRecorded",
        "Listed",
        "Found",
        "AdoptionUncommitted",
        "Adopted",
        "IntentWritten",
        "Posted",
    ];
    let elsewhere: BTreeSet<&str> =
        ROUNDS.iter().flat_map(|round| round.places).chain(super::standoffs::PLACES).copied().collect();
    all.iter()
        .filter(|place| on_its_way.contains(&place.as_str()) || !elsewhere.contains(place.as_str()))
        .cloned()
        .collect()
}

impl Round {
    pub(super) async fn run(&self, system: &System, campaign: &str, armed: &Armed, places: &BTreeSet<&str>) {
        eprintln!("{}: {places:?}", self.name);
        let before = system.purchases().await;
        self.trouble(system, armed).await;
        for place in places {
            armed.arm(place, "");
        }
        let mut jobs = Vec::new();
        for _ in 0..JOBS {
            jobs.push(system.small_job(campaign, json!({})).await);
        }
        let mut failed = 0;
        for id in jobs {
            failed += self.ended(system, id).await;
        }
        assert_eq!(failed, self.failed, "{}", self.name);
        let mut more = 0;
        while !armed.left().is_empty() && more < MORE_JOBS {
            more += 1;
            if self.in_vain == 0 {
                self.trouble(system, armed).await;
            }
            let id = system.small_job(campaign, json!({})).await;
            assert_eq!(self.ended(system, id).await, 0, "{}: a further job", self.name);
        }
        armed.all_reached(self.name);
        let (useful, in_vain) = system.purchases().await;
        assert_eq!(useful - before.0, JOBS + more - failed, "{}: clips", self.name);
        assert_eq!(in_vain - before.1, self.in_vain, "{}: paid for in vain", self.name);
        system.books_balance().await;
        system.no_faults().await;
    }

    async fn trouble(&self, system: &System, armed: &Armed) {
        for place in self.stills {
            armed.arm(place, STILL);
        }
        for fault in (self.faults)() {
            system.fault(fault).await;
        }
    }

    /// Waits for a job's end; how many failed.
    async fn ended(&self, system: &System, id: i64) -> usize {
        let job = system.finished(id).await;
        let failed = job["status"] == "failed";
        assert!(job["status"] == "completed" || (failed && self.failed > 0), "{}: {job}", self.name);
        usize::from(failed)
    }
}
