//! One cluster: made once, run by a keeper, reached on 127.0.0.1 with a password.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use sqlx::migrate::MigrateDatabase;
use sqlx::{ConnectOptions, Connection, Postgres, postgres::PgConnectOptions};

use super::account::{self, AccountError, Home};
use super::binaries::{self, Binaries, BinariesError};
use crate::supervisor::data_folder::write_private;
use crate::supervisor::process::{ProcessError, Program};
use crate::supervisor::service::{Plan, Service};

const SUPERUSER: &str = "spool";
const DATABASE: &str = "spool";
/// A cluster that was killed first replays its log; minutes of writes take a while.
const START_LIMIT: Duration = Duration::from_secs(120);
const START_POLL: Duration = Duration::from_millis(50);
const INITDB_LIMIT: Duration = Duration::from_secs(120);
/// The keeper asks for a fast stop, which ends sessions and writes a checkpoint.
const STOP_GRACE: Duration = Duration::from_secs(45);

/// Settings of every cluster of ours: loopback only, no socket in a shared folder, times in UTC, and connections
/// enough for an API, some workers and a test run.
const SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "timezone=UTC",
    "log_timezone=UTC",
    "max_connections=500",
    "shared_buffers=128MB",
];
/// What a crash of the machine may cost is given up: for data that nobody keeps.
const UNSAFE_SETTINGS: &[&str] = &["fsync=off", "synchronous_commit=off", "full_page_writes=off"];

/// File beside the data that tells whose it is.
const OWNER: &str = "owner";

/// The cluster cannot be made or started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    #[error(transparent)]
    Binaries(#[from] BinariesError),
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error("cannot make the Postgres cluster in {}", path.display())]
    Make { path: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("Postgres accepts no connection after {} s; see {}", START_LIMIT.as_secs(), log.display())]
    NotReady { log: PathBuf, source: sqlx::Error },
    #[error("cannot make the database {DATABASE}")]
    Database(#[source] sqlx::Error),
}

/// How careful a cluster is with its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// As Postgres comes: a commit survives a power cut.
    Safe,
    /// Fast and unsafe, for tests.
    None,
}

/// A cluster that exists on disk.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) binaries: Binaries,
    pub(crate) home: Home,
    password: SecretString,
    port: u16,
    durability: Durability,
}

impl Cluster {
    /// Finds the cluster that should lie at `wanted`, or makes it.
    pub(crate) async fn open(
        wanted: &Path,
        password: SecretString,
        port: u16,
        durability: Durability,
    ) -> Result<Self, ClusterError> {
        let home = account::home(wanted).await?;
        let data = home.path.join("data");
        if home.moved {
            forget_another(&home.path, &data, &password)?;
        }
        let binaries = binaries::find(&data).await?;
        let cluster = Self { binaries, home, password, port, durability };
        if !data.join("PG_VERSION").exists() {
            cluster.initialise(&data).await?;
        }
        Ok(cluster)
    }

