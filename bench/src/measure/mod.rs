//! What all measurements share: databases made from templates, one run at a time, a limit for all together.

pub(crate) mod compare;
pub(crate) mod curves;
pub(crate) mod recovery;
pub(crate) mod soak;
pub(crate) mod under_load;

use std::{
    collections::HashMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::{
    contestant::{Answer, Config},
    database::{Backlog, Server},
    figures::BoxError,
    program::{Call, Program},
    report::Report,
    roster::{RAW, Side},
    server_cpu::Postmaster,
};

/// One run of one program; most take a second or two.
const RUN_LIMIT: Duration = Duration::from_secs(60);

/// Why a run was not even begun.
const LATE: &str = "no time left";

/// A database that is copied for each run.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Template {
    side: &'static str,
    config: Config,
    tasks: usize,
    backlog: Backlog,
    payload_bytes: usize,
}

/// A run of the whole benchmark.
pub(crate) struct Bench {
    pub(crate) server: Server,
    pub(crate) report: Report,
    postmaster: Option<Postmaster>,
    templates: HashMap<Template, Result<String, String>>,
    started: Instant,
    until: Instant,
}

/// What is measured in one run.
pub(crate) struct Trial<'a> {
    pub(crate) action: &'a str,
    pub(crate) config: Config,
    pub(crate) tasks: usize,
    /// Tasks that are in the queue before.
    pub(crate) filled: usize,
    pub(crate) backlog: Backlog,
    pub(crate) payload_bytes: usize,
    pub(crate) snapshot: bool,
    pub(crate) more: Vec<String>,
    /// Where its standard error goes; else its last words are shown when it fails.
    pub(crate) log: Option<PathBuf>,
}

impl Default for Trial<'_> {
    fn default() -> Self {
        Self {
            action: "drain",
            config: Config::Default,
            tasks: 0,
            filled: 0,
            backlog: Backlog::default(),
            payload_bytes: 0,
            snapshot: false,
            more: Vec::new(),
            log: None,
        }
    }
}

/// An answer, and the CPU of Postgres meanwhile.
pub(crate) struct Measured {
    pub(crate) answer: Answer,
    pub(crate) server_cpu: f64,
}

impl Measured {
    pub(crate) fn rate(&self) -> f64 {
        self.answer.tasks as f64 / self.answer.seconds
    }

    /// Seconds of CPU per 10,000 tasks, worker and Postgres together.
    pub(crate) fn cpu_per_10k(&self) -> f64 {
        (self.answer.cpu_seconds + self.server_cpu) / self.answer.tasks as f64 * 1e4
    }
}

impl Bench {
    pub(crate) async fn new(url: &str, rounds: usize, limit: Duration) -> Result<Self, BoxError> {
        let server = Server::new(url)?;
        let report = Report::new(server.settings().await?, rounds).await;
        let postmaster = server.postmaster().await.ok();
        let started = Instant::now();
        Ok(Self { server, report, postmaster, templates: HashMap::new(), started, until: started + limit })
    }

    /// Progress, for whoever waits.
    pub(crate) fn say(&self, what: &str) {
        let seconds = self.started.elapsed().as_secs();
        eprintln!("{:02}:{:02} {what}", seconds / 60, seconds % 60);
    }

    pub(crate) fn is_late(&self) -> bool {
        Instant::now() > self.until
    }

    pub(crate) fn server_cpu(&self) -> f64 {
        self.postmaster.as_ref().map_or(f64::NAN, Postmaster::cpu_seconds)
    }

    /// A database with what the trial needs. Its owner drops it.
    pub(crate) async fn database(&mut self, side: &Side, trial: &Trial<'_>) -> Result<String, String> {
        if self.is_late() {
            return Err(LATE.to_owned());
        }
        side.program.check()?;
        let wanted = Template {
            side: side.name,
            config: trial.config,
            tasks: trial.filled,
            backlog: trial.backlog,
            payload_bytes: trial.payload_bytes,
        };
        let template = if let Some(made) = self.templates.get(&wanted) {
            made.clone()
        } else {
            let made = self.template(side, &wanted).await;
            self.templates.insert(wanted, made.clone());
            made
        };
        self.server.create(Some(&template?)).await.map_err(|error| error.to_string())
    }

    async fn template(&mut self, side: &Side, wanted: &Template) -> Result<String, String> {
        let name = self.server.create(None).await.map_err(|error| error.to_string())?;
        let url = self.server.url(&name);
        let call = |action, tasks| Call {
            action,
            config: wanted.config,
            url: &url,
            tasks,
            more: payload_option(wanted.payload_bytes),
            log: None,
        };
        let setup = Call { more: Vec::new(), ..call("setup", 0) };
        side.program.run(&setup, RUN_LIMIT).await?;
        if wanted.backlog != Backlog::default() {
            let laid = self.server.lay(&name, side.name == RAW, wanted.backlog).await;
            laid.map_err(|error| error.to_string())?;
        }
        if wanted.tasks > 0 {
            side.program.run(&call("fill", wanted.tasks), RUN_LIMIT).await?;
        }
        self.server.settle(&name).await.map_err(|error| error.to_string())?;
        Ok(name)
    }

    pub(crate) async fn run(&mut self, side: &Side, trial: Trial<'_>) -> Result<Measured, String> {
        let name = self.database(side, &trial).await?;
        let measured = self.run_in(&name, &side.program, &trial).await;
        let dropped = self.server.drop(&name).await;
        let measured = measured?;
        dropped.map_err(|error| error.to_string())?;
        Ok(measured)
    }

    async fn run_in(&self, name: &str, program: &Program, trial: &Trial<'_>) -> Result<Measured, String> {
        let text = |error: BoxError| error.to_string();
        let url = self.server.url(name);
        let snapshot =
            if trial.snapshot { Some(self.server.snapshot(name).await.map_err(text)?) } else { None };
        let mut more = trial.more.clone();
        if trial.action == "fill" {
            more.extend(payload_option(trial.payload_bytes));
        }
        let log = trial.log.as_deref();
        let call =
            Call { action: trial.action, config: trial.config, url: &url, tasks: trial.tasks, more, log };
        let before = self.server_cpu();
        let answer = program.run(&call, RUN_LIMIT).await?;
        let server_cpu = self.server_cpu() - before;
        drop(snapshot);
        Ok(Measured { answer, server_cpu })
    }
}

fn payload_option(bytes: usize) -> Vec<String> {
    if bytes == 0 { Vec::new() } else { vec!["--payload-bytes".to_owned(), bytes.to_string()] }
}
