//! `spool demo`: photos in, a video out, with nothing but this repository.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use secrecy::SecretString;
use spool_telemetry::lifeline;
use tokio_util::sync::CancellationToken;

use super::Ending;
use crate::demo::api::Api;
use crate::demo::photos::{self, Photo};
use crate::demo::produce::{Produced, dollars, produce};
use crate::demo::video;
use crate::stack::options::{StackOptions, positive};
use crate::stack::ready::Ready;
use crate::stack::start::Stack;

/// Exit code after Ctrl-C, as shells report it.
const INTERRUPTED: u8 = 130;

#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// Folder of photos (jpg, png, webp); each pair in name order becomes a scene [default: examples/lodge].
    #[arg(long)]
    photos: Option<PathBuf>,
    /// Where the video goes [default: a file named after the job, in the data folder or the working folder].
    #[arg(long)]
    out: Option<PathBuf>,
    /// Use this API instead of starting one here.
    #[arg(long, value_name = "URL", requires = "key")]
    api: Option<String>,
    /// Key for that API, with scope write.
    #[arg(long, env = "SPOOL_KEY", hide_env_values = true)]
    key: Option<SecretString>,
    /// Folder of the system that is started here.
    #[arg(long, default_value = ".spool/demo", conflicts_with = "api")]
    data_dir: PathBuf,
    /// Simulated models run this many times faster than the real ones.
    #[arg(long, default_value_t = 30.0, value_parser = positive, conflicts_with = "api")]
    speed: f64,
    /// Give up after this many seconds.
    #[arg(long, default_value_t = 900)]
    timeout: u64,
}

pub(crate) async fn execute(demo: Demo) -> Ending {
    let stop = lifeline::watch();
    let photos = photos::find(demo.photos.as_deref())?;
    match (&demo.api, &demo.key) {
        (Some(url), Some(key)) => {
            let work = film(&demo, &photos, url, key.clone(), Path::new("."));
            let Some(produced) = unless_stopped(&stop, work).await else { return Ok(interrupted()) };
            report(&produced?, url, None).await;
            Ok(ExitCode::SUCCESS)
        }
        _ => film_here(&demo, &photos, &stop).await,
    }
}

/// Starts the whole system for the time of one video.
async fn film_here(demo: &Demo, photos: &[Photo], stop: &CancellationToken) -> Ending {
    let mut stack = Stack::open(&demo.data_dir)?;
    let folder = stack.data_dir().to_owned();
    let work = async {
        println!("starting Postgres, the simulator, the API and a worker in {}", folder.display());
        let ready = stack.start(&options(demo), |part, line| println!("  ok  {part:<10} {line}")).await?;
        let produced = film(demo, photos, &ready.api, ready.key.clone(), &folder).await?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>((ready, produced))
    };
    let ended = match unless_stopped(stop, work).await {
        Some(Ok((ready, produced))) => {
            report(&produced, &ready.api, Some((&ready, &folder))).await;
            Ok(ExitCode::SUCCESS)
        }
        Some(Err(error)) => {
            eprintln!("logs of all programs: {}", folder.join("logs").display());
            Err(error)
        }
        None => Ok(interrupted()),
    };
    stack.stop().await;
    ended
}

fn options(demo: &Demo) -> StackOptions {
    StackOptions {
        data_dir: demo.data_dir.clone(),
        api_port: Some(0),
        simulator_port: Some(0),
        workers: NonZeroUsize::MIN,
        speed: demo.speed,
        cheap_media: false,
        real_providers: false,
    }
}

async fn film(
    demo: &Demo,
    photos: &[Photo],
    url: &str,
    key: SecretString,
    folder: &Path,
) -> Result<Produced, Box<dyn std::error::Error + Send + Sync>> {
    let api = Api::new(url, key)?;
    let limit = Duration::from_secs(demo.timeout);
    Ok(produce(&api, photos, demo.out.as_deref(), folder, limit).await?)
}

async fn unless_stopped<T>(stop: &CancellationToken, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        () = stop.cancelled() => None,
    }
}

async fn report(produced: &Produced, api: &str, here: Option<(&Ready, &Path)>) {
    let megabytes = produced.bytes as f64 / 1e6;
    let about = video::describe(&produced.path).await.unwrap_or_else(|| "a video".to_owned());
    println!("video ready after {:.1} s: {about}, {megabytes:.1} MB", produced.took.as_secs_f64());
    println!("  file   {}", produced.path.display());
    let last = &produced.last;
    let settled = if last.costs["settled"].is_number() { "settled" } else { "estimated" };
    let simulated = if here.is_some_and(|(ready, _)| ready.simulator.is_some()) {
        ", simulated: nobody pays it"
    } else {
        ""
    };
    println!("  cost   {} ({settled}{simulated})", dollars(last, settled));
    match here {
        Some((_, folder)) => {
            println!(
                "  look   `spool dev --data-dir {}` serves this job again: {}",
                folder.display(),
                path_of(produced)
            );
            println!("  logs   {}", folder.join("logs").display());
        }
        None => println!("  look   {api}{}", path_of(produced)),
    }
    println!(
        "  next   `spool demo --photos FOLDER` films photos of yours; README.md has the first request by hand"
    );
}

fn path_of(produced: &Produced) -> String {
    format!("/api/v3/jobs/{}", produced.job)
}

fn interrupted() -> ExitCode {
    ExitCode::from(INTERRUPTED)
}
