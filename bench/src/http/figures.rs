//! What the API came to, and which of its targets it missed.

use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Outcome;
use crate::machine::Machine;

/// Of the one-row read.
const LEAST_POLL_RATIO: f64 = 2.5;
/// Of the one insert.
const LEAST_CREATE_RATIO: f64 = 0.6;
const MOST_POLL_P99_MS: f64 = 20.0;
const LEAST_HIT_RATIO: f64 = 0.95;

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Work {
    OneRow,
    Poll,
    PollUnchanged,
    OneInsert,
    Create,
    CreateInOne,
}

impl Work {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::OneRow => "axum and one row (GET)",
            Self::Poll => "Spool: poll of a job, 200",
            Self::PollUnchanged => "Spool: poll of a job, 304",
            Self::OneInsert => "axum and one insert (POST)",
            Self::Create => "Spool: create a job with Idempotency-Key, 50 campaigns in turns",
            Self::CreateInOne => "Spool: the same, all in one campaign",
        }
    }

    /// What it is measured against.
    fn beside(self) -> Self {
        match self {
            Self::OneRow | Self::Poll | Self::PollUnchanged => Self::OneRow,
            Self::OneInsert | Self::Create | Self::CreateInOne => Self::OneInsert,
        }
    }
}

/// One run of wrk.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Rate {
    pub(super) per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

/// Polls at a steady rate while a film is rendered; latency counts from when each was due.
#[derive(Debug, Default, Serialize)]
pub(super) struct UnderRender {
    pub(super) polls: usize,
    pub(super) per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) most_ms: f64,
    pub(super) failed: usize,
    /// Answered from memory.
    pub(super) hit_ratio: f64,
    /// Films that were finished meanwhile.
    pub(super) films: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct Figures {
    #[serde(flatten)]
    machine: Machine,
    connections: u32,
    rates: BTreeMap<Work, Vec<Rate>>,
    pub(super) under_render: UnderRender,
}

impl Figures {
    pub(super) fn new(machine: Machine, connections: u32) -> Self {
        Self { machine, connections, rates: BTreeMap::new(), under_render: UnderRender::default() }
    }

    pub(super) fn add(&mut self, work: Work, rate: Rate) {
        self.rates.entry(work).or_default().push(rate);
    }

    pub(super) fn print(&self) {
        println!(
            "| work | a second, median (min to max) | of the least | p99 ms |\n| --- | --- | --- | --- |"
        );
        for (work, rates) in &self.rates {
            let (low, middle, high) = spread(rates.iter().map(|rate| rate.per_second));
            let (_, p99, _) = spread(rates.iter().map(|rate| rate.p99_ms));
            let ratio = self.ratio(*work);
            println!("| {} | {middle:.0} ({low:.0} to {high:.0}) | {ratio:.2} | {p99:.1} |", work.name());
        }
        let polls = &self.under_render;
        println!(
            "{} polls at {:.0} a second while {} films were made: p50 {:.2} ms, p99 {:.1} ms, longest {:.0} ms, {} failed, {:.1} % from memory",
            polls.polls,
            polls.per_second,
            polls.films,
            polls.p50_ms,
            polls.p99_ms,
            polls.most_ms,
            polls.failed,
            polls.hit_ratio * 100.0
        );
    }

    /// One sentence for each target that was missed.
    pub(super) fn missed_targets(&self) -> Vec<String> {
        let polls = &self.under_render;
        let least = [
            ("of the one-row read when polls are answered", self.ratio(Work::Poll), LEAST_POLL_RATIO),
            ("of the one insert when jobs are created", self.ratio(Work::Create), LEAST_CREATE_RATIO),
            ("of the polls from memory", polls.hit_ratio, LEAST_HIT_RATIO),
        ];
        let mut missed: Vec<String> = least
            .iter()
            .filter(|(_, figure, least)| figure.is_nan() || figure < least)
            .map(|(what, figure, least)| format!("{figure:.2} {what}, the target is {least}"))
            .collect();
        if polls.p99_ms.is_nan() || polls.p99_ms > MOST_POLL_P99_MS {
            missed.push(format!("p99 of polls is {:.1} ms, the target is {MOST_POLL_P99_MS}", polls.p99_ms));
        }
        if polls.failed > 0 {
            missed.push(format!("{} polls failed", polls.failed));
        }
        missed
    }

    /// # Errors
    /// When the file cannot be written.
    pub(super) fn write(&self, folder: &Path) -> Outcome<PathBuf> {
        std::fs::create_dir_all(folder)?;
        let file = folder.join(format!("http-{}.json", self.machine.commit));
        std::fs::write(&file, serde_json::to_string_pretty(self)? + "\n")?;
        Ok(file)
    }

    /// The median by that of the least.
    fn ratio(&self, work: Work) -> f64 {
        let median = |work| {
            self.rates.get(&work).map_or(f64::NAN, |rates| spread(rates.iter().map(|rate| rate.per_second)).1)
        };
        median(work) / median(work.beside())
    }
}

/// Least, median and most.
fn spread(figures: impl Iterator<Item = f64>) -> (f64, f64, f64) {
    let mut sorted: Vec<f64> = figures.collect();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    (at(0), at(sorted.len() / 2), at(sorted.len().saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_target_is_one() {
        let rate = |per_second| Rate { per_second, p50_ms: 1.0, p99_ms: 2.0 };
        let with = |poll, create| {
            let mut figures = Figures::new(Machine::default(), 1);
            for (work, per_second) in
                [(Work::OneRow, 10.0), (Work::Poll, poll), (Work::OneInsert, 10.0), (Work::Create, create)]
            {
                figures.add(work, rate(per_second));
            }
            figures.under_render = UnderRender { hit_ratio: 0.96, p99_ms: 19.0, ..UnderRender::default() };
            figures
        };
        assert_eq!(with(25.0, 6.0).missed_targets(), Vec::<String>::new());
        assert_eq!(with(24.0, 5.0).missed_targets().len(), 2);
        let mut slow = with(25.0, 6.0);
        slow.under_render =
            UnderRender { hit_ratio: 0.5, p99_ms: f64::NAN, failed: 1, ..UnderRender::default() };
        assert_eq!(slow.missed_targets().len(), 3);
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(spread([3.0, 1.0, 2.0].into_iter()), (1.0, 2.0, 3.0));
        assert!(spread(std::iter::empty()).1.is_nan());
    }
}
