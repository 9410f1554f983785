//! EVERY metric that our programs emit: name, kind, unit, meaning, labels, who shows it, and the series that exist from the start.
//!
//! Labels take their values from closed sets only: never an id, a customer, an address or a text. A series that a counter can have
//! stands at zero from the start where the set is known here, because `increase()` cannot see a counter that appears at 1. What is in
//! micro-dollars says `micros` in its name.

mod api;
mod database;
mod jobs;
mod media;
mod money;
mod programs;
mod providers;
mod queue;
mod webhooks;

use crate::declared::Declared;

/// Parts of the vocabulary, as documents show them.
pub const PARTS: &[(&str, &[Declared])] = &[
    ("Jobs and steps", jobs::ALL),
    ("Queue", queue::ALL),
    ("Providers and their limits", providers::ALL),
    ("Money", money::ALL),
    ("API", api::ALL),
    ("Webhooks", webhooks::ALL),
    ("Media", media::ALL),
    ("Postgres and figures", database::ALL),
    ("Programs", programs::ALL),
];

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Declared> {
    PARTS.iter().flat_map(|(_, part)| part.iter())
}

/// The declaration of a name.
pub fn find(name: &str) -> Option<&'static Declared> {
    all().find(|metric| metric.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declared::{By, Kind};
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_say_their_unit() {
        let mut seen = BTreeSet::new();
        for metric in all() {
            let name = metric.name;
            assert!(name.starts_with("spool_"), "{name}");
            assert!(seen.insert(name), "{name} is declared twice");
            assert!(metric.meaning.ends_with('.'), "{name}");
            match metric.kind {
                Kind::Counter => assert!(name.ends_with("_total"), "{name}"),
                Kind::Gauge => assert!(!name.ends_with("_total"), "{name}"),
                Kind::Histogram(bounds) => {
                    assert!(name.ends_with("_seconds"), "{name}");
                    assert!(bounds.is_sorted() && !bounds.is_empty(), "{name}");
                }
            }
            let unit = metric.unit.as_canonical_label();
            let said = match unit {
                "B" => name.contains("_bytes"),
                "s" => name.contains("_seconds"),
                _ => !name.contains("_bytes") && !name.contains("_seconds"),
            };
            assert!(said, "{name} is in {unit:?}");
            assert!(metric.by != By::Database || metric.kind == Kind::Gauge, "{name}");
        }
    }

    #[test]
    fn labels_are_few_and_never_name_a_thing() {
        for metric in all() {
            assert!(metric.labels.len() <= 3, "{}", metric.name);
            for label in metric.labels {
                let name = label.name;
                let is_thing = ["id", "job", "task", "client", "customer", "tenant", "key", "url", "error"];
                assert!(!is_thing.contains(&name) && !name.ends_with("_id"), "{}: {name}", metric.name);
                // Prometheus sets these itself.
                assert!(!["le", "instance"].contains(&name), "{}: {name}", metric.name);
            }
        }
    }
}
