//! What must hold of all dashboards and alerts: written as they are here, and asking only for what exists.

use crate::boards;
use crate::panel::{Dashboard, Draw, Source};
use spool_telemetry::declared::Kind;
use spool_telemetry::vocabulary;
use std::collections::BTreeSet;
use std::path::Path;

/// Labels that Prometheus adds, or that alerts have.
const EVERYWHERE: &[&str] = &["instance", "job", "le", "alertname", "alertstate", "severity", "window"];
/// Series that are not ours.
const FOREIGN: &[&str] = &[
    "ALERTS",
    "up",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_open_fds",
    "process_start_time_seconds",
];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn pages(folder: &str, ending: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter_map(|name| name.strip_suffix(ending).map(str::to_owned)).collect()
}

/// Names of series in a query: words that begin like ours, and recorded ones.
fn series(query: &str) -> BTreeSet<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    query
        .split(|c| !is_part(c))
        .filter(|word| word.starts_with("spool_") || word.starts_with("spool:"))
        .collect()
}

/// The declared metric of a series, if there is one of that kind.
fn is_declared(series: &str) -> bool {
    let histogram = ["_bucket", "_sum", "_count"].into_iter().find_map(|ending| {
        let metric = vocabulary::find(series.strip_suffix(ending)?)?;
        Some(matches!(metric.kind, Kind::Histogram(_)))
    });
    let plain = || vocabulary::find(series).is_some_and(|metric| !matches!(metric.kind, Kind::Histogram(_)));
    histogram.unwrap_or_else(plain)
}

fn recorded() -> BTreeSet<String> {
    let text = read("grafana/alerts/recording.yaml");
    text.lines().filter_map(|line| line.trim().strip_prefix("- record: ")).map(str::to_owned).collect()
}

/// Every series of a text that neither a program nor a rule makes.
fn unknown(text: &str) -> Vec<String> {
    let recorded = recorded();
    let known = |series: &&str| is_declared(series) || recorded.contains(*series);
    series(text).into_iter().filter(|series| !known(series)).map(str::to_owned).collect()
}

/// Labels that a query names in selectors and groupings.
fn labels(query: &str) -> BTreeSet<String> {
    // What stands in quotes are values.
    let bare: String = query.split('"').step_by(2).collect();
    let mut found = BTreeSet::new();
    for group in bare.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
        let names = group.split(',').map(|pair| pair.trim().trim_end_matches(['=', '~', '!']));
        found.extend(names.map(str::to_owned));
    }
    for word in ["by (", "on (", "ignoring (", "without ("] {
        for group in bare.split(word).skip(1).filter_map(|rest| rest.split(')').next()) {
            found.extend(group.split(',').map(|name| name.trim().to_owned()));
        }
    }
    found
}

fn queries(source: Source) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for board in boards::all() {
        for panel in board.panels() {
            for query in panel.queries.iter().filter(|query| query.source == source) {
                all.push((format!("{}, {}", board.uid, panel.title), query.text.clone()));
            }
        }
    }
    all
}

#[test]
fn what_is_written_is_what_the_source_says() {
    let stale: Vec<String> = crate::files(root())
        .unwrap()
        .into_iter()
        .filter(|(path, text)| std::fs::read_to_string(root().join(path)).ok().as_ref() != Some(text))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(stale, Vec::<String>::new(), "run make dashboards and commit");
    let known: BTreeSet<String> =
        boards::all().iter().map(|board| board.uid.trim_start_matches("spool-").to_owned()).collect();
    assert_eq!(pages("grafana/dashboards", ".json"), known, "each file has its source");
}

#[test]
fn panels_ask_only_for_what_exists() {
    for (panel, query) in queries(Source::Prometheus) {
        assert_eq!(unknown(&query), Vec::<String>::new(), "{panel}: {query}");
        let of_ours: BTreeSet<&str> =
            vocabulary::all().flat_map(|metric| metric.labels).map(|label| label.name).collect();
        for label in labels(&query) {
            assert!(
                of_ours.contains(label.as_str()) || EVERYWHERE.contains(&label.as_str()),
                "{panel}: {label} in {query}"
            );
        }
        let foreign = FOREIGN.iter().any(|name| query.contains(name));
        assert!(!series(&query).is_empty() || foreign || query == "vector(0)", "{panel}: {query}");
    }
}

#[test]
fn rules_ask_only_for_what_exists() {
    for file in pages("grafana/alerts", ".yaml") {
        assert_eq!(
            unknown(&read(&format!("grafana/alerts/{file}.yaml"))),
            Vec::<String>::new(),
            "{file}.yaml"
        );
    }
    for page in pages("docs/runbooks", ".md") {
        assert_eq!(unknown(&read(&format!("docs/runbooks/{page}.md"))), Vec::<String>::new(), "{page}.md");
    }
}

#[test]
fn every_metric_is_on_a_dashboard() {
    let mut asked: String = queries(Source::Prometheus).into_iter().map(|(_, query)| query + "\n").collect();
    asked.push_str(&read("grafana/alerts/recording.yaml"));
    let shown = series(&asked);
    let is_shown = |name: &str| {
        ["", "_bucket", "_count", "_sum"].iter().any(|ending| shown.contains(&*format!("{name}{ending}")))
    };
    let hidden: Vec<&str> =
        vocabulary::all().map(|metric| metric.name).filter(|name| !is_shown(name)).collect();
    assert_eq!(hidden, Vec::<&str>::new());
}

#[test]
fn panels_are_complete_and_lead_to_pages_that_exist() {
    let known = pages("docs/runbooks", ".md");
    for board in boards::all() {
        let mut titles = BTreeSet::new();
        for panel in board.panels() {
            let name = format!("{}, {}", board.uid, panel.title);
            assert!(titles.insert(panel.title), "{name}: twice");
            assert!(panel.meaning.len() > 8 && panel.meaning.ends_with('.'), "{name}: {}", panel.meaning);
            assert_eq!(panel.queries.is_empty(), panel.draw == Draw::Text, "{name}");
            assert!(panel.queries.len() <= 26 && panel.width <= 24, "{name}");
            assert!(panel.runbook.is_none_or(|page| known.contains(page)), "{name}: {:?}", panel.runbook);
        }
        variables_are_used_and_declared(&board);
    }
}

fn variables_are_used_and_declared(board: &Dashboard) {
    let text: String =
        board.panels().flat_map(|panel| &panel.queries).map(|query| query.text.clone() + "\n").collect();
    let declared: BTreeSet<&str> = board.variables.iter().map(|variable| variable.name()).collect();
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let used: BTreeSet<&str> = text
        .split('$')
        .skip(1)
        .filter_map(|rest| rest.trim_start_matches('{').split(|c| !is_part(c)).next())
        .filter(|name| !name.starts_with("__"))
        .collect();
    assert_eq!(used, declared, "{}", board.uid);
}
