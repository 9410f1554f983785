//! Values that were read from the database, in Prometheus' text format. They go past the recorder: a series that is over is gone at
//! once, and what one process has worked out another can show.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::declared::By;
use crate::vocabulary;

/// Most series of one metric. What labels them comes from rows, so somebody could make many.
const MOST_SERIES: usize = 200;

/// One value of one series: name, values of its labels in the declared order, value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample(Cow<'static, str>, Vec<String>, f64);

/// Values in the order in which they were added.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Samples(Vec<Sample>);

impl Samples {
    /// Adds a value; `labels` in the order of the declaration.
    pub fn add(&mut self, name: &'static str, labels: &[&str], value: f64) {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        self.0.push(Sample(Cow::Borrowed(name), labels, value));
    }

    /// Adds a count.
    pub fn count(&mut self, name: &'static str, labels: &[&str], count: i64) {
        self.add(name, labels, count as f64);
    }

    /// Adds 1 or 0.
    pub fn flag(&mut self, name: &'static str, labels: &[&str], is: bool) {
        self.add(name, labels, f64::from(u8::from(is)));
    }

    /// Adds all of another.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// Appends them to a page of metrics. What this build does not know, as another may have worked them out, is left out.
    pub fn write_to(&self, page: &mut String) {
        for metric in vocabulary::all().filter(|metric| metric.by == By::Database) {
            let mut series = self
                .0
                .iter()
                .filter(|Sample(name, labels, value)| {
                    *name == metric.name && labels.len() == metric.labels.len() && value.is_finite()
                })
                .take(MOST_SERIES)
                .peekable();
            if series.peek().is_none() {
                continue;
            }
            // Writing to a string cannot fail.
            writeln!(page, "# HELP {} {}", metric.name, metric.meaning).ok();
            writeln!(page, "# TYPE {} {}", metric.name, metric.kind.as_str()).ok();
            for Sample(name, values, value) in series {
                page.push_str(name);
                for (index, (label, text)) in metric.labels.iter().zip(values).enumerate() {
                    let before = if index == 0 { '{' } else { ',' };
                    write!(page, "{before}{}=\"{}\"", label.name, escaped(text)).ok();
                }
                writeln!(page, "{} {value}", if values.is_empty() { "" } else { "}" }).ok();
            }
            page.push('\n');
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names;

    #[test]
    fn the_text_is_what_prometheus_reads() {
        let mut samples = Samples::default();
        samples.count(names::QUEUE_TASKS, &["predict", "render", "ready"], 3);
        samples.add(names::POSTGRES_PINNED_XMIN, &["transaction", "a \"b\"\\\n"], 1.5);
        samples.add(names::QUEUE_TASKS, &["predict", "render", "parked"], 0.0);
        samples.add(names::CUSTODY_TIGHTEST, &[], 3600.0);
        let kept = serde_json::to_string(&samples).unwrap();
        let read: Samples = serde_json::from_str(&kept).unwrap();
        let mut page = String::from("before\n");
        read.write_to(&mut page);
        let lines: Vec<&str> = page.lines().filter(|line| !line.starts_with("# HELP")).collect();
        assert_eq!(
            lines,
            [
                "before",
                "# TYPE spool_queue_tasks gauge",
                "spool_queue_tasks{queue=\"predict\",kind=\"render\",state=\"ready\"} 3",
                "spool_queue_tasks{queue=\"predict\",kind=\"render\",state=\"parked\"} 0",
                "",
                "# TYPE spool_custody_tightest_seconds gauge",
                "spool_custody_tightest_seconds 3600",
                "",
                "# TYPE spool_postgres_pinned_xmin_seconds gauge",
                "spool_postgres_pinned_xmin_seconds{holder=\"transaction\",application=\"a \\\"b\\\"\\\\\\n\"} 1.5",
                "",
            ]
        );
    }

    #[test]
    fn what_another_build_has_written_is_left_out_and_series_are_bounded() {
        let text =
            r#"[["spool_new_thing",[],1.0],["spool_queue_paused",[],1.0],["spool_spend_waits",[],4.0]]"#;
        let mut samples: Samples = serde_json::from_str(text).unwrap();
        for number in 0..1000 {
            samples.count(names::QUEUE_PAUSED, &[&number.to_string()], 1);
        }
        let mut page = String::new();
        samples.write_to(&mut page);
        assert!(!page.contains("spool_new_thing"), "{page}");
        assert!(page.contains("\nspool_spend_waits 4\n"), "{page}");
        assert_eq!(page.matches("\nspool_queue_paused{").count(), MOST_SERIES);
    }
}