    /// Made beside its final place and renamed, so that a cluster is either whole or not there.
    async fn initialise(&self, data: &Path) -> Result<(), ClusterError> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| ClusterError::Make {
            path: self.home.path.clone(),
            source,
        };
        let unfinished = self.home.path.join("data.new");
        if unfinished.exists() {
            std::fs::remove_dir_all(&unfinished).map_err(|error| failed(error.into()))?;
        }
        let password_file = self.home.path.join("password");
        write_private(&password_file, self.password.expose_secret()).map_err(|error| failed(error.into()))?;
        if let Some(account) = self.home.run_as {
            chown(&password_file, Some(account.uid), Some(account.gid))
                .map_err(|error| failed(error.into()))?;
        }
        let mut initdb = Program::new(self.binaries.folder.join("initdb"))
            .args(["--username", SUPERUSER, "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale"])
            .arg("--pwfile")
            .arg(&password_file)
            .arg("--pgdata")
            .arg(&unfinished);
        if self.durability == Durability::None {
            initdb = initdb.arg("--no-sync");
        }
        let made = initdb.in_folder(&self.home.path).run_as(self.home.run_as).output(INITDB_LIMIT).await;
        let _ = std::fs::remove_file(&password_file);
        made.map_err(|error| failed(error.into()))?;
        std::fs::write(self.home.path.join(OWNER), owner(&self.password))
            .map_err(|error| failed(error.into()))?;
        std::fs::rename(&unfinished, data).map_err(|error| failed(error.into()))
    }

    /// Starts it under a keeper and waits until it accepts connections and has its database. With `remove`, the
    /// keeper deletes the cluster and that folder when it ends, however that comes.
    pub(crate) async fn start(
        &self,
        program: &Path,
        log: PathBuf,
        remove: Option<&Path>,
    ) -> Result<Service, ClusterError> {
        let service = Service::start(Plan {
            name: "postgres".to_owned(),
            program: self.keeper(program, remove),
            log: log.clone(),
            announces: false,
            grace: STOP_GRACE,
        })
        .await?;
        if let Err(error) = self.ready(log).await {
            service.stop().await;
            return Err(error);
        }
        Ok(service)
    }

    fn keeper(&self, program: &Path, remove: Option<&Path>) -> Program {
        let mut keeper = Program::new(program)
            .args(["postgres", "keep", "--binaries"])
            .arg(&self.binaries.folder)
            .arg("--home")
            .arg(&self.home.path)
            .args(["--port", &self.port.to_string()]);
        if let Some(account) = self.home.run_as {
            keeper = keeper.args(["--uid", &account.uid.to_string(), "--gid", &account.gid.to_string()]);
        }
        let more: &[&str] = if self.durability == Durability::None { UNSAFE_SETTINGS } else { &[] };
        for setting in SETTINGS.iter().chain(more) {
            keeper = keeper.args(["--setting", setting]);
        }
        match remove {
            Some(folder) => keeper.arg("--remove").arg(folder),
            None => keeper,
        }
    }

    async fn ready(&self, log: PathBuf) -> Result<(), ClusterError> {
        let options = self.connect_options().database("postgres");
        let deadline = Instant::now() + START_LIMIT;
        loop {
            match options.connect().await {
                Ok(connection) => {
                    let _ = connection.close().await;
                    break;
                }
                Err(source) if Instant::now() >= deadline => {
                    return Err(ClusterError::NotReady { log, source });
                }
                Err(_) => tokio::time::sleep(START_POLL).await,
            }
        }
        let url = self.url();
        if !Postgres::database_exists(&url).await.map_err(ClusterError::Database)? {
            Postgres::create_database(&url).await.map_err(ClusterError::Database)?;
        }
        Ok(())
    }

    fn connect_options(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port)
            .username(SUPERUSER)
            .password(self.password.expose_secret())
            .database(DATABASE)
    }

    /// `DATABASE_URL` of this cluster. It holds the password.
    pub(crate) fn url(&self) -> String {
        let Self { password, port, .. } = self;
        format!("postgres://{SUPERUSER}:{}@127.0.0.1:{port}/{DATABASE}", password.expose_secret())
    }
}

/// A cluster that lies outside its data folder outlives it. When the folder was deleted and made again, the old
/// cluster is nobody's, and nobody knows its password.
fn forget_another(home: &Path, data: &Path, password: &SecretString) -> Result<(), ClusterError> {
    let noted = std::fs::read_to_string(home.join(OWNER)).unwrap_or_default();
    if data.exists() && noted != owner(password) {
        tracing::info!(file = %data.display(), "the data folder is new: deleting the cluster of its predecessor");
        std::fs::remove_dir_all(data)
            .map_err(|error| ClusterError::Make { path: data.to_owned(), source: error.into() })?;
    }
    Ok(())
}

/// Tells clusters apart without telling the password.
fn owner(password: &SecretString) -> String {
    let digest = Sha256::digest(password.expose_secret());
    format!("{:032x}", digest.iter().take(16).fold(0_u128, |short, byte| short << 8 | u128::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_kept_for_its_owner_and_deleted_for_another() {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let ours = SecretString::from("ours");
        std::fs::write(home.path().join(OWNER), owner(&ours)).unwrap();
        forget_another(home.path(), &data, &ours).unwrap();
        assert!(data.exists());
        forget_another(home.path(), &data, &SecretString::from("theirs")).unwrap();
        assert!(!data.exists());
    }
}
