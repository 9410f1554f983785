//! Alerts as Prometheus takes them: promtool finds nothing wrong, each has a case in which it fires and a page that says what to do, and
//! what the pages tell a person to type exists.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use system_tests::system::{command, program};

const ALERTS: &str = "grafana/alerts";
const RUNBOOKS: &str = "docs/runbooks";
/// Every page has these parts, in this order.
const PARTS: [&str; 5] =
    ["## What it means", "## What users feel", "## Look", "## Act", "## When to wake somebody"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Files of a folder by their names without the ending.
fn files(folder: &str, ending: &str) -> BTreeMap<String, PathBuf> {
    let entries = std::fs::read_dir(root().join(folder)).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let named = |path: PathBuf| {
        let name = path.file_name()?.to_str()?.strip_suffix(ending)?.to_owned();
        Some((name, path))
    };
    paths.filter_map(named).collect()
}

/// One alerting rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rule {
    alert: String,
    severity: String,
    runbook: String,
}

/// All of them, read line by line: the files are ours, and promtool has the last word on whether they are YAML.
fn rules() -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for path in files(ALERTS, ".yaml").values() {
        for line in read(path).lines().map(str::trim) {
            if let Some(alert) = line.strip_prefix("- alert: ") {
                rules.push(Rule { alert: alert.to_owned(), severity: String::new(), runbook: String::new() });
            }
            let Some(rule) = rules.last_mut() else { continue };
            if let Some((_, rest)) = line.split_once("severity: ").filter(|_| line.starts_with("labels:")) {
                rest.trim_end_matches('}').clone_into(&mut rule.severity);
            }
            if let Some(page) = line.strip_prefix("runbook: ") {
                page.clone_into(&mut rule.runbook);
            }
        }
    }
    assert!(rules.len() > 30, "only {} rules", rules.len());
    rules
}

async fn promtool(arguments: &[&str], files: impl IntoIterator<Item = PathBuf>) {
    let output = command("promtool").args(arguments).args(files).current_dir(root()).output().await;
    let output = output.expect("promtool is installed: run scripts/bootstrap.sh test");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "promtool {arguments:?}:\n{}", String::from_utf8_lossy(&said));
}

#[tokio::test]
async fn promtool_finds_nothing_wrong() {
    promtool(&["check", "rules"], files(ALERTS, ".yaml").into_values()).await;
    promtool(&["check", "config"], [root().join("grafana/prometheus.yaml")]).await;
}

#[tokio::test]
async fn every_alert_fires_when_it_should_and_not_otherwise() {
    let cases = files(&format!("{ALERTS}/tests"), ".yaml");
    let text: String = cases.values().map(|path| read(path)).collect();
    assert!(text.matches("exp_samples: []").count() > 20, "cases in which nothing fires");
    let untried: BTreeSet<_> = rules()
        .into_iter()
        .map(|rule| format!("alertname=\"{}\", severity=\"{}\"", rule.alert, rule.severity))
        .filter(|case| !text.contains(case))
        .collect();
    assert_eq!(untried, BTreeSet::new(), "rules that no case makes fire");
    promtool(&["test", "rules"], cases.into_values()).await;
}

#[test]
fn every_alert_has_its_page_and_every_page_its_alert() {
    let named: BTreeSet<String> = rules().into_iter().map(|rule| rule.runbook).collect();
    let pages = files(RUNBOOKS, ".md");
    let there: BTreeSet<String> =
        pages.keys().filter(|name| *name != "README").map(|name| format!("{RUNBOOKS}/{name}.md")).collect();
    assert_eq!(named, there);
    for rule in rules() {
        let page = read(&root().join(&rule.runbook));
        assert!(page.starts_with(&format!("# {}: ", rule.alert)), "{} is about {}", rule.runbook, rule.alert);
        let at: Vec<usize> = PARTS.iter().map(|part| page.find(part).unwrap_or(usize::MAX)).collect();
        assert!(at.is_sorted() && at[4] < usize::MAX, "{} lacks one of {PARTS:?}", rule.runbook);
        assert!(["page", "warning", "ticket", "none"].contains(&rule.severity.as_str()), "{rule:?}");
    }
    let index = read(&pages["README"]);
    let missing = there.iter().filter(|page| !index.contains(page.rsplit('/').next().unwrap_or_default()));
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<&String>::new(), "pages that the index lacks");
}

