//! What the pages of a loaded system show is what docs/observability.md says they do: names, kinds, labels and closed sets of values; and
//! promtool finds nothing wrong with them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use system_tests::system::{System, command};
use tokio::io::AsyncWriteExt;

/// Those that come with each process are not ours to declare.
const OURS: &str = "spool_";

/// A row of the page.
struct Declared {
    kind: String,
    by: String,
    /// Each with its values, if they are a closed set.
    labels: BTreeMap<String, Vec<String>>,
}

fn declared() -> BTreeMap<String, Declared> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/observability.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let rows = page.lines().filter(|line| line.starts_with("| `spool_"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let label = |word: &str| {
            let (name, values) = word.split_once(": ").unwrap_or((word, ""));
            let values = values.split(", ").filter(|value| !value.is_empty()).map(ToOwned::to_owned);
            (name.trim_matches('`').to_owned(), values.collect())
        };
        let labels = cells[4].split("; ").filter(|word| !word.is_empty()).map(label).collect();
        (
            cells[1].trim_matches('`').to_owned(),
            Declared { kind: cells[2].into(), by: cells[3].into(), labels },
        )
    })
    .collect()
}

/// The labels of a sample; no value of ours holds a comma.
fn labels(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let pairs = text.split(',').filter(|pair| !pair.is_empty());
    pairs.filter_map(|pair| pair.split_once('=')).map(|(name, value)| (name, value.trim_matches('"')))
}

/// What is wrong with a page, by line.
fn faults(page: &str, shown_by: &[&str], declared: &BTreeMap<String, Declared>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut kinds: BTreeMap<&str, &str> = BTreeMap::new();
    for line in page.lines().filter(|line| !line.is_empty()) {
        if let Some(typed) = line.strip_prefix("# TYPE ") {
            kinds.extend(typed.split_once(' '));
            continue;
        }
        if line.starts_with('#') || !line.starts_with(OURS) {
            continue;
        }
        let (series, _) = line.rsplit_once(' ').expect("a sample has a value");
        let (name, given) = series.split_once('{').unwrap_or((series, ""));
        let is_histogram = |base: &&str| kinds.get(base) == Some(&"histogram");
        let base =
            ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end).filter(is_histogram));
        let name = base.unwrap_or(name);
        let Some(as_declared) = declared.get(name) else {
            faults.push(format!("not declared: {line}"));
            continue;
        };
        if kinds.get(name) != Some(&as_declared.kind.as_str()) {
            faults.push(format!("{:?}, declared as {}: {line}", kinds.get(name), as_declared.kind));
        }
        if !shown_by.contains(&as_declared.by.as_str()) {
            faults.push(format!("of the {} only: {line}", as_declared.by));
        }
        for (label, value) in
            labels(given.trim_end_matches('}')).filter(|(label, _)| base.is_none() || *label != "le")
        {
            match as_declared.labels.get(label) {
                None => faults.push(format!("{label} is no label of it: {line}")),
                Some(values) if values.is_empty() || values.iter().any(|one| one == value) => {}
                Some(values) => faults.push(format!("{value:?} is none of {values:?}: {line}")),
            }
        }
    }
    faults
}

async fn lint(page: &str) {
    let mut promtool = command("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = promtool.spawn().expect("promtool is installed: run scripts/bootstrap.sh test");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(page.as_bytes()).await.expect("written");
    drop(input);
    let output = child.wait_with_output().await.expect("it ends");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.trim().is_empty(), "promtool: {said}");
}

pub(crate) async fn pages_are_as_declared(system: &System) {
    let declared = declared();
    assert!(declared.len() > 90, "only {} rows", declared.len());
    let worker = &system.ready.worker_metrics[0];
    let both = [
        (format!("{}/metrics", system.ready.api), ["API", "database", "API, worker"].as_slice()),
        (format!("{}/metrics", worker.trim_end_matches('/')), ["worker", "API, worker"].as_slice()),
    ];
    for (url, shown_by) in both {
        let page = system.http.get(&url).send().await.expect("an answer").text().await.expect("text");
        let shown = page.lines().filter(|line| line.starts_with(OURS)).count();
        assert!(shown > 100, "only {shown} samples at {url}");
        let faults = faults(&page, shown_by, &declared);
        assert!(faults.is_empty(), "{url}:\n{}", faults.join("\n"));
        lint(&page).await;
    }
}

#[test]
fn a_page_that_is_not_as_declared_is_noticed() {
    let declared = declared();
    let page = "# TYPE spool_queue_claimed_total counter
spool_queue_claimed_total{queue=\"render\",kind=\"render\"} 1
# TYPE spool_predictions_in_flight counter
spool_predictions_in_flight{provider=\"replicate\",tenant=\"x\"} 1
# TYPE spool_nothing gauge
spool_nothing 1
# TYPE spool_storage_files gauge
spool_storage_files{type=\"song\"} 1
process_threads 7";
    let found = faults(page, &["worker", "database"], &declared);
    let begin = [
        "Some(\"counter\"), declared as gauge",
        "tenant is no label",
        "not declared: spool_nothing",
        "\"song\" is none of",
    ];
    assert_eq!(found.len(), begin.len(), "{found:?}");
    for (fault, begin) in found.iter().zip(begin) {
        assert!(fault.starts_with(begin), "{fault}");
    }
    assert!(!faults(page, &["API"], &declared).is_empty());
}
