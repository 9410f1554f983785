//! Prometheus, Alertmanager and Grafana as services of this machine, with the settings of the repository changed to where things are.

use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use url::Url;

use super::sources::{Grafana, Sources};
use crate::commands::keep;
use crate::stack::ready::Ready;
use crate::supervisor::ports::{self, PortError};
use crate::supervisor::process::{ProcessError, Program};
use crate::supervisor::service::{Plan, Service};

/// What the settings of the repository say, and what stands in its place here.
const API: &str = "'127.0.0.1:8080'";
const WORKER: &str = "'127.0.0.1:8081'";
const ALERTMANAGER: &str = "'127.0.0.1:9093'";
const RULES: &str = "alerts/*.yaml";
const RECEIVER: &str = "    webhook_configs: [{url: 'http://127.0.0.1:9095/', send_resolved: true}]\n";
/// Somebody watches, and a minute shall be enough for a rate.
const INTERVALS: [(&str, &str); 2] = [
    ("scrape_interval: 15s", "scrape_interval: 5s"),
    ("evaluation_interval: 15s", "evaluation_interval: 5s"),
];

/// Something that watches did not come up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WatchersError {
    #[error("cannot {doing} {}", path.display())]
    File { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{} does not say {missing:?} any more: watchers.rs must know what it says now", path.display())]
    Changed { path: PathBuf, missing: String },
    #[error(transparent)]
    Port(#[from] PortError),
    #[error(transparent)]
    Process(#[from] ProcessError),
}

/// Those that run.
#[derive(Debug)]
pub(crate) struct Watchers {
    services: Vec<Service>,
    pub(crate) prometheus: String,
    pub(crate) alertmanager: String,
    pub(crate) grafana: Option<String>,
}

impl Watchers {
    /// Starts them and waits until they answer. `folder` is theirs.
    pub(crate) async fn start(
        sources: &Sources,
        ready: &Ready,
        folder: &Path,
    ) -> Result<Self, WatchersError> {
        let room = Room { folder, sources };
        room.make("logs")?;
        let (alertmanager, prometheus) = (local(ports::any()?), local(ports::any()?));
        // What has started is dropped, and so asked to stop, when the next one fails.
        let mut services = vec![room.alertmanager(&alertmanager).await?];
        services.push(room.prometheus(&prometheus, &alertmanager, ready).await?);
        let mut grafana = None;
        if let Some(installed) = &sources.grafana {
            let address = local(ports::any()?);
            services.push(room.grafana(installed, &address, &prometheus, ready).await?);
            grafana = Some(address);
        }
        Ok(Self { services, prometheus, alertmanager, grafana })
    }

    pub(crate) async fn stop(self) {
        futures::future::join_all(self.services.into_iter().map(Service::stop)).await;
    }
}

fn local(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// An address as Prometheus writes targets.
fn target(address: &str) -> &str {
    address.trim_start_matches("http://").trim_end_matches('/')
}

/// Where they keep their things.
struct Room<'a> {
    folder: &'a Path,
    sources: &'a Sources,
}

impl Room<'_> {
    fn make(&self, name: &str) -> Result<PathBuf, WatchersError> {
        let path = self.folder.join(name);
        std::fs::create_dir_all(&path).map_err(file("make", &path))?;
        Ok(path)
    }

    /// A file of the repository's settings with some of its words changed, written here.
    fn settings(&self, name: &str, changes: &[(&str, &str)]) -> Result<PathBuf, WatchersError> {
        let from = self.sources.settings.join(name);
        let text = std::fs::read_to_string(&from).map_err(file("read", &from))?;
        let text =
            changed(&text, changes).map_err(|missing| WatchersError::Changed { path: from, missing })?;
        let path = self.folder.join(name);
        std::fs::write(&path, text).map_err(file("write", &path))?;
        Ok(path)
    }

    async fn start(&self, name: &str, program: Program) -> Result<Service, WatchersError> {
        let log = self.folder.join("logs").join(format!("{name}.log"));
        let plan = Plan { name: name.to_owned(), program, log, announces: true, grace: keep::GRACE * 2 };
        Ok(Service::start(plan).await?)
    }

    async fn alertmanager(&self, address: &str) -> Result<Service, WatchersError> {
        // Nobody is called at night: what it would tell people is shown here.
        let settings = self.settings("alertmanager.yaml", &[(RECEIVER, "")])?;
        let program = kept(&self.sources.alertmanager, &format!("{address}/-/ready"))
            .arg(flag("config.file", &settings))
            .arg(flag("storage.path", &self.make("alertmanager")?))
            .args([
                format!("--web.listen-address={}", target(address)),
                "--cluster.listen-address=".to_owned(),
            ]);
        self.start("alertmanager", program).await
    }

    async fn prometheus(
        &self,
        address: &str,
        alertmanager: &str,
        ready: &Ready,
    ) -> Result<Service, WatchersError> {
        let quoted = |address: &str| format!("'{}'", target(address));
        let workers: Vec<String> = ready.worker_metrics.iter().map(|address| quoted(address)).collect();
        let rules = self.sources.settings.join(RULES).display().to_string();
        let changes = [
            (API, quoted(&ready.api)),
            (WORKER, workers.join(", ")),
            (ALERTMANAGER, quoted(alertmanager)),
            (RULES, format!("'{rules}'")),
        ];
        let changes: Vec<(&str, &str)> =
            changes.iter().map(|(from, to)| (*from, to.as_str())).chain(INTERVALS).collect();
        let settings = self.settings("prometheus.yaml", &changes)?;
        let program = kept(&self.sources.prometheus, &format!("{address}/-/ready"))
            .arg(flag("config.file", &settings))
            .arg(flag("storage.tsdb.path", &self.make("prometheus")?))
            .args([format!("--web.listen-address={}", target(address)), "--log.level=warn".to_owned()]);
        self.start("prometheus", program).await
    }

    /// By the variables that Grafana documents. Everybody on this machine may look; nobody is asked to sign in.
    async fn grafana(
        &self,
        installed: &Grafana,
        address: &str,
        prometheus: &str,
        ready: &Ready,
    ) -> Result<Service, WatchersError> {
        let port = target(address).rsplit(':').next().unwrap_or_default();
        let database = Url::parse(ready.database_url.expose_secret()).ok();
        let of = |part: fn(&Url) -> &str| database.as_ref().map(part).unwrap_or_default();
        let host = format!("127.0.0.1:{}", database.as_ref().and_then(Url::port).unwrap_or(5432));
        let mut program = kept(&installed.program, &format!("{address}/api/health"))
            .arg("server")
            .arg("--homepath")
            .arg(&installed.home)
            .env("GF_PATHS_DATA", self.make("grafana")?)
            .env("GF_PATHS_LOGS", self.make("grafana/logs")?)
            .env("GF_PATHS_PROVISIONING", self.sources.settings.join("provisioning"))
            .env("SPOOL_DASHBOARDS", self.sources.settings.join("dashboards"));
        for (name, value) in [
            ("GF_SERVER_HTTP_ADDR", "127.0.0.1"),
            ("GF_SERVER_HTTP_PORT", port),
            ("GF_AUTH_ANONYMOUS_ENABLED", "true"),
            ("GF_AUTH_ANONYMOUS_ORG_ROLE", "Viewer"),
            ("GF_ANALYTICS_REPORTING_ENABLED", "false"),
            ("GF_ANALYTICS_CHECK_FOR_UPDATES", "false"),
            ("SPOOL_PROMETHEUS_URL", prometheus),
            ("SPOOL_TEMPO_URL", ""),
            ("SPOOL_GRAFANA_DB_HOST", &host),
            ("SPOOL_GRAFANA_DB_USER", of(Url::username)),
            ("SPOOL_GRAFANA_DB_PASSWORD", of(|url| url.password().unwrap_or_default())),
            ("SPOOL_GRAFANA_DB_NAME", of(|url| url.path().trim_start_matches('/'))),
            ("SPOOL_GRAFANA_DB_SSLMODE", "disable"),
        ] {
            program = program.env(name, value);
        }
        self.start("grafana", program).await
    }
}

/// The program behind `spool keep`, so that it ends with us however we end.
fn kept(program: &Path, ready: &str) -> Program {
    let ourselves = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("spool"));
    Program::new(ourselves).args(["keep", "--ready", ready, "--"]).arg(program)
}

fn flag(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}

fn file<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> WatchersError + 'a {
    move |source| WatchersError::File { doing, path: path.to_owned(), source }
}

/// Each change made where its words stand; else the words that do not stand there.
fn changed(text: &str, changes: &[(&str, &str)]) -> Result<String, String> {
    let mut text = text.to_owned();
    for (from, to) in changes {
        if !text.contains(from) {
            return Err((*from).to_owned());
        }
        text = text.replace(from, to);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_of_the_repository_say_what_is_changed_here() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../grafana");
        let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
        let words = [API, WORKER, ALERTMANAGER, RULES].map(|from| (from, "x"));
        let prometheus: Vec<_> = words.into_iter().chain(INTERVALS).collect();
        let changed_there = changed(&read("prometheus.yaml"), &prometheus).unwrap();
        assert!(!changed_there.contains("127.0.0.1") && !changed_there.contains("15s"), "{changed_there}");
        let alertmanager = changed(&read("alertmanager.yaml"), &[(RECEIVER, "")]).unwrap();
        assert!(!alertmanager.contains("http"), "{alertmanager}");
        assert_eq!(changed("a", &[("b", "c")]), Err("b".to_owned()));
    }
}
