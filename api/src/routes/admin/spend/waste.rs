//! GET /admin/spend/waste.

use axum::Json;
use axum::extract::State;
use chrono::NaiveDate;
use serde::Serialize;
use spool_db::waste::{self, Class};
use spool_job::money::Micros;
use utoipa::ToSchema;

use super::days::Days;
use crate::error::ApiError;
use crate::extract::query::ApiQuery;
use crate::routes::admin::budgets::body::Amount;
use crate::state::AppState;

/// What was spent in one class.
#[derive(Debug, Serialize, ToSchema)]
pub struct WasteClass {
    /// `useful`; `duplicate`: it had been paid for before; `orphaned`: nothing uses it any more, or it was lost;
    /// `late_cancelled`: the call or its job was canceled too late; `failed`: the call or its job failed.
    pub class: &'static str,
    /// Booked in the ledger.
    pub settled: Amount,
    /// Billed by the provider beside the ledger, for predictions that no row wanted: only `orphaned` has any.
    pub beside_ledger: Amount,
    pub purchases: i64,
    /// Of all that was spent, in the ledger and beside it, 0 to 1.
    pub share: f64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct WasteReport {
    /// Every class, the good one first.
    pub data: Vec<WasteClass>,
    pub meta: WasteMeta,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct WasteMeta {
    /// First day.
    pub from: NaiveDate,
    /// Last day, whole.
    pub to: NaiveDate,
    /// The zone whose days they are: that of the daily budget for everything.
    pub zone: String,
    /// All that was settled in these days: the sum of the classes.
    pub settled: Amount,
    /// What the provider billed beside the ledger: the sum of the classes.
    pub beside_ledger: Amount,
    /// All but the useful, in the ledger and beside it.
    pub wasted: Amount,
}

/// What the money was good for: each settled amount is in exactly one class, by what has become of it until now. A clip of a
/// failed job is useful again once a retry makes a video of it.
#[utoipa::path(get, path = "/api/v3/admin/spend/waste", operation_id = "report_waste", tag = "admin", params(Days),
    responses((status = 200, body = WasteReport)))]
pub async fn waste(
    State(state): State<AppState>,
    ApiQuery(days): ApiQuery<Days>,
) -> Result<Json<WasteReport>, ApiError> {
    let mut conn = state.db.read().await?;
    let span = days.span(&mut conn).await?;
    let classes = waste::of_span(&mut conn, &span).await?;
    let settled: Micros = classes.iter().map(|one| one.settled).sum();
    let beside: Micros = classes.iter().map(|one| one.beside_ledger).sum();
    let spent = |one: &Class| Micros(one.settled.0 + one.beside_ledger.0);
    let wasted: Micros = classes.iter().filter(|one| one.class != waste::USEFUL).map(spent).sum();
    let all = Micros(settled.0 + beside.0);
    let share = |part: Micros| if all.0 == 0 { 0.0 } else { part.0 as f64 / all.0 as f64 };
    let data = classes.into_iter().map(|one| WasteClass {
        class: one.class,
        share: share(spent(&one)),
        beside_ledger: one.beside_ledger.into(),
        settled: one.settled.into(),
        purchases: one.purchases,
    });
    Ok(Json(WasteReport {
        data: data.collect(),
        meta: WasteMeta {
            from: span.from,
            to: span.to,
            zone: span.zone,
            settled: settled.into(),
            beside_ledger: beside.into(),
            wasted: wasted.into(),
        },
    }))
}
