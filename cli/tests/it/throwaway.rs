//! `spool postgres run`: a database for one command, and nothing left afterwards.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::process::Command;

const BOUND: Duration = Duration::from_secs(120);

/// A folder for temporary files that any user may enter, as `/tmp` is.
fn temporary() -> TempDir {
    tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o755)).tempdir().expect("a folder")
}

#[expect(clippy::disallowed_methods, reason = "tests start the program as a person would")]
fn spool(temporary: &TempDir, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spool"));
    command.args(args).env("TMPDIR", temporary.path()).env_remove("DATABASE_URL").stdin(Stdio::null());
    command
}

async fn run(temporary: &TempDir, args: &[&str]) -> Output {
    tokio::time::timeout(BOUND, spool(temporary, args).output()).await.expect("it ends").expect("it starts")
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).expect("readable").next().is_none()
}

#[tokio::test]
async fn the_command_gets_a_database_and_its_exit_code_is_ours() {
    let temporary = temporary();
    let output = run(&temporary, &["postgres", "run", "--", "sh", "-c", "echo $DATABASE_URL; exit 5"]).await;
    let shown = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(5), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(shown.starts_with("postgres://spool:") && shown.contains("@127.0.0.1:"), "{shown}");
    assert!(is_empty(temporary.path()));
}

#[tokio::test]
async fn migrations_are_applied_before_the_command_runs() {
    let temporary = temporary();
    let migrations = tempfile::tempdir().unwrap();
    // The second would fail without the first.
    std::fs::write(migrations.path().join("0001_make.sql"), "CREATE TABLE shop.thing (id int);").unwrap();
    std::fs::write(migrations.path().join("0002_fill.sql"), "INSERT INTO shop.thing VALUES (1);").unwrap();
    let option = format!("shop={}", migrations.path().display());
    let output = run(&temporary, &["postgres", "run", "--migrations", &option, "--", "true"]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Processes whose command line names this folder, as that of its Postgres does.
#[cfg(target_os = "linux")]
fn processes_in(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().expect("a readable path");
    let processes = std::fs::read_dir("/proc").expect("readable").flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(folder))
        .collect()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn however_soon_the_command_ends_no_postgres_is_left() {
    for _ in 0..4 {
        let temporary = temporary();
        let output = run(&temporary, &["postgres", "run", "--", "true"]).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(processes_in(temporary.path()), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_failed_migration_is_told_and_everything_is_removed() {
    let temporary = temporary();
    let migrations = tempfile::tempdir().unwrap();
    std::fs::write(migrations.path().join("0001_bad.sql"), "CREATE NONSENSE;").unwrap();
    let option = format!("shop={}", migrations.path().display());
    let output = run(&temporary, &["postgres", "run", "--migrations", &option, "--", "true"]).await;
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("NONSENSE"), "{told}");
    assert!(is_empty(temporary.path()));
}

#[tokio::test]
async fn killed_with_minus_nine_it_leaves_no_postgres() {
    let temporary = temporary();
    // Ends by itself soon after: nobody can kill the command of a process that got no chance to act.
    let script = "echo ready; exec sleep 3";
    let mut child = spool(&temporary, &["postgres", "run", "--", "sh", "-c", script])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut line = String::new();
    let mut stdout = tokio::io::BufReader::new(child.stdout.take().unwrap());
    let read = tokio::io::AsyncBufReadExt::read_line(&mut stdout, &mut line);
    tokio::time::timeout(BOUND, read).await.expect("it is ready").expect("readable");
    assert_eq!(line, "ready\n");
    assert!(!is_empty(temporary.path()));
    child.kill().await.unwrap();
    let since = Instant::now();
    // The keeper deletes the folder as its last act, after Postgres has ended.
    while !is_empty(temporary.path()) {
        assert!(since.elapsed() < BOUND, "the keeper did not clean up");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