/// What stands between fences of this language, by page.
fn fenced(language: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (name, path) in files(RUNBOOKS, ".md") {
        let text = read(&path);
        for block in text.split(&format!("```{language}\n")).skip(1) {
            let block = block.split("```").next().unwrap_or_default();
            found.push((name.clone(), block.trim().to_owned()));
        }
    }
    assert!(found.len() > 20, "only {} blocks of {language}", found.len());
    found
}

#[tokio::test]
async fn what_the_pages_ask_prometheus_can_be_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut rules = vec!["groups:\n  - name: pages\n    rules:\n".to_owned()];
    for (number, (_, block)) in fenced("promql").iter().enumerate() {
        for (line, query) in block.lines().enumerate() {
            let query = query.replace('\'', "''");
            rules.push(format!("      - {{record: 'page:{number}_{line}', expr: '{query}'}}\n"));
        }
    }
    let path = folder.path().join("pages.yaml");
    std::fs::write(&path, rules.concat()).expect("written");
    promtool(&["check", "rules"], [path]).await;
}

/// The words of a command line up to a comment, a pipe or the next command; quotes keep words together.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for letter in line.chars().chain([' ']) {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '"' | '\'') => quote = Some(letter),
            (None, '#' | '|') => break,
            (None, ' ') => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            _ => word.push(letter),
        }
    }
    words
}

#[tokio::test]
async fn what_the_pages_tell_to_type_exists() {
    let mut helps: BTreeMap<Vec<String>, String> = BTreeMap::new();
    let mut tried = 0;
    for (page, block) in fenced("sh") {
        for line in block.lines().filter(|line| line.starts_with("spool ")) {
            let words = words(line);
            // As many words as are commands: the help of a command that does not exist is refused.
            let commands =
                words[1..].iter().take_while(|word| word.chars().all(|c| c.is_ascii_lowercase())).count();
            let mut help = None;
            for depth in (1..=commands.min(2)).rev() {
                let path = words[1..=depth].to_vec();
                if !helps.contains_key(&path) {
                    let output = command(program("spool"))
                        .args(&path)
                        .arg("--help")
                        .output()
                        .await
                        .expect("it starts");
                    let text = String::from_utf8_lossy(&output.stdout).into_owned();
                    helps.insert(path.clone(), if output.status.success() { text } else { String::new() });
                }
                // A command of commands is not one by itself.
                if !helps[&path].is_empty() && (depth == 2 || !helps[&path].contains("Commands:")) {
                    help = Some(&helps[&path]);
                    break;
                }
            }
            let help = help.unwrap_or_else(|| panic!("{page}: there is no command for {line}"));
            for flag in words.iter().filter(|word| word.starts_with("--")) {
                assert!(help.contains(flag.as_str()), "{page}: {line}: {flag} is no option:\n{help}");
            }
            tried += 1;
        }
    }
    assert!(tried > 30, "only {tried} commands");
}

#[test]
fn addresses_in_the_pages_are_those_of_the_api() {
    let document = read(&root().join("docs/openapi.json"));
    for (page, block) in fenced("sh") {
        for rest in block.split("$api").skip(1) {
            let path: String =
                rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "/_-".contains(*c)).collect();
            let pattern: Vec<&str> =
                path.split('/').map(|part| if part.parse::<u32>().is_ok() { "{id}" } else { part }).collect();
            let pattern = format!("\"/api/v3{}\"", pattern.join("/"));
            assert!(document.contains(&pattern), "{page}: {pattern} is not in docs/openapi.json");
        }
    }
}
