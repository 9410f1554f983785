//! GET /admin/spend.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::NaiveDate;
use http::header;
use serde::{Deserialize, Serialize};
use spool_db::spend::{self, By, Line};
use spool_job::money::Micros;
use utoipa::{IntoParams, ToSchema};

use super::days::Days;
use super::table;
use crate::error::ApiError;
use crate::extract::query::ApiQuery;
use crate::routes::admin::budgets::body::Amount;
use crate::state::AppState;

/// How a report is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    #[default]
    Json,
    Csv,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// What a row stands for: `day`, `client`, `campaign` or `model`.
    #[param(value_type = String)]
    pub by: By,
    /// First day, such as 2026-11-01; 29 days before the last when left out.
    pub from: Option<NaiveDate>,
    /// Last day, whole; today when left out.
    pub to: Option<NaiveDate>,
    /// `json` (when left out) or `csv`.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    pub format: Format,
}

/// One row.
#[derive(Debug, Serialize, ToSchema)]
pub struct SpendLine {
    /// A day, the id of a client or campaign, or a model; none for what belongs to no client or campaign any more.
    pub key: Option<String>,
    /// Name of the client or campaign.
    pub name: Option<String>,
    /// Booked in these days.
    pub settled: Amount,
    /// Still held for purchases begun in these days.
    pub reserved: Amount,
    /// Purchases booked in these days.
    pub purchases: i64,
    /// Beside the ledger: what the provider billed for predictions that no row wanted and that ended in these days.
    pub beside_ledger: Amount,
}

impl From<Line> for SpendLine {
    fn from(line: Line) -> Self {
        Self {
            key: line.key,
            name: line.name,
            settled: line.settled.into(),
            reserved: line.reserved.into(),
            purchases: line.purchases,
            beside_ledger: line.beside_ledger.into(),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SpendReport {
    /// Days in their order, everything else dearest first.
    pub data: Vec<SpendLine>,
    pub meta: SpendMeta,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SpendMeta {
    /// `day`, `client`, `campaign` or `model`.
    pub by: &'static str,
    /// First day.
    pub from: NaiveDate,
    /// Last day, whole.
    pub to: NaiveDate,
    /// The zone whose days they are: that of the daily budget for everything.
    pub zone: String,
    /// Sum of the rows.
    pub settled: Amount,
    /// Sum of the rows.
    pub reserved: Amount,
    /// Sum of the rows. It is not in `settled`.
    pub beside_ledger: Amount,
}

/// What was spent by day, client, campaign or model: from the ledger, to the micro-dollar.
#[utoipa::path(get, path = "/api/v3/admin/spend", operation_id = "report_spend", tag = "admin", params(Which),
    responses((status = 200, description = "A report", content((SpendReport = "application/json"), (String = "text/csv")))))]
pub async fn report(
    State(state): State<AppState>,
    ApiQuery(which): ApiQuery<Which>,
) -> Result<Response, ApiError> {
    let mut conn = state.db.read().await?;
    let span = Days { from: which.from, to: which.to }.span(&mut conn).await?;
    let lines = spend::report(&mut conn, which.by, &span).await?;
    if which.format == Format::Csv {
        let file = format!("attachment; filename=\"spend-by-{}.csv\"", which.by.as_str());
        let headers = [
            (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
            (header::CONTENT_DISPOSITION, file),
        ];
        return Ok((headers, table::csv(which.by, &lines)).into_response());
    }
    let sum = |of: fn(&Line) -> Micros| lines.iter().map(of).sum::<Micros>().into();
    let meta = SpendMeta {
        by: which.by.as_str(),
        from: span.from,
        to: span.to,
        zone: span.zone.clone(),
        settled: sum(|line| line.settled),
        reserved: sum(|line| line.reserved),
        beside_ledger: sum(|line| line.beside_ledger),
    };
    Ok(Json(SpendReport { data: lines.into_iter().map(SpendLine::from).collect(), meta }).into_response())
}
