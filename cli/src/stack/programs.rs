//! The programs of a stack as they are started: where each one lies, its arguments and its environment.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::options::StackOptions;
use crate::supervisor::process::Program;

/// The simulator takes any token, but none is no token.
const SIMULATED_TOKEN: &str = "r8_simulated";
/// Variables of a deployment that would make two programs of one machine collide.
const NOT_FOR_CHILDREN: [&str; 4] =
    ["SPOOL_WORKER_LISTEN", "SPOOL_WORKER_NAME", "SPOOL_API_LISTEN", "SPOOL_PGBOUNCER"];
/// A person at Ctrl-C does not wait for the half minute that a deployment grants.
const WORKER_GRACE_SECONDS: u64 = 5;

/// A program or a variable is missing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProgramsError {
    #[error("{} is missing: `cargo build --workspace` builds it beside `spool`", path.display())]
    Missing { path: PathBuf },
    #[error("cannot find out where this program lies")]
    Ourselves(#[source] std::io::Error),
    #[error("--real-providers needs {0} in the environment")]
    Variable(&'static str),
}

/// The binaries that lie beside this one.
#[derive(Debug, Clone)]
pub(crate) struct Siblings {
    pub(crate) spool: PathBuf,
    api: PathBuf,
    worker: PathBuf,
    simulator: PathBuf,
}

impl Siblings {
    /// Finds them all, so that a missing one is reported before anything starts.
    pub(crate) fn find() -> Result<Self, ProgramsError> {
        let spool = std::env::current_exe().map_err(ProgramsError::Ourselves)?;
        let beside = |name: &str| {
            let path = spool.with_file_name(name);
            if path.is_file() { Ok(path) } else { Err(ProgramsError::Missing { path }) }
        };
        Ok(Self {
            api: beside("spool-api")?,
            worker: beside("spool-worker")?,
            simulator: beside("spool-simulator")?,
            spool,
        })
    }

    pub(crate) fn simulator(&self, options: &StackOptions, port: u16, cdn_port: u16, data: &Path) -> Program {
        let program = Program::new(&self.simulator)
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .args(["--cdn-listen", &format!("127.0.0.1:{cdn_port}")])
            .arg("--data-dir")
            .arg(data)
            .args(["--speed", &options.speed.to_string()])
            .arg("--announce");
        if options.cheap_media { program.arg("--cheap-media") } else { program }
    }

    pub(crate) fn api(&self, shared: &Shared, port: u16) -> Program {
        shared
            .apply(Program::new(&self.api))
            .env("SPOOL_API_LISTEN", format!("127.0.0.1:{port}"))
            .arg("--announce")
    }

    pub(crate) fn worker(&self, shared: &Shared, name: &str) -> Program {
        let mut program = shared.apply(Program::new(&self.worker));
        if let Provider::Simulator { speed, .. } = shared.provider {
            for (variable, usual) in
                [("REPLICATE_CREATES_PER_MINUTE", 600.0), ("REPLICATE_READS_PER_MINUTE", 3000.0)]
            {
                if std::env::var_os(variable).is_none() {
                    program = program.env(variable, ((usual * speed).clamp(1.0, 1e9) as u32).to_string());
                }
            }
        }
        program
            .env("SPOOL_WORKER_NAME", name)
            // A port that is free: it is announced.
            .env("SPOOL_WORKER_LISTEN", "127.0.0.1:0")
            .env("SPOOL_WORKER_GRACE", worker_grace_seconds().to_string())
            .arg("--announce")
    }
}

/// How long a worker gets to finish what it runs: what the environment says, else a few seconds.
pub(crate) fn worker_grace_seconds() -> u64 {
    let given = std::env::var("SPOOL_WORKER_GRACE").ok();
    given.and_then(|text| text.trim().parse().ok()).unwrap_or(WORKER_GRACE_SECONDS)
}

/// What API and workers have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) database_url: SecretString,
    pub(crate) public_base_url: String,
    pub(crate) signing_key: SecretString,
    pub(crate) media: PathBuf,
    pub(crate) provider: Provider,
}

/// Whom the paid calls go to.
#[derive(Debug)]
pub(crate) enum Provider {
    Simulator {
        url: String,
        cdn_port: u16,
        /// Its limits are as many times wider as it is faster than life.
        speed: f64,
    },
    /// Token and secrets are in our environment already.
    Real,
}

impl Provider {
    /// What `--real-providers` needs must be there before anything starts.
    pub(crate) fn check_real() -> Result<(), ProgramsError> {
        for name in ["REPLICATE_API_TOKEN", "PUBLIC_BASE_URL"] {
            if std::env::var(name).unwrap_or_default().trim().is_empty() {
                return Err(ProgramsError::Variable(name));
            }
        }
        Ok(())
    }
}

impl Shared {
    fn apply(&self, program: Program) -> Program {
        let mut program = NOT_FOR_CHILDREN.into_iter().fold(program, Program::without_env);
        if let Provider::Simulator { url, cdn_port, .. } = &self.provider {
            let own_cdn = format!("127.0.0.1/32:{cdn_port}");
            let allowed = match std::env::var("SPOOL_FETCH_ALLOW") {
                Ok(more) if !more.trim().is_empty() => format!("{own_cdn},{more}"),
                _ => own_cdn,
            };
            program = program
                .without_env("REPLICATE_WEBHOOK_SECRET")
                .env("REPLICATE_API_TOKEN", SIMULATED_TOKEN)
                .env("REPLICATE_BASE_URL", format!("{url}/v1"))
                .env("SPOOL_FETCH_ALLOW", allowed);
        }
        program
            .env("DATABASE_URL", self.database_url.expose_secret())
            .env("PUBLIC_BASE_URL", &self.public_base_url)
            .env("SPOOL_SIGNING_KEY", self.signing_key.expose_secret())
            .env("SPOOL_MEDIA_URL", &self.media)
    }
}
