//! `spool observe`: everything on this machine under steady load, watched by a real Prometheus and Alertmanager, and by Grafana where the
//! machine has it; with an outage of the provider on request.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use reqwest::Client;
use spool_job::clock::{Clock, SystemClock};
use spool_telemetry::{build, lifeline};
use tokio_util::sync::CancellationToken;

use super::Ending;
use crate::demo::api::Api;
use crate::demo::photos;
use crate::observe::load::Load;
use crate::observe::pictures::Pictures;
use crate::observe::sources::Sources;
use crate::observe::watchers::Watchers;
use crate::observe::{alerts, outage};
use crate::stack::options::{StackOptions, positive};
use crate::stack::ready::Ready;
use crate::stack::start::Stack;

/// With an outage: long enough for what comes before it, itself, and the way back.
const STORY: Duration = Duration::from_secs(600);
/// When the outage begins and how long it is, in tenths of the whole.
const OUTAGE_TENTHS: (u32, u32) = (3, 4);
const STATUS_PERIOD: Duration = Duration::from_secs(30);

type Trouble = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, clap::Args)]
pub(crate) struct Observe {
    /// Folder of everything that is kept: database, media, keys, logs, what Prometheus saw.
    #[arg(long, default_value = ".spool/observe")]
    data_dir: PathBuf,
    /// Worker processes.
    #[arg(long, default_value = "2")]
    workers: NonZeroUsize,
    /// Simulated models run this many times faster than the real ones.
    #[arg(long, default_value_t = 10.0, value_parser = positive)]
    speed: f64,
    /// A job is made this often.
    #[arg(long, default_value = "8s", value_parser = duration)]
    every: Duration,
    /// End after this long, such as 90s, 10m or 1h [default: at Ctrl-C; with --outage: 10m].
    #[arg(long = "for", value_parser = duration)]
    length: Option<Duration>,
    /// The provider fails in the middle, and the dashboards are drawn just before the end of that and at the end of all.
    #[arg(long)]
    outage: bool,
    /// Draw the dashboards into this folder at the end [default with --outage: `pictures` in the data folder].
    #[arg(long, value_name = "FOLDER")]
    draw: Option<PathBuf>,
}

pub(crate) async fn execute(observe: Observe) -> Ending {
    let stop = lifeline::watch();
    let sources = Sources::find()?;
    let mut stack = Stack::open(&observe.data_dir)?;
    println!("spool {}  under steady load on this machine alone, at a simulated provider", build::VERSION);
    let mut watchers = None;
    let shown = show(&observe, &sources, &mut stack, &mut watchers, &stop).await;
    println!("stopping");
    if let Some(watchers) = watchers {
        watchers.stop().await;
    }
    stack.stop().await;
    shown.map(|()| ExitCode::SUCCESS)
}

/// Starts everything, and goes on until its time is over. What was started is the caller's to stop.
async fn show(
    observe: &Observe,
    sources: &Sources,
    stack: &mut Stack,
    watchers: &mut Option<Watchers>,
    stop: &CancellationToken,
) -> Result<(), Trouble> {
    let folder = stack.data_dir().to_owned();
    let starting = async {
        let say = |part: &str, line: String| println!("  ok  {part:<12} {line}");
        let ready = stack.start(&options(observe), say).await?;
        let watching = watchers.insert(Watchers::start(sources, &ready, &folder.join("watchers")).await?);
        let photos = photos::find(None)?;
        let load = Load::start(Api::new(&ready.api, ready.key.clone())?, &photos, observe.every).await?;
        Ok::<_, Trouble>((ready, load, &*watching))
    };
    let (ready, load, watching) = tokio::select! {
        started = starting => started?,
        () = stop.cancelled() => return Ok(()),
    };
    let client = Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
    let pictures = Pictures {
        client: client.clone(),
        prometheus: watching.prometheus.clone(),
        database_url: ready.database_url.clone(),
        gnuplot: sources.gnuplot.clone(),
    };
    let show = Show {
        observe,
        ready: &ready,
        load: &load,
        client: &client,
        pictures,
        begin: now(),
        folder: &folder,
    };
    show.say_where_to_look(watching);
    tokio::select! {
        told = show.story() => told?,
        () = alerts::tell(&client, &watching.alertmanager) => {}
        () = show.tell_status() => {}
        () = stop.cancelled() => {}
    }
    show.draw("the end").await
}

