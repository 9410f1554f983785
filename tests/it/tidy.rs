//! The walls of the house: sizes, names, and who may know whom. Each test lists every place that breaks its rule.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use system_tests::system::command;

const LONGEST_FILE: usize = 400;
/// A folder or file of this name says nothing about what is in it.
const BANNED_NAMES: [&str; 6] = ["utils", "util", "common", "helpers", "helper", "misc"];
/// The shared crates that each crate may depend on. A new arrow is a decision: its own commit, its own reason.
const ARROWS: &[(&str, &[&str])] = &[
    ("shared/job", &[]),
    ("shared/queue", &[]),
    ("shared/media", &[]),
    ("shared/telemetry", &[]),
    ("shared/db", &["spool-job"]),
    ("shared/explain", &["spool-job", "spool-queue", "spool-db"]),
    ("shared/provider", &["spool-job"]),
    // Its rows go to `db`, its media to `media`, and `provider` fetches what is only at an address.
    ("shared/import", &["spool-job", "spool-db", "spool-media", "spool-provider"]),
    (
        "api",
        &[
            "spool-job",
            "spool-queue",
            "spool-db",
            "spool-explain",
            "spool-provider",
            "spool-media",
            "spool-telemetry",
        ],
    ),
    ("worker", &["spool-job", "spool-queue", "spool-db", "spool-provider", "spool-media", "spool-telemetry"]),
    // `spool doctor` compares the store of media with the rows.
    (
        "cli",
        &[
            "spool-job",
            "spool-db",
            "spool-queue",
            "spool-explain",
            "spool-import",
            "spool-media",
            "spool-telemetry",
        ],
    ),
    ("simulator", &["spool-provider", "spool-media", "spool-telemetry"]),
    // What telemetry costs is measured with the crate that does it.
    ("bench", &["spool-queue", "spool-telemetry"]),
    ("grafana", &["spool-telemetry"]),
    ("tests", &[]),
];
/// Libraries that only some crates may use, so that they can be replaced in one place.
const KEPT_TO: &[(&str, &[&str])] = &[
    ("apalis-core", &["shared/queue"]),
    // `tests` has a collector of traces.
    ("axum", &["api", "bench", "simulator", "worker", "tests"]),
    ("opentelemetry", &["shared/telemetry"]),
    ("opentelemetry_sdk", &["shared/telemetry"]),
    ("tracing-opentelemetry", &["shared/telemetry"]),
    ("tracing-subscriber", &["shared/telemetry"]),
    // `shared/media` only chooses the TLS of what object_store brings.
    ("reqwest", &["shared/provider", "shared/media", "simulator", "cli", "bench", "tests"]),
    ("object_store", &["shared/media"]),
    ("governor", &["api", "worker"]),
    ("rusqlite", &["shared/import"]),
];
/// Where processes are started.
const STARTERS: [&str; 3] =
    ["shared/media/src/ffmpeg.rs", "cli/src/supervisor/process.rs", "bench/src/program.rs"];
/// Where checked SQL stands.
const SQL: [&str; 2] = ["shared/queue/", "shared/db/"];

struct File {
    /// From the root of the repository.
    path: String,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// Every file that is tracked or would be.
async fn paths() -> Vec<String> {
    let output = command("git")
        .args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .await
        .expect("git lists the files");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listed = String::from_utf8(output.stdout).expect("paths in UTF-8");
    let unique: BTreeSet<&str> = listed.split('\0').filter(|path| root().join(path).is_file()).collect();
    assert!(unique.len() > 100, "only {} files listed", unique.len());
    unique.into_iter().map(str::to_owned).collect()
}

async fn files(extension: &str) -> Vec<File> {
    let of_kind = paths().await.into_iter().filter(|path| path.ends_with(extension));
    let read =
        |path: String| File { text: std::fs::read_to_string(root().join(&path)).expect("readable"), path };
    of_kind.map(read).collect()
}

/// Code without this file, which names what it forbids.
async fn rust() -> Vec<File> {
    let mut files = files(".rs").await;
    files.retain(|file| file.path != "tests/it/tidy.rs");
    files
}

fn none(broken: Vec<String>) {
    assert!(broken.is_empty(), "\n  {}\n", broken.join("\n  "));
}

fn lines_with<'a>(file: &'a File, forbidden: &'a [&str]) -> impl Iterator<Item = String> + 'a {
    let is_bad = |line: &str| forbidden.iter().any(|word| line.contains(word));
    let numbered = file.text.lines().enumerate().filter(move |(_, line)| is_bad(line));
    numbered.map(|(number, line)| format!("{}:{}: {}", file.path, number + 1, line.trim()))
}

fn manifest(folder: &str) -> toml::Table {
    let text = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).expect("a manifest");
    text.parse().expect("TOML")
}

