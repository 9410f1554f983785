//! Rounds of the sweep: a trouble, a few jobs at once, and the places at which workers die meanwhile.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use system_tests::armed::Armed;
use system_tests::system::System;

/// Jobs of a round, of one clip each.
pub(super) const JOBS: usize = 3;
/// Most further jobs of a round: a worker that dies takes with it what its other runs were about to pass.
const MORE_JOBS: usize = 6;
/// Longer than a run may wait before it posts, in milliseconds.
const STILL: &str = "2500";
/// Longer than the client waits for an answer, which is 30 s.
const TOO_LATE_MS: u32 = 40_000;

/// What goes wrong, where workers die, and what comes of it.
pub(super) struct Round {
    name: &'static str,
    faults: fn() -> Vec<Value>,
    /// Places that only this trouble leads to, and those it must be tried with.
    pub(super) places: &'static [&'static str],
    /// Places where a run stands still, and nobody dies.
    pub(super) stills: &'static [&'static str],
    /// Ordinary places that this trouble keeps every job from.
    pub(super) beyond: &'static [&'static str],
    /// For a trouble that leaves the outcome of a paid call unknown: the places that it leads each single job to, beside the
    /// ordinary ones.
    pub(super) alone: &'static [&'static str],
    /// Jobs that fail.
    failed: usize,
    /// Runs that are paid for in vain.
    in_vain: usize,
}

const QUIET: Round = Round {
    name: "",
    faults: Vec::new,
    places: &[],
    stills: &[],
    beyond: &[],
    alone: &[],
    failed: 0,
    in_vain: 0,
};

/// Where nobody comes whose every answer is lost.
const TOLD: &[&str] = &["SubmitUncommitted", "SubmitRecorded"];

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
        beyond: TOLD,
        alone: &[
            "IntentWritten",
            "Posted",
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
        alone: NEVER_CREATED,
        ..QUIET
    },
    Round {
        name: "server errors after creating",
        faults: || {
            let after = |nth: u32, status: u16| json!({"match": {"route": "create", "nth": nth}, "fault": {"kind": "http_error", "status": status, "when": "after"}});
            vec![after(1, 500), after(2, 502), after(3, 504)]
        },
        places: &["UnknownRecorded", "Posted"],
        beyond: TOLD,
        alone: &["IntentWritten", "Posted", "AnswerUncommitted", "UnknownRecorded"],
        ..QUIET
    },
    Round {
        name: "throttled",
        faults: || {
            let throttled = |nth: u32, way: &str| json!({"match": {"route": "create", "nth": nth}, "fault": {"kind": "throttle", "retry_after": 1, "say_in": way}});
            vec![throttled(1, "body"), throttled(2, "header"), throttled(3, "text")]
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
    Round {
        name: "webhooks in another order than they were sent in, which may be before the answer",
        faults: || {
            vec![
                json!({"match": {"route": "create"}, "times": JOBS, "fault": {"kind": "latency", "response_ms": 4000, "when": "after"}}),
                json!({"times": "always", "fault": {"kind": "run_time", "seconds": 60}}),
                json!({"times": "always", "fault": {"kind": "webhook_reorder"}}),
            ]
        },
        places: &["Posted"],
        ..QUIET
    },
    Round {
        name: "answers that break off in the middle, and webhooks lost",
        faults: || of_lost_answers(json!({"kind": "break_off"}), JOBS),
        places: &["AnswerUncommitted", "Listed", "Adopted"],
        beyond: TOLD,
        alone: FOUND_AGAIN,
        ..QUIET
    },
    Round {
        name: "answers and webhooks lost, and lists that show what is new after three seconds",
        faults: || {
            let mut faults = answers_lost(JOBS);
            // Shorter than the settling time: what is hidden for longer is bought again, and the double is an orphan.
            faults.push(json!({"fault": {"kind": "list_lag", "seconds": 3}}));
            faults
        },
        places: &["EmptyScanUncommitted", "EmptyScanRecorded", "Found"],
        beyond: TOLD,
        alone: FOUND_LATE,
        ..QUIET
    },
    Round {
        name: "answers and webhooks lost, and a list that lacks everything",
        faults: || {
            let mut faults = answers_lost(JOBS);
            // One proves nothing: two that are half a settling time apart do.
            faults.push(json!({"times": 1, "fault": {"kind": "list_hidden"}}));
            faults
        },
        places: &["EmptyScanRecorded", "AdoptionUncommitted"],
        beyond: TOLD,
        alone: FOUND_LATE,
        ..QUIET
    },
];

/// Troubles that are tried one place at a time only: each costs a whole timeout, or is much like one of [`ROUNDS`] to several jobs.
pub(super) const ONLY_ALONE: &[Round] = &[
    Round {
        name: "answers that come after the client gave up, and webhooks lost",
        faults: || {
            of_lost_answers(json!({"kind": "latency", "response_ms": TOO_LATE_MS, "when": "after"}), 1)
        },
        beyond: TOLD,
        alone: FOUND_AGAIN,
        ..QUIET
    },
    Round {
        name: "server errors before anything was created",
        faults: || {
            vec![
                json!({"match": {"route": "create"}, "fault": {"kind": "http_error", "status": 503, "when": "before"}}),
            ]
        },
        alone: NEVER_CREATED,
        ..QUIET
    },
];

/// On the way of a job whose first request created nothing, and nobody said so.
const NEVER_CREATED: &[&str] = &[
    "IntentWritten",
    "Posted",
    "AnswerUncommitted",
    "UnknownRecorded",
    "LossUncommitted",
    "LossRecorded",
    "Listed",
    "EmptyScanUncommitted",
    "EmptyScanRecorded",
    "VoidUncommitted",
];
/// On the way of a job whose prediction a list shows at once.
const FOUND_AGAIN: &[&str] = &[
    "IntentWritten",
    "Posted",
    "AnswerUncommitted",
    "UnknownRecorded",
    "Listed",
    "Found",
    "AdoptionUncommitted",
    "Adopted",
];
/// On the way of a job whose prediction the first list lacks.
const FOUND_LATE: &[&str] = &[
    "IntentWritten",
    "Posted",
    "AnswerUncommitted",
    "UnknownRecorded",
    "Listed",
    "EmptyScanUncommitted",
    "EmptyScanRecorded",
    "Found",
    "AdoptionUncommitted",
    "Adopted",
];

/// The provider creates predictions, and neither its answers nor its webhooks arrive.
pub(super) fn answers_lost(count: usize) -> Vec<Value> {
    of_lost_answers(json!({"kind": "drop_response"}), count)
}

fn of_lost_answers(fault: Value, count: usize) -> Vec<Value> {
    vec![
        json!({"match": {"route": "create"}, "times": count, "fault": fault}),
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
    /// At first so many jobs at once, then more one by one until every place was passed.
    pub(super) async fn run(
        &self,
        system: &System,
        campaign: &str,
        armed: &Armed,
        places: &BTreeSet<&str>,
        at_once: usize,
    ) {
        eprintln!("{}: {places:?}", self.name);
        let before = system.purchases().await;
        self.trouble(system, armed).await;
        for place in places {
            armed.arm(place, "");
        }
        let mut jobs = Vec::new();
        for _ in 0..at_once {
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
        assert_eq!(useful - before.0, at_once + more - failed, "{}: clips", self.name);
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