fn options(observe: &Observe) -> StackOptions {
    StackOptions {
        data_dir: observe.data_dir.clone(),
        api_port: Some(0),
        simulator_port: Some(0),
        workers: observe.workers,
        speed: observe.speed,
        cheap_media: true,
        real_providers: false,
    }
}

/// One showing, from when everything runs.
struct Show<'a> {
    observe: &'a Observe,
    ready: &'a Ready,
    load: &'a Load,
    client: &'a Client,
    pictures: Pictures,
    begin: f64,
    folder: &'a Path,
}

impl Show<'_> {
    fn say_where_to_look(&self, watchers: &Watchers) {
        println!("one job every {:.0} s. Where to look:", self.observe.every.as_secs_f64());
        println!(
            "  API           {}/api/docs, key in {}",
            self.ready.api,
            self.folder.join("dev.key").display()
        );
        println!("  Prometheus    {}/alerts", watchers.prometheus);
        println!("  Alertmanager  {}", watchers.alertmanager);
        if let Some(grafana) = &watchers.grafana {
            println!("  Grafana       {grafana}/dashboards");
        } else {
            println!(
                "  dashboards    no Grafana is on this machine; `spool observe --draw FOLDER` draws them at its end:"
            );
            println!(
                "                it asks what `spool-dashboards questions` lists and draws with `spool-dashboards draw`"
            );
        }
        println!("  logs          {}", self.folder.join("logs").display());
        match self.length() {
            Some(length) => println!("It ends after {:.0} s, or at Ctrl-C.", length.as_secs_f64()),
            None => println!("Stop: Ctrl-C."),
        }
    }

    fn length(&self) -> Option<Duration> {
        self.observe.length.or(self.observe.outage.then_some(STORY))
    }

    /// What happens until the end.
    async fn story(&self) -> Result<(), Trouble> {
        let Some(length) = self.length() else { return std::future::pending().await };
        let until = tokio::time::Instant::now() + length;
        if let (true, Some(simulator)) = (self.observe.outage, &self.ready.simulator) {
            let (before, away) = (length * OUTAGE_TENTHS.0 / 10, length * OUTAGE_TENTHS.1 / 10);
            tokio::time::sleep(before).await;
            println!("the provider fails from now on, for {:.0} s", away.as_secs_f64());
            outage::begin(self.client, simulator).await?;
            tokio::time::sleep(away).await;
            let drawn = self.draw("the outage").await;
            outage::end(self.client, simulator).await?;
            println!("the provider is well again");
            drawn?;
        }
        tokio::time::sleep_until(until).await;
        Ok(())
    }

    async fn tell_status(&self) {
        let mut tick = tokio::time::interval(STATUS_PERIOD);
        tick.tick().await;
        loop {
            tick.tick().await;
            println!("{}", self.status());
        }
    }

    fn status(&self) -> String {
        let tally = self.load.tally();
        let (made, completed, failed, live) = (tally.made, tally.completed, tally.failed, tally.live.len());
        format!("  jobs: {made} made, {completed} completed, {failed} failed, {live} on their way")
    }

    /// Draws what was seen since the begin, if somebody wants to see it.
    async fn draw(&self, when: &str) -> Result<(), Trouble> {
        let usual = self.observe.outage.then(|| self.folder.join("pictures"));
        let Some(folder) = self.observe.draw.clone().or(usual) else { return Ok(()) };
        let folder = folder.join(when.replace(' ', "-"));
        let tally = self.load.tally();
        let job = tally.live.first().copied().unwrap_or(tally.last);
        let since = Instant::now();
        let drawn = self.pictures.draw((self.begin, now()), job, &folder).await?;
        println!("{}", self.status());
        match drawn.len() {
            0 => println!(
                "answers and scripts in {}: gnuplot draws them (apt-get install gnuplot-nox)",
                folder.display()
            ),
            count => println!(
                "{count} dashboards drawn into {} ({:.0} s)",
                folder.display(),
                since.elapsed().as_secs_f64()
            ),
        }
        Ok(())
    }
}

/// Seconds since 1970, as Prometheus counts.
fn now() -> f64 {
    SystemClock.now().timestamp_millis() as f64 / 1000.0
}

/// A length of time as the command line takes it: 90s, 10m, 1h.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "give a time such as 90s, 10m or 1h".to_owned();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(wrong()),
    };
    let count: u64 = number.parse().map_err(|_| wrong())?;
    if count == 0 { Err(wrong()) } else { Ok(Duration::from_secs(count.saturating_mul(seconds))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        for bad in ["", "5", "0s", "m", "5 m", "-1s", "1.5h", "99999999999999999999s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
