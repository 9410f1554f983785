//! `from` and `to`: the days that a report is about.

use chrono::{Datelike, NaiveDate};
use serde::Deserialize;
use spool_db::spend::{self, Span};
use sqlx::PgConnection;
use utoipa::IntoParams;

use crate::error::{ApiError, Code};

/// Whole days in the zone of the daily budget for everything.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Days {
    /// First day, such as 2026-11-01; 29 days before the last when left out.
    pub from: Option<NaiveDate>,
    /// Last day, whole; today when left out.
    pub to: Option<NaiveDate>,
}

impl Days {
    /// Their first and last moment.
    pub async fn span(&self, conn: &mut PgConnection) -> Result<Span, ApiError> {
        for (name, day) in [("from", self.from), ("to", self.to)] {
            if day.is_some_and(|day| !(2000..=9999).contains(&day.year())) {
                return Err(refused(&format!("{name} must lie between the years 2000 and 9999")));
            }
        }
        let span = spend::span(conn, self.from, self.to).await?;
        if span.from > span.to {
            return Err(refused("from must not be after to"));
        }
        Ok(span)
    }
}

fn refused(why: &str) -> ApiError {
    ApiError::bad_request(Code::InvalidQuery, format!("the query string is not valid: {why}"))
}
