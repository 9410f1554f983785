//! Alerts as Prometheus takes them: promtool finds nothing wrong, each rule has a case in which it fires, one in which it does not, and a
//! page that says what to do, and what the pages tell a person to type exists.

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

/// It always fires: nothing is asked by it.
const WATCHDOG: &str = "Watchdog";

/// One alerting rule.
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Rule {
    /// Its file, which has its cases in a file of the same name.
    file: String,
    alert: String,
    severity: String,
    /// Of a burn rate: what tells its rules of one severity apart.
    window: Option<String>,
    /// What the programs show and it asks for.
    series: BTreeSet<String>,
    runbook: String,
}

impl Rule {
    /// Whether this sample of a case is of it. One that was summed over all windows may be.
    fn may_be(&self, sample: &str) -> bool {
        self.is(sample) || self.is_but_for_its_window(sample) && !sample.contains("window=\"")
    }

    fn is(&self, sample: &str) -> bool {
        let in_window = |window: &String| sample.contains(&format!("window=\"{window}\""));
        self.is_but_for_its_window(sample) && self.window.as_ref().is_none_or(in_window)
    }

    fn is_but_for_its_window(&self, sample: &str) -> bool {
        sample.contains(&format!("alertname=\"{}\"", self.alert))
            && sample.contains(&format!("severity=\"{}\"", self.severity))
    }
}

/// The value of a label in a line such as `labels: {window: 1h, severity: page}`.
fn label(line: &str, name: &str) -> Option<String> {
    let (_, rest) = line.split_once(&format!("{name}: "))?;
    Some(rest.split([',', '}']).next()?.to_owned())
}

/// Series of the programs in an expression; those of recording rules are made of them.
fn series(text: &str) -> impl Iterator<Item = String> + '_ {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':')));
    words.filter(|word| word.starts_with("spool_") || *word == "up").map(str::to_owned)
}

/// All of them, read line by line: the files are ours, and promtool has the last word on whether they are YAML.
fn rules() -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for (file, path) in files(ALERTS, ".yaml") {
        let begin = rules.len();
        for line in read(&path).lines().map(str::trim) {
            if let Some(alert) = line.strip_prefix("- alert: ") {
                rules.push(Rule { file: file.clone(), alert: alert.to_owned(), ..Rule::default() });
            }
            let Some(rule) = rules[begin..].last_mut() else { continue };
            if line.starts_with("labels:") {
                rule.severity = label(line, "severity").unwrap_or_default();
                rule.window = label(line, "window");
            } else if let Some(page) = line.strip_prefix("runbook: ") {
                page.clone_into(&mut rule.runbook);
            } else if rule.severity.is_empty() {
                // The expression stands before the labels.
                rule.series.extend(series(line));
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

/// One case of the files for `promtool test rules`.
#[derive(Debug, Default)]
struct Case {
    /// Names of the series that it is given.
    given: BTreeSet<String>,
    /// What fires at one of its moments.
    fired: Vec<String>,
    /// Moments at which it says all that fires.
    moments: usize,
}

fn cases(path: &Path) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in read(path).lines().map(str::trim) {
        if line.starts_with("- name: ") {
            cases.push(Case::default());
        }
        let Some(case) = cases.last_mut() else { continue };
        if let Some(given) = line.strip_prefix("- {series: '") {
            case.given.extend(series(given.split(['{', '\'']).next().unwrap_or_default()));
        } else if line.starts_with("- {labels: ") {
            case.fired.push(line.to_owned());
        } else if line.starts_with("- expr: ") {
            // Else what is not listed might fire all the same.
            let all = line.starts_with("- expr: sum by (alertname, severity")
                && line.ends_with(") (ALERTS{alertstate=\"firing\"})");
            assert!(all, "{}: {line}", path.display());
            case.moments += 1;
        }
    }
    cases
}

#[tokio::test]
async fn every_rule_fires_when_it_should_and_not_otherwise() {
    let rules = rules();
    let paths = files(&format!("{ALERTS}/tests"), ".yaml");
    let cases: BTreeMap<&str, Vec<Case>> =
        paths.iter().map(|(name, path)| (name.as_str(), cases(path))).collect();
    let (mut names, mut untried) = (BTreeSet::new(), Vec::new());
    for rule in &rules {
        let name = (&rule.alert, &rule.severity, &rule.window);
        assert!(names.insert(name), "{name:?} are two rules that no case can tell apart");
        let of_file = cases.get(rule.file.as_str()).unwrap_or_else(|| panic!("{} has no cases", rule.file));
        if !of_file.iter().flat_map(|case| &case.fired).any(|sample| rule.is(sample)) {
            untried.push(format!("{name:?} fires in no case"));
        }
        // A case without its series says nothing of it.
        let is_quiet = |case: &Case| {
            case.moments > 0
                && !case.given.is_disjoint(&rule.series)
                && !case.fired.iter().any(|sample| rule.may_be(sample))
        };
        if rule.alert != WATCHDOG && !of_file.iter().any(is_quiet) {
            untried.push(format!("{name:?} fires in every case that has one of {:?}", rule.series));
        }
    }
    assert!(untried.is_empty(), "\n  {}\n", untried.join("\n  "));
    promtool(&["test", "rules"], paths.into_values()).await;
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
        let act = &page[at[3]..at[4]];
        let says_how = act.contains("```") || act.contains("\nNothing to type");
        assert!(says_how, "{}: what is typed to act, or that there is nothing to type", rule.runbook);
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