fn names(manifest: &toml::Table, section: &str) -> Vec<String> {
    manifest
        .get(section)
        .and_then(toml::Value::as_table)
        .map(|t| t.keys().cloned().collect())
        .unwrap_or_default()
}

#[tokio::test]
async fn files_are_short_and_say_what_they_are() {
    let mut broken = Vec::new();
    for file in files(".rs").await {
        let lines = file.text.lines().count();
        if lines > LONGEST_FILE {
            broken.push(format!("{}: {lines} lines, {LONGEST_FILE} are allowed", file.path));
        }
        if !file.text.starts_with("//! ") && !file.text.starts_with("#![doc = include_str!(") {
            broken.push(format!("{}: does not begin with //!", file.path));
        }
    }
    none(broken);
}

#[tokio::test]
async fn names_say_something() {
    let meaningless = |path: &&String| {
        Path::new(path).components().any(|part| {
            let name = part.as_os_str().to_string_lossy();
            BANNED_NAMES.contains(&name.split('.').next().unwrap_or_default())
        })
    };
    none(paths().await.iter().filter(meaningless).cloned().collect());
}

#[test]
fn crates_know_only_whom_they_may() {
    let workspace = manifest("");
    let members = workspace["workspace"]["members"].as_array().expect("members");
    let mut broken = Vec::new();
    for member in members.iter().filter_map(toml::Value::as_str) {
        let Some((_, allowed)) = ARROWS.iter().find(|(folder, _)| *folder == member) else {
            broken.push(format!("{member}: no arrows are decided for it"));
            continue;
        };
        let manifest = manifest(member);
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let ours = names(&manifest, section).into_iter().filter(|name| name.starts_with("spool-"));
            let forbidden = ours.filter(|name| !allowed.contains(&name.as_str()));
            broken.extend(forbidden.map(|name| format!("{member} may not depend on {name}")));
        }
        let libraries = names(&manifest, "dependencies");
        for (library, homes) in KEPT_TO {
            if libraries.iter().any(|name| name == library) && !homes.contains(&member) {
                broken.push(format!("{member} may not use {library}: it is kept to {}", homes.join(", ")));
            }
        }
    }
    none(broken);
}

#[tokio::test]
async fn api_and_worker_never_name_each_other() {
    let mut broken = Vec::new();
    for file in rust().await {
        if file.path.starts_with("api/") {
            broken.extend(lines_with(&file, &["spool_worker", "spool-worker"]));
        }
        if file.path.starts_with("worker/") {
            broken.extend(lines_with(&file, &["spool_api", "spool-api"]));
        }
    }
    none(broken);
}

#[tokio::test]
async fn sql_and_processes_have_their_places() {
    let macros = [
        "query!(",
        "query_as!(",
        "query_scalar!(",
        "query_file!(",
        "query_unchecked!(",
        "query_as_unchecked!(",
    ];
    let starts = ["Command::new(", "process::Command;"];
    let mut broken = Vec::new();
    for file in rust().await {
        if !SQL.iter().any(|home| file.path.starts_with(home)) {
            broken.extend(lines_with(&file, &macros));
        }
        let is_test = file.path.starts_with("tests/") || file.path.contains("/tests/");
        if !is_test && !STARTERS.contains(&file.path.as_str()) {
            broken.extend(lines_with(&file, &starts));
        }
    }
    none(broken);
}

#[tokio::test]
async fn nothing_is_left_for_later_or_passed_over() {
    let forbidden = ["#[ignore", "todo!(", "unimplemented!(", "#[allow(", "#![allow("];
    let mut broken = Vec::new();
    for file in rust().await {
        broken.extend(lines_with(&file, &forbidden));
    }
    none(broken);
}

#[tokio::test]
async fn links_between_pages_lead_somewhere() {
    let mut broken = Vec::new();
    for page in files(".md").await {
        let folder = root().join(&page.path);
        let folder = folder.parent().expect("a folder");
        for link in page.text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next()) {
            let target = link.split('#').next().unwrap_or_default();
            let is_outside = link.contains("://") || link.starts_with("mailto:");
            if !is_outside && !target.is_empty() && !folder.join(target).exists() {
                broken.push(format!("{}: {link}", page.path));
            }
        }
    }
    none(broken);
}

#[tokio::test]
async fn every_setting_of_the_example_is_one_that_a_program_reads() {
    let mut code: String = rust().await.into_iter().map(|file| file.text).collect();
    // Read by libraries: the object store, the log filter, the query macros.
    code.push_str("AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_REGION AWS_ENDPOINT_URL AWS_ALLOW_HTTP RUST_LOG SQLX_OFFLINE");
    let example = std::fs::read_to_string(root().join(".env.example")).expect(".env.example");
    let settings = example.lines().filter_map(|line| line.trim_start_matches(['#', ' ']).split_once('='));
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    none(
        settings
            .filter(|(name, _)| is_name(name) && !code.contains(name))
            .map(|(name, _)| name.to_owned())
            .collect(),
    );
}
