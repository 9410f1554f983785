//! `spool predictions`: paid calls as they stand, and an operator's word on those in doubt.

use std::process::ExitCode;

use secrecy::SecretString;
use serde_json::json;
use spool_db::predictions::doubt::{self, Listed, Resolution, Word};
use spool_db::{jobs, progress};
use spool_job::prediction::PredictionState;
use spool_queue::{Bell, TaskId, control};
use sqlx::PgConnection;
use uuid::Uuid;

use super::Ending;
use crate::stack::schema;

/// Rows that are shown at most.
const MOST: i64 = 1000;

#[derive(Debug, clap::Args)]
pub(crate) struct Predictions {
    /// Postgres: postgres://user:password@host/database.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, global = true)]
    database_url: Option<SecretString>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show paid calls, oldest first.
    List {
        /// Only those in this state, such as in_doubt, unknown or submitted; `all` shows all.
        #[arg(long, default_value = "in_doubt", value_parser = read_state)]
        state: Wanted,
    },
    /// Say what became of one that is in doubt.
    Resolve(Resolve),
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Said {
    /// It exists, and the provider calls it this. A worker asks the provider before it is believed.
    #[arg(long, value_name = "EXTERNAL_ID")]
    submitted: Option<String>,
    /// It was never created: its money is free, and another is bought.
    #[arg(long)]
    void: bool,
}

#[derive(Debug, clap::Args)]
struct Resolve {
    /// Our id, as `list` shows it.
    id: Uuid,
    #[command(flatten)]
    said: Said,
}

#[derive(Debug, Clone, Copy)]
struct Wanted(Option<PredictionState>);

fn read_state(text: &str) -> Result<Wanted, String> {
    if text == "all" {
        return Ok(Wanted(None));
    }
    let known = || PredictionState::ALL.iter().map(|state| state.as_str()).collect::<Vec<_>>().join(", ");
    text.parse().map(|state| Wanted(Some(state))).map_err(|_| format!("known states are {}, or all", known()))
}

pub(crate) async fn execute(predictions: Predictions) -> Ending {
    let database_url =
        predictions.database_url.ok_or("DATABASE_URL is not set: postgres://user:password@host/database")?;
    let pool = schema::connect(&database_url).await?;
    let mut tx = pool.begin().await?;
    let bell = match predictions.command {
        Command::List { state } => {
            show(&mut tx, state).await?;
            Bell::silent()
        }
        Command::Resolve(Resolve { id, said }) => {
            let word = match &said.submitted {
                Some(external_id) if doubt::is_external_id(external_id) => Word::Submitted(external_id),
                Some(_) => return Err("the provider's id has letters and digits only".into()),
                None => Word::Void,
            };
            resolve(&mut tx, id, &word).await?
        }
    };
    tx.commit().await?;
    bell.ring_now(&pool).await?;
    Ok(ExitCode::SUCCESS)
}

async fn show(conn: &mut PgConnection, wanted: Wanted) -> Result<(), spool_db::error::DbError> {
    let (rows, total) = doubt::list(conn, wanted.0, (MOST, 0)).await?;
    for row in &rows {
        let Listed { id, job_id, purpose, model, state, estimate, intent_at, .. } = row;
        let external_id = row.external_id.as_deref().unwrap_or("no id");
        let money = row.cost.map_or_else(|| format!("{estimate} held"), |cost| format!("{cost} spent"));
        let why = row.error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
        println!(
            "{id}  job {job_id}  {purpose} {model}  {state} ({external_id})  {money}  since {intent_at}{why}"
        );
    }
    let state = wanted.0.map_or("in any state", PredictionState::as_str);
    println!("{} of {total} predictions {state}", rows.len());
    Ok(())
}

async fn resolve(
    conn: &mut PgConnection,
    id: Uuid,
    word: &Word<'_>,
) -> Result<Bell, Box<dyn std::error::Error + Send + Sync>> {
    let unknown = || format!("there is no prediction {id}; `spool predictions list` shows those in doubt");
    let by = std::env::var("USER").unwrap_or_else(|_| "a shell".to_owned());
    let job_id = doubt::job_of(conn, id).await?.ok_or_else(unknown)?;
    jobs::lock(conn, job_id).await?;
    let task_id = match doubt::resolve(conn, id, word, &by).await? {
        Resolution::Void { task_id } => {
            println!("{id} is void: its money is free");
            task_id
        }
        Resolution::Claimed { task_id } => {
            println!("a worker asks the provider about it; the events of job {job_id} say what comes of it");
            task_id
        }
        Resolution::NotInDoubt(state) => return Err(format!("{id} is {state}, not in doubt").into()),
        Resolution::Unknown => return Err(unknown().into()),
    };
    let mut data = json!({"prediction_id": id, "by": by, "as": "void"});
    if let Word::Submitted(external_id) = word {
        data["as"] = json!("submitted");
        data["external_id"] = json!(external_id);
    }
    progress::refresh(conn, job_id, "prediction_resolved", &data).await?;
    Ok(control::wake(conn, TaskId(task_id)).await?.bell)
}
