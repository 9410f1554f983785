//! A standby by streaming replication: the API's figures know of it, of how far it is behind, and of its end.

use serde_json::json;
use sqlx::{Executor, PgPool};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use system_tests::system::{Folder, Options, System, command, program};
use system_tests::wait;
use tokio::process::Child;

/// Postgres stops within this.
const PATIENCE: Duration = Duration::from_secs(60);

/// A copy of the system's Postgres that follows it. It ends with the value, as its keeper's input does.
struct Standby {
    keeper: Child,
    pool: PgPool,
    _home: Folder,
}

impl Standby {
    #[expect(clippy::disallowed_methods, reason = "tests look at rows from outside")]
    async fn start(system: &System) -> Self {
        let primary = system.database().await;
        let (programs, data): (String, String) = sqlx::query_as(
            "SELECT (SELECT setting FROM pg_config WHERE name = 'BINDIR'), current_setting('data_directory')",
        )
        .fetch_one(&primary)
        .await
        .expect("where Postgres is");
        let home = Folder::new();
        let copy = home.path().join("data");
        // What it writes into `data` (the address of the primary, with the password) is what makes it a standby.
        let copied = command(Path::new(&programs).join("pg_basebackup"))
            .args(["--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync"])
            .args(["--dbname", &system.ready.database_url, "--pgdata"])
            .arg(&copy)
            .output()
            .await
            .expect("pg_basebackup starts");
        assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
        let owner = std::fs::metadata(&data).expect("the primary's data");
        give(home.path(), owner.uid(), owner.gid());
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let port = free.expect("a port").port();
        let mut keeper = command(program("spool"));
        keeper
            .args(["postgres", "keep", "--binaries", &programs, "--home"])
            .arg(home.path())
            .args(["--port", &port.to_string()])
            .env("SPOOL_EXIT_ON_STDIN_CLOSE", "1");
        if nix::unistd::geteuid().is_root() {
            keeper.args(["--uid", &owner.uid().to_string(), "--gid", &owner.gid().to_string()]);
        }
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=500",
            "fsync=off",
            // How often it tells where it stands.
            "wal_receiver_status_interval=1s",
        ] {
            keeper.args(["--setting", setting]);
        }
        let keeper =
            keeper.stdin(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn().expect("it starts");
        let mut address: reqwest::Url = system.ready.database_url.parse().expect("an address");
        address.set_port(Some(port)).expect("a port");
        let pool = PgPool::connect_lazy(address.as_str()).expect("an address");
        wait::until("the standby", async || pool.acquire().await.ok().map(|_| ())).await;
        Self { keeper, pool, _home: home }
    }

    async fn run(&self, statement: &'static str) {
        self.pool.execute(statement).await.expect(statement);
    }

    async fn stop(mut self) {
        self.pool.close().await;
        drop(self.keeper.stdin.take());
        let ended = tokio::time::timeout(PATIENCE, self.keeper.wait()).await;
        ended.expect("the standby ends").expect("and is waited for");
    }
}

/// Postgres does not run as root, and insists on owning its data.
fn give(path: &Path, uid: u32, gid: u32) {
    std::os::unix::fs::lchown(path, Some(uid), Some(gid)).expect("given away");
    if path.is_dir() && !path.is_symlink() {
        for entry in std::fs::read_dir(path).expect("a folder") {
            give(&entry.expect("an entry").path(), uid, gid);
        }
    }
}

/// A figure without labels, as Prometheus reads it.
async fn figure(system: &System, name: &str) -> Option<f64> {
    let page =
        system.http.get(format!("{}/metrics", system.ready.api)).send().await.ok()?.text().await.ok()?;
    page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

async fn until_figure(system: &System, name: &str, is_so: impl Fn(f64) -> bool) {
    wait::until(name, async || figure(system, name).await.filter(|value| is_so(*value))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_falls_behind_or_goes_is_seen() {
    const REPLICAS: &str = "spool_postgres_replicas";
    const LAG: &str = "spool_postgres_replication_lag_seconds";
    let system = System::start(&Options::default()).await;
    until_figure(&system, REPLICAS, |replicas| replicas < 0.5).await;
    let standby = Standby::start(&system).await;
    until_figure(&system, REPLICAS, |replicas| replicas > 0.5).await;
    // It has to have followed once to be seen standing still.
    system.post("/api/v3/clients", json!({"name": "Followed"})).await;
    wait::until("the client at the standby", async || {
        let there = standby.pool.fetch_optional("SELECT FROM clients WHERE name = 'Followed'").await;
        there.ok().flatten().map(|_| ())
    })
    .await;
    standby.run("SELECT pg_wal_replay_pause()").await;
    system.post("/api/v3/clients", json!({"name": "Not followed"})).await;
    until_figure(&system, LAG, |seconds| seconds > 2.0).await;
    standby.run("SELECT pg_wal_replay_resume()").await;
    until_figure(&system, LAG, |seconds| seconds < 1.0).await;
    standby.stop().await;
    until_figure(&system, REPLICAS, |replicas| replicas < 0.5).await;
    system.stop().await;
}
