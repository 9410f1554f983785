//! Starting and stopping a whole stack: each part waits for what it needs, and what failed is undone.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use secrecy::SecretString;

use super::options::StackOptions;
use super::programs::{self, ProgramsError, Provider, Shared, Siblings};
use super::ready::Ready;
use super::running_file::RunningFile;
use super::schema::{self, SchemaError};
use crate::postgres::cluster::{Cluster, ClusterError, Durability};
use crate::supervisor::data_folder::{DataFolder, FolderError, Ports};
use crate::supervisor::ports::{self, PortError};
use crate::supervisor::process::{ProcessError, Program};
use crate::supervisor::service::{Plan, Service};
use crate::supervisor::strays;

const USUAL_API_PORT: u16 = 8080;
const USUAL_SIMULATOR_PORT: u16 = 8100;
const USUAL_CDN_PORT: u16 = 8101;
/// How long API and simulator may take to answer what is open.
const SERVER_GRACE: Duration = Duration::from_secs(15);
/// Beyond its own grace, for a worker to kill its FFmpeg and hand back its tasks.
const WORKER_EXTRA: Duration = Duration::from_secs(10);
/// For a child of a child that is just ending by itself.
const STRAY_GRACE: Duration = Duration::from_secs(5);

/// A part of the stack did not come up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StackError {
    #[error(transparent)]
    Programs(#[from] ProgramsError),
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Port(#[from] PortError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("{service} announced itself without {field:?}")]
    Announcement { service: &'static str, field: &'static str },
}

/// A stack that is starting or running. [`Stack::stop`] ends it, however far it came.
#[derive(Debug)]
pub(crate) struct Stack {
    folder: Arc<DataFolder>,
    siblings: Siblings,
    postgres: Option<Service>,
    simulator: Option<Service>,
    api: Option<Service>,
    workers: Vec<Service>,
    running_file: Option<RunningFile>,
}

impl Stack {
    /// Takes the data folder. Nothing runs yet.
    pub(crate) fn open(data_dir: &Path) -> Result<Self, StackError> {
        let siblings = Siblings::find()?;
        let folder = Arc::new(DataFolder::open(data_dir)?);
        strays::adopt_orphans();
        Ok(Self {
            folder,
            siblings,
            postgres: None,
            simulator: None,
            api: None,
            workers: Vec::new(),
            running_file: None,
        })
    }

    /// Starts everything in order; `say` gets one line for each part that is up. After an error, and when the
    /// future is dropped half way, [`Stack::stop`] undoes what was started.
    pub(crate) async fn start(
        &mut self,
        options: &StackOptions,
        say: impl Fn(&str, String),
    ) -> Result<Ready, StackError> {
        if options.real_providers {
            Provider::check_real()?;
        }
        let ports = self.choose_ports(options)?;

        let (database_url, postgres_data) = self.start_postgres(ports.postgres, &say).await?;
        let pool = schema::connect(&database_url).await?;
        schema::migrate(&pool).await?;
        let key = schema::dev_key(&pool, &self.folder).await?;
        pool.close().await;
        say("schema", "up to date".to_owned());

        let provider = if options.real_providers {
            say("provider", "Replicate: renders cost money".to_owned());
            Provider::Real
        } else {
            let url = self.start_simulator(options, &ports).await?;
            say(
                "simulator",
                format!("{url}, {} times as fast as the models; nothing is charged", options.speed),
            );
            Provider::Simulator { url, cdn_port: ports.cdn, speed: options.speed }
        };
        let simulator = match &provider {
            Provider::Simulator { url, .. } => Some(url.clone()),
            Provider::Real => None,
        };
        let local = format!("http://127.0.0.1:{}", ports.api);
        let shared = Shared {
            public_base_url: match (&provider, std::env::var("PUBLIC_BASE_URL")) {
                (Provider::Real, Ok(given)) => given,
                _ => local,
            },
            database_url: database_url.clone(),
            signing_key: self.folder.random_secret("signing.key")?,
            media: self.folder.path("media"),
            provider,
        };
        let api = self.start_api(&shared, ports.api).await?;
        say("api", api.clone());
        self.start_workers(&shared, options.workers.get()).await?;
        let worker_pids: Vec<u32> = self.workers.iter().filter_map(Service::pid).collect();
        say("workers", format!("{} (process {})", self.workers.len(), list(&worker_pids)));

        let all = self.postgres.iter().chain(&self.simulator).chain(&self.api).chain(&self.workers);
        self.running_file = Some(RunningFile::keep(self.folder.clone(), postgres_data, all));
        let metrics = |worker| announced(worker, "worker", "metrics");
        let worker_metrics = self.workers.iter().map(metrics).collect::<Result<_, _>>()?;
        Ok(Ready { api, simulator, key, database_url, worker_pids, worker_metrics })
    }

    fn choose_ports(&self, options: &StackOptions) -> Result<Chosen, StackError> {
        let last = self.folder.ports();
        let chosen = Chosen {
            postgres: ports::choose(Some(0), last.postgres, None, "--postgres-port")?,
            api: ports::choose(options.api_port, last.api, Some(USUAL_API_PORT), "--api-port")?,
            simulator: ports::choose(
                options.simulator_port,
                last.simulator,
                Some(USUAL_SIMULATOR_PORT),
                "--simulator-port",
            )?,
            // The CDN follows the simulator: a usual port for a usual one.
            cdn: ports::choose(
                options.simulator_port.map(|_| 0),
                last.cdn,
                Some(USUAL_CDN_PORT),
                "--simulator-port",
            )?,
        };
        self.folder.remember_ports(Ports {
            postgres: Some(chosen.postgres),
            api: Some(chosen.api),
            simulator: Some(chosen.simulator),
            cdn: Some(chosen.cdn),
        })?;
        Ok(chosen)
    }

    async fn start_postgres(
        &mut self,
        port: u16,
        say: impl Fn(&str, String),
    ) -> Result<(SecretString, std::path::PathBuf), StackError> {
        let password = self.folder.random_secret("postgres.password")?;
        let cluster = Cluster::open(&self.folder.path("pg"), password, port, Durability::Safe).await?;
        self.postgres = Some(cluster.start(&self.siblings.spool, self.folder.log("postgres"), None).await?);
        let home = &cluster.home;
        let mut line = format!(
            "{} from {}, data in {}, port {port}",
            cluster.binaries.version,
            cluster.binaries.folder.display(),
            home.path.display(),
        );
        if let Some(account) = home.run_as {
            let why = if home.moved { ", who cannot enter the data folder" } else { "" };
            line = format!("{line}; root is refused, so it runs as user id {}{why}", account.uid);
        }
        say("postgres", line);
        Ok((SecretString::from(cluster.url()), home.path.join("data")))
    }

    async fn start_simulator(
        &mut self,
        options: &StackOptions,
        ports: &Chosen,
    ) -> Result<String, StackError> {
        let data = self.folder.path("simulator");
        let program = self.siblings.simulator(options, ports.simulator, ports.cdn, &data);
        let service = self.service("simulator", program, SERVER_GRACE).await?;
        let url = announced(&service, "simulator", "listening");
        self.simulator = Some(service);
        url
    }

    async fn start_api(&mut self, shared: &Shared, port: u16) -> Result<String, StackError> {
        let service = self.service("api", self.siblings.api(shared, port), SERVER_GRACE).await?;
        let url = announced(&service, "api", "listening");
        self.api = Some(service);
        url
    }

    async fn start_workers(&mut self, shared: &Shared, count: usize) -> Result<(), StackError> {
        let grace = Duration::from_secs(programs::worker_grace_seconds()) + WORKER_EXTRA;
        let starting = (1..=count).map(|number| {
            let name = format!("worker-{number}");
            let program = self.siblings.worker(shared, &name);
            self.service_named(name, program, grace)
        });
        let mut failed = None;
        let started = join_all(starting).await;
        for service in started {
            match service {
                Ok(service) => self.workers.push(service),
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    async fn service(&self, name: &str, program: Program, grace: Duration) -> Result<Service, ProcessError> {
        self.service_named(name.to_owned(), program, grace).await
    }

    async fn service_named(
        &self,
        name: String,
        program: Program,
        grace: Duration,
    ) -> Result<Service, ProcessError> {
        let log = self.folder.log(&name);
        Service::start(Plan { name, program, log, announces: true, grace }).await
    }

    /// Stops everything in order: workers first, so that they can hand back, Postgres last.
    pub(crate) async fn stop(self) {
        drop(self.running_file);
        join_all(self.workers.into_iter().map(Service::stop)).await;
        for service in [self.api, self.simulator, self.postgres].into_iter().flatten() {
            service.stop().await;
        }
        strays::clear(STRAY_GRACE).await;
    }

    /// The folder with logs and media.
    pub(crate) fn data_dir(&self) -> &Path {
        self.folder.root()
    }
}

struct Chosen {
    postgres: u16,
    api: u16,
    simulator: u16,
    cdn: u16,
}

fn announced(service: &Service, name: &'static str, field: &'static str) -> Result<String, StackError> {
    let value = service.announced()[field].as_str();
    value.map(str::to_owned).ok_or(StackError::Announcement { service: name, field })
}

fn list(pids: &[u32]) -> String {
    pids.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}
