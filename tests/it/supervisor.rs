//! `spool dev` as the parent of everything: one per folder, nothing outlives it, whatever it dies of.

use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use system_tests::system::{Options, System, alive, command, program};
use system_tests::wait;

/// `running.json`, once it names a process for every service.
async fn running(folder: &Path) -> Value {
    let file = folder.join("running.json");
    wait::until("running.json", async || {
        let running: Value = serde_json::from_slice(&std::fs::read(&file).ok()?).ok()?;
        running["services"].as_object()?.values().all(Value::is_u64).then_some(running)
    })
    .await
}

fn pid(value: &Value) -> i32 {
    value.as_i64().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_else(|| panic!("{value} is no process"))
}

fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap_or_else(|error| panic!("{signal} to {pid}: {error}"));
}

/// Postgres itself, not its keeper.
fn postmaster(running: &Value) -> i32 {
    let file = Path::new(running["postgres_data"].as_str().expect("a folder")).join("postmaster.pid");
    let noted = std::fs::read_to_string(file).expect("postmaster.pid");
    noted.lines().next().and_then(|pid| pid.trim().parse().ok()).expect("a process")
}

/// All processes of a system: supervisor, services, Postgres.
fn everybody(running: &Value) -> Vec<i32> {
    let services = running["services"].as_object().expect("services").values().map(pid);
    services.chain([pid(&running["supervisor"]), postmaster(running)]).collect()
}

async fn gone(pids: &[i32]) {
    wait::until(&format!("the end of {pids:?}"), async || pids.iter().all(|pid| !alive(*pid)).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_in_one_folder_are_refused_and_a_stop_leaves_nobody() {
    let system = System::start(&Options { workers: 2, ..Options::default() }).await;
    let running = running(system.dir.path()).await;
    let second = command(program("spool"))
        .args(["dev", "--json", "--api-port", "0", "--simulator-port", "0", "--data-dir"])
        .arg(system.dir.path())
        .output()
        .await
        .unwrap();
    let told = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1));
    assert!(told.contains("in use") && told.contains(&running["supervisor"].to_string()), "{told}");
    let everybody = everybody(&running);
    let dir = system.stop().await;
    gone(&everybody).await;
    assert!(!dir.path().join("running.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_is_replaced() {
    let system = System::start(&Options::default()).await;
    let first = system.ready.worker_pids[0];
    signal(first, Signal::SIGKILL);
    wait::until("another worker", async || {
        let workers = system.workers().await;
        workers.iter().any(|worker| worker["pid"].as_i64() != Some(i64::from(first))).then_some(())
    })
    .await;
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_supervisor_takes_everything_along_and_the_next_one_goes_on() {
    let options = Options::default();
    let system = System::start(&options).await;
    let everybody = everybody(&running(system.dir.path()).await);
    let ready = system.ready.clone();
    system.campaign().await;
    let dir = system.kill().await;
    gone(&everybody).await;
    let system = System::start_in(dir, &options).await;
    assert_eq!((&system.ready.key, &system.ready.api), (&ready.key, &ready.api));
    let clients = system.get("/api/v3/clients").await;
    assert_eq!(clients["meta"]["total"], 1, "{clients}");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_was_left_behind_is_taken_over() {
    let options = Options::default();
    let system = System::start(&options).await;
    let running = running(system.dir.path()).await;
    let (keeper, postgres) = (pid(&running["services"]["postgres"]), postmaster(&running));
    // A keeper that stands still cannot clean up after its supervisor; then it is killed as well.
    signal(keeper, Signal::SIGSTOP);
    let dir = system.kill().await;
    signal(keeper, Signal::SIGKILL);
    assert!(alive(postgres), "Postgres is left behind");
    let system = System::start_in(dir, &options).await;
    gone(&[postgres]).await;
    system.stop().await;
}

/// Processes whose command line names a folder: Postgres, its keeper, the simulator.
fn naming(folder: &Path) -> Vec<i32> {
    let folder = folder.display().to_string();
    let processes = std::fs::read_dir("/proc").expect("/proc");
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let says = |pid: &i32| std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    pids.filter(|pid| String::from_utf8_lossy(&says(pid)).contains(&folder)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_the_middle_of_the_start_leaves_nobody() {
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    let dir = tempfile::Builder::new().permissions(open).tempdir().unwrap();
    let mut child = command(program("spool"))
        .args(["dev", "--json", "--api-port", "0", "--simulator-port", "0", "--data-dir"])
        .arg(dir.path())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let cluster = dir.path().join("pg/data/postmaster.pid");
    wait::until("Postgres", async || cluster.exists().then_some(())).await;
    signal(child.id().map(|pid| i32::try_from(pid).unwrap()).unwrap(), Signal::SIGINT);
    let ended = tokio::time::timeout(std::time::Duration::from_secs(90), child.wait()).await;
    let status = ended.expect("it stops").unwrap();
    assert!(status.success(), "{status}");
    assert_eq!(naming(dir.path()), Vec::<i32>::new());
}
