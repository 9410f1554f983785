//! GET, PUT and DELETE /admin/log-level.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use spool_db::log_levels::{self, LogLevel, PROGRAMS};
use spool_telemetry::logging;
use utoipa::{IntoParams, ToSchema};

use crate::audit;
use crate::caller::Caller;
use crate::database::commit;
use crate::error::ApiError;
use crate::extract::json::ApiJson;
use crate::extract::query::ApiQuery;
use crate::state::AppState;
use crate::validation::Invalid;

/// How long a word holds when nobody says.
const MINUTES: i32 = 30;
/// And at most: a day.
const MOST_MINUTES: i32 = 24 * 60;

/// What a program logs for now.
#[derive(Debug, Serialize, ToSchema)]
pub struct LogLevelJson {
    /// `api` or `worker`: all processes of it.
    pub program: String,
    /// Levels and target=level, as in `RUST_LOG`.
    pub filter: String,
    /// When they go back to what they were started with.
    pub expires_at: DateTime<Utc>,
    /// Id of the key that said so.
    pub set_by: String,
    pub set_at: DateTime<Utc>,
}

impl From<LogLevel> for LogLevelJson {
    fn from(level: LogLevel) -> Self {
        let LogLevel { program, filter, expires_at, set_by, set_at } = level;
        Self { program, filter, expires_at, set_by, set_at }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct LogLevelList {
    /// Programs that are not in it log what they were started with.
    pub data: Vec<LogLevelJson>,
}

/// What a program shall log.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"program": "worker", "filter": "info,spool_db=debug", "minutes": 15}))]
pub struct SetLogLevel {
    /// `api` or `worker`.
    #[schema(pattern = "^(api|worker)$")]
    pub program: String,
    /// Levels and target=level, as in `RUST_LOG`: `debug`, or `info,spool_db=debug`.
    #[schema(min_length = 1, max_length = 500)]
    pub filter: String,
    /// For so long; half an hour when left out.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1440)]
    pub minutes: Option<i32>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WhichProgram {
    /// `api` or `worker`.
    pub program: String,
}

/// Lists the programs that log something else than they were started with.
#[utoipa::path(get, path = "/api/v3/admin/log-level", operation_id = "list_log_levels", tag = "admin",
    responses((status = 200, body = LogLevelList)))]
pub async fn list(State(state): State<AppState>) -> Result<Json<LogLevelList>, ApiError> {
    let levels = log_levels::list(&mut *state.db.read().await?).await?;
    Ok(Json(LogLevelList { data: levels.into_iter().map(LogLevelJson::from).collect() }))
}

/// Changes what all processes of a program log, for a while. They follow within some seconds.
#[utoipa::path(put, path = "/api/v3/admin/log-level", operation_id = "set_log_level", tag = "admin",
    request_body = SetLogLevel, responses((status = 200, body = LogLevelJson)))]
pub async fn set(
    State(state): State<AppState>,
    caller: Caller,
    ApiJson(body): ApiJson<SetLogLevel>,
) -> Result<Json<LogLevelJson>, ApiError> {
    let mut invalid = Invalid::default();
    check_program(&mut invalid, &body.program);
    let filter = invalid.required_text("filter", Some(body.filter), 500);
    if let Err(error) = logging::check(&filter) {
        invalid.add("filter", error.to_string());
    }
    let minutes = body.minutes.unwrap_or(MINUTES);
    if !(1..=MOST_MINUTES).contains(&minutes) {
        invalid.add("minutes", format!("must be 1 to {MOST_MINUTES}"));
    }
    invalid.finish()?;
    let mut transaction = state.db.begin().await?;
    let level = log_levels::set(&mut transaction, &body.program, &filter, minutes, &caller.key_id).await?;
    audit::about("program", body.program);
    audit::about("filter", filter);
    audit::about("minutes", minutes);
    commit(transaction).await?;
    Ok(Json(level.into()))
}

/// Lets a program log again what it was started with.
#[utoipa::path(delete, path = "/api/v3/admin/log-level", operation_id = "reset_log_level", tag = "admin",
    params(WhichProgram),
    responses((status = 204), (status = 404, body = crate::error::Problem, description = "Nothing else was set"),
        (status = 422, body = crate::error::Problem, description = "There is no such program")))]
pub async fn reset(
    State(state): State<AppState>,
    ApiQuery(which): ApiQuery<WhichProgram>,
) -> Result<StatusCode, ApiError> {
    let mut invalid = Invalid::default();
    check_program(&mut invalid, &which.program);
    invalid.finish()?;
    let mut transaction = state.db.begin().await?;
    if !log_levels::clear(&mut transaction, &which.program).await? {
        return Err(ApiError::not_found("log level of", which.program));
    }
    audit::about("program", which.program);
    commit(transaction).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn check_program(invalid: &mut Invalid, program: &str) {
    if !PROGRAMS.contains(&program) {
        invalid.add("program", format!("must be one of {}", PROGRAMS.join(", ")));
    }
}
