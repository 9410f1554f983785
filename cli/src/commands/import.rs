//! `spool import`: the databases of the older systems, brought over.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use secrecy::SecretString;
use serde_json::json;
use spool_db::schema::pending_migrations;
use spool_import::report::Report;
use spool_import::{FetchPolicy, Import, MediaStore, Source, System, Watch, run};

use super::Ending;
use crate::stack::schema;

/// The import came to its end, and some rows wait for their bytes or have changed.
const INCOMPLETE: u8 = 2;
const REDRAW: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Imports {
    /// `scenes.db` of the Python system, of any generation.
    Scenes(Arguments),
    /// The database of the Elixir system.
    Elixir(Arguments),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The SQLite file. It is only read; stop the older system or take a copy, so that it stands still.
    file: PathBuf,
    /// Postgres: postgres://user:password@host/database.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: SecretString,
    /// Where media go: a folder, file:///path or s3://bucket/prefix, the same as for the API.
    #[arg(long, env = "SPOOL_MEDIA_URL", required_unless_present = "dry_run")]
    media_url: Option<String>,
    /// Under which name its rows are registered, should there be several files of one system: the system's name unless said otherwise.
    #[arg(long, value_name = "NAME", value_parser = name)]
    name: Option<String>,
    /// Folder of the older system's files, for rows that name a file.
    #[arg(long, value_name = "FOLDER")]
    files: Option<PathBuf>,
    /// Fetch what is only at an address.
    #[arg(long)]
    fetch: bool,
    /// Networks that may be fetched from although they are private.
    #[arg(long, env = "SPOOL_FETCH_ALLOW", default_value = "")]
    fetch_allow: FetchPolicy,
    /// Say what would be done and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Read the media of rows that are here already again, compare them, and put back what the store has lost.
    #[arg(long)]
    verify: bool,
    /// Give jobs whose number is taken another one.
    #[arg(long)]
    renumber_jobs: bool,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

fn name(text: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    if (1..=64).contains(&text.len()) && text.bytes().all(fits) {
        Ok(text.to_owned())
    } else {
        Err("1 to 64 of a-z, 0-9, _ and -".to_owned())
    }
}

pub(crate) async fn execute(imports: Imports) -> Ending {
    let (system, arguments) = match imports {
        Imports::Scenes(arguments) => (System::Scenes, arguments),
        Imports::Elixir(arguments) => (System::Elixir, arguments),
    };
    let source = Source::open(&arguments.file, system).await?;
    let pool = schema::connect(&arguments.database_url).await?;
    if !pending_migrations(&mut *pool.acquire().await?).await?.is_empty() {
        return Err("the database is not up to date: run `spool migrate` first".into());
    }
    let store = match &arguments.media_url {
        Some(location) if !arguments.dry_run => Some(MediaStore::open(location)?),
        _ => None,
    };
    let import = Import {
        system,
        name: arguments.name.as_deref().unwrap_or(system.as_str()),
        db: &pool,
        store: store.as_ref(),
        files: arguments.files.as_deref(),
        fetch: arguments.fetch.then_some(&arguments.fetch_allow),
        verify: arguments.verify,
        renumber_jobs: arguments.renumber_jobs,
    };
    let mut progress = Progress::new();
    let report = run(&import, &source, &mut progress).await;
    progress.bar.finish_and_clear();
    let report = report?;
    pool.close().await;
    show(&report, arguments.json)?;
    Ok(if report.is_complete() { ExitCode::SUCCESS } else { ExitCode::from(INCOMPLETE) })
}

fn show(report: &Report, as_json: bool) -> Result<(), serde_json::Error> {
    let peak = peak_memory();
    if as_json {
        let mut report = json!(report);
        report["peak_memory_bytes"] = json!(peak);
        println!("{}", serde_json::to_string_pretty(&report)?);
        return Ok(());
    }
    print!("{report}");
    if let Some(peak) = peak {
        println!("\n  at most {} MB of memory", peak / 1_000_000);
    }
    match (report.is_complete(), report.dry_run) {
        (true, true) => println!("\n  nothing was written: this was a dry run"),
        (true, false) => println!("\n  everything is here; the same command again changes nothing"),
        (false, _) => println!("\n  not everything is here: see the rows that wait or have changed"),
    }
    Ok(())
}

/// The most memory that this process has had, in bytes, where the system says it.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// A bar per table on a terminal, nothing elsewhere.
struct Progress {
    bar: ProgressBar,
    table: String,
    bytes: u64,
}

impl Progress {
    fn new() -> Self {
        let bar = if std::io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        if let Ok(style) =
            ProgressStyle::with_template("  {prefix:<18} [{bar:24}] {pos}/{len} rows  {msg}  {eta}")
        {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(REDRAW);
        Self { bar, table: String::new(), bytes: 0 }
    }
}

impl Watch for Progress {
    fn table(&mut self, name: &str, rows: u64) {
        name.clone_into(&mut self.table);
        self.bar.set_prefix(self.table.clone());
        self.bar.reset();
        self.bar.set_length(rows);
        self.bar.set_position(0);
    }

    fn rows(&mut self, rows: u64, bytes: u64) {
        self.bytes += bytes;
        self.bar.inc(rows);
        self.bar.set_message(format!("{} MB of media", self.bytes / 1_000_000));
    }
}
