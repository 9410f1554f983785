//! The dashboards as pictures, for a machine without Grafana: every panel's query is asked, and gnuplot draws the answers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Client;
use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool, Row};

use crate::stack::schema;
use crate::supervisor::process::{ProcessError, Program};

/// Asks and draws; lies beside this program.
const DASHBOARDS: &str = "spool-dashboards";
/// Points of a line.
const POINTS: f64 = 120.0;
/// No finer than Prometheus looks.
const FINEST_STEP_S: f64 = 5.0;
/// For one program.
const LIMIT: Duration = Duration::from_secs(60);

/// The dashboards cannot be drawn.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PicturesError {
    #[error("{} is missing: `cargo build --workspace` builds it beside `spool`", path.display())]
    Missing { path: PathBuf },
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("cannot ask {query:?} of Prometheus")]
    Prometheus { query: String, source: reqwest::Error },
    #[error("Prometheus refused {query:?}: {answer}")]
    Refused { query: String, answer: Value },
    #[error("cannot ask {query:?} of Postgres")]
    Postgres { query: String, source: sqlx::Error },
    #[error(transparent)]
    Schema(#[from] schema::SchemaError),
    #[error("the questions cannot be read")]
    Questions(#[source] serde_json::Error),
    #[error("cannot {doing} {}", path.display())]
    File { doing: &'static str, path: PathBuf, source: std::io::Error },
}

/// Whom to ask, and with what to draw.
#[derive(Debug, Clone)]
pub(crate) struct Pictures {
    pub(crate) client: Client,
    pub(crate) prometheus: String,
    pub(crate) database_url: SecretString,
    pub(crate) gnuplot: Option<PathBuf>,
}

impl Pictures {
    /// Draws each dashboard of the time between two moments (seconds since 1970) into a folder; of one job, that one.
    pub(crate) async fn draw(
        &self,
        (from, to): (f64, f64),
        job: i64,
        folder: &Path,
    ) -> Result<Vec<PathBuf>, PicturesError> {
        let program = std::env::current_exe().unwrap_or_default().with_file_name(DASHBOARDS);
        if !program.is_file() {
            return Err(PicturesError::Missing { path: program });
        }
        let questions = Program::new(&program).arg("questions").output(LIMIT).await?;
        let mut questions: Vec<Value> = serde_json::from_str(&questions).map_err(PicturesError::Questions)?;
        let pool = schema::connect(&self.database_url).await?;
        for question in &mut questions {
            let query = question["query"].as_str().unwrap_or_default().to_owned();
            let answer = match question["source"].as_str() {
                Some("postgres") => rows(&pool, query, job).await?,
                _ => self.series(query, from, to).await?,
            };
            question["answer"] = Value::Array(answer);
        }
        pool.close().await;
        let answers = folder.join("answers.json");
        let failed = |doing| {
            let path = answers.clone();
            move |source| PicturesError::File { doing, path, source }
        };
        std::fs::create_dir_all(folder).map_err(failed("make the folder of"))?;
        std::fs::write(&answers, Value::Array(questions).to_string()).map_err(failed("write"))?;
        Program::new(&program).arg("draw").arg(&answers).arg(folder).output(LIMIT).await?;
        self.run_scripts(folder).await
    }

    /// Runs the scripts with gnuplot, if there is one; what there is to look at.
    async fn run_scripts(&self, folder: &Path) -> Result<Vec<PathBuf>, PicturesError> {
        let failed = |source| PicturesError::File { doing: "read", path: folder.to_owned(), source };
        let mut pictures = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let script = entry.map_err(failed)?.path();
            let (true, Some(gnuplot)) = (script.extension().is_some_and(|kind| kind == "gp"), &self.gnuplot)
            else {
                continue;
            };
            Program::new(gnuplot).arg(&script).in_folder(folder).output(LIMIT).await?;
            pictures.push(script.with_extension("png"));
        }
        pictures.sort();
        Ok(pictures)
    }

    async fn series(&self, query: String, from: f64, to: f64) -> Result<Vec<Value>, PicturesError> {
        let failed = |source| PicturesError::Prometheus { query: query.clone(), source };
        let step = ((to - from) / POINTS).ceil().max(FINEST_STEP_S);
        let (from, to, step) = (from.to_string(), to.to_string(), step.to_string());
        let parameters = [("query", query.as_str()), ("start", &from), ("end", &to), ("step", &step)];
        let request = self.client.get(format!("{}/api/v1/query_range", self.prometheus)).query(&parameters);
        let answer: Value = request.send().await.map_err(failed)?.json().await.map_err(failed)?;
        match answer["data"]["result"].as_array() {
            Some(series) => Ok(series.clone()),
            None => Err(PicturesError::Refused { query, answer }),
        }
    }
}

/// What Postgres answers of a job, each row as an object.
async fn rows(pool: &PgPool, query: String, job: i64) -> Result<Vec<Value>, PicturesError> {
    let as_json = format!("SELECT to_jsonb(answer)::text FROM ({query}) answer");
    #[expect(
        clippy::disallowed_methods,
        reason = "the query is that of a panel, known when the dashboards are drawn"
    )]
    let asked = sqlx::query(AssertSqlSafe(as_json)).bind(job.to_string()).fetch_all(pool).await;
    let rows = asked.map_err(|source| PicturesError::Postgres { query, source })?;
    let object = |row: &sqlx::postgres::PgRow| {
        let text: String = row.try_get(0).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_else(|_| json!({}))
    };
    Ok(rows.iter().map(object).collect())
}
