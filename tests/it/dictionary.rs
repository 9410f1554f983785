//! Log macros use the names of `shared/telemetry/src/fields.rs` and no others, and every name there is used. Runbooks and dashboards
//! send nobody to look for another.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use system_tests::system::command;

const DICTIONARY: &str = "shared/telemetry/src/fields.rs";
const MACROS: [&str; 13] = [
    "trace!(",
    "debug!(",
    "info!(",
    "warn!(",
    "error!(",
    "event!(",
    "span!(",
    "error_span!(",
    "warn_span!(",
    "info_span!(",
    "debug_span!(",
    "trace_span!(",
    // Of a level that is chosen elsewhere.
    "$level!(",
];
/// Of traces: no log line shows them.
const OF_TRACES: &str = "otel.";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

async fn sources() -> Vec<(String, String)> {
    let listed = command("git")
        .args(["-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard", "*.rs"])
        .current_dir(root())
        .output()
        .await
        .expect("git lists the files");
    let paths = String::from_utf8(listed.stdout).expect("paths in UTF-8");
    // Tests may log what they like; the peers of the benchmarks are programs of their own.
    let of_ours =
        |path: &&str| !path.starts_with("tests/") && !path.contains("/tests/") && !path.starts_with("bench/");
    let read =
        |path: &str| std::fs::read_to_string(root().join(path)).ok().map(|text| (path.to_owned(), text));
    paths.lines().filter(of_ours).filter_map(read).collect()
}

/// The text between the bracket that was opened before `text` and its partner.
fn inside(text: &str) -> &str {
    let mut depth = 1;
    let mut quoted = false;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' | ']' | '}' if !quoted => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[..at];
        }
    }
    text
}

/// The arguments of a macro.
fn arguments(text: &str) -> Vec<&str> {
    let mut rest = text;
    let mut found = Vec::new();
    let (mut depth, mut quoted, mut escaped, mut start) = (0, false, false, 0);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' | ']' | '}' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                found.push(text[start..at].trim());
                start = at + 1;
                rest = &text[start..];
            }
            _ => {}
        }
    }
    found.push(rest.trim());
    found
}

/// The name of a field; none for a message, and for what follows it.
fn name_of(argument: &str) -> Option<&str> {
    let argument = argument.trim_start_matches(['%', '?']).trim_start();
    let end = argument
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.')))
        .unwrap_or(argument.len());
    let (name, rest) = argument.split_at(end);
    let rest = rest.trim_start();
    match rest.chars().next() {
        // A field that is called like its variable.
        None => name.rsplit('.').next(),
        Some('=') if !rest.starts_with("==") => Some(name),
        _ => None,
    }
}

/// Whether what stands before is a log macro's path and not the end of another name.
fn is_macro(before: &str) -> bool {
    !before.ends_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '!'))
}

fn fields(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    // A file shows its code before its tests, which may log what they like.
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    for start in MACROS {
        for (at, _) in code.match_indices(start).filter(|(at, _)| is_macro(&code[..*at])) {
            let line = code[..at].matches('\n').count() + 1;
            let arguments = arguments(inside(&code[at + start.len()..]));
            // A span begins with its name; a line ends with its message and what is put into it.
            for argument in arguments.into_iter().skip(usize::from(start.ends_with("span!("))) {
                if argument.starts_with('"') {
                    break;
                }
                found.extend(name_of(argument).map(|name| (line, name.to_owned())));
            }
        }
    }
    found
}

#[tokio::test]
async fn every_field_stands_in_the_dictionary_and_every_name_there_is_used() {
    let dictionary = std::fs::read_to_string(root().join(DICTIONARY)).expect("the dictionary");
    let named = dictionary.split("field(\"").skip(1).filter_map(|rest| rest.split('"').next());
    let named: BTreeSet<&str> = named.collect();
    assert!(named.len() > 30, "{named:?}");
    let mut unknown = Vec::new();
    let mut used: BTreeMap<String, usize> = BTreeMap::new();
    for (path, text) in sources().await {
        for (line, name) in fields(&text) {
            if !named.contains(name.as_str()) && !name.starts_with(OF_TRACES) {
                unknown.push(format!("{path}:{line}: {name} does not stand in {DICTIONARY}"));
            }
            *used.entry(name).or_default() += 1;
        }
    }
    assert!(unknown.is_empty(), "\n  {}\n", unknown.join("\n  "));
    assert!(used.get("task_id").is_some_and(|times| *times > 5), "the macros were not found: {used:?}");
    let idle: Vec<&&str> = named.iter().filter(|name| !used.contains_key(**name)).collect();
    assert!(idle.is_empty(), "nobody uses {idle:?}");
}

/// Names in backticks behind the word log in a sentence.
fn told(text: &str) -> Vec<String> {
    let prose: String = text.split("```").step_by(2).collect::<Vec<_>>().concat().replace('\n', " ");
    let mut names = Vec::new();
    for sentence in prose.split(". ") {
        let padded = format!(" {} ", sentence.to_ascii_lowercase());
        let Some(at) = [" log ", " logs "].iter().filter_map(|word| padded.find(word)).min() else {
            continue;
        };
        let quoted = sentence[at..].split('`').skip(1).step_by(2);
        let is_name = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '_' | '.'));
        names.extend(quoted.filter(is_name).map(str::to_owned));
    }
    names
}

#[test]
fn people_are_sent_to_fields_that_exist() {
    let dictionary = std::fs::read_to_string(root().join(DICTIONARY)).expect("the dictionary");
    let (mut unknown, mut found) = (Vec::new(), 0);
    for folder in ["docs/runbooks", "grafana/src/boards"] {
        for entry in std::fs::read_dir(root().join(folder)).expect("a folder") {
            let path = entry.expect("an entry").path();
            for name in told(&std::fs::read_to_string(&path).expect("a text")) {
                found += 1;
                if !dictionary.contains(&format!("field(\"{name}\"")) {
                    unknown.push(format!("{}: {name} does not stand in {DICTIONARY}", path.display()));
                }
            }
        }
    }
    assert!(unknown.is_empty(), "\n  {}\n", unknown.join("\n  "));
    assert!(found > 3, "only {found} fields were found");
}

#[test]
fn names_behind_the_word_log_are_found() {
    let text = "The `one` catalog of `two`. Its log by `three`.\nLogs have `job_id`,\nnot `Retry-After`.\n\n```sh\nlog `four`\n```\n";
    assert_eq!(told(text), ["three", "job_id"]);
}

#[test]
fn names_are_found_in_every_shape_of_a_macro() {
    let code = r#"
        tracing::warn!(%error, task_id = run.id().0, "a, b = {c}", c = 1);
        info!(target: "x", a.b = ?f(x, y), self.kind, is = a == b, "text");
        my_info!(nothing = 1);
        line!(error.class = class);
    "#;
    let found: Vec<String> = fields(code).into_iter().map(|(_, name)| name).collect();
    assert_eq!(found, ["a.b", "kind", "is", "error", "task_id"]);
}
