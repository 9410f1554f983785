//! What an order will cost, and what it did: the quote before the intent, the settlement by what the provider reports.
//!
//! Both go by the price per unit of the day of the intent, which the prediction's row keeps. A render that ends after midnight, or
//! is found again days later, is booked at the price at which its money was held.

use super::Order;
use chrono::NaiveDate;
use spool_db::learned;
use spool_db::predictions::PredictionRow;
use spool_job::catalog::{CatalogError, Unit};
use spool_job::money::Micros;
use spool_job::quote::{Quote, quote};
use spool_provider::wire::{Metrics, Prediction};
use spool_queue::Failure;
use sqlx::PgConnection;

/// The quote for an order at the prices of `day`.
pub(super) async fn of_order(
    conn: &mut PgConnection,
    order: &Order,
    day: NaiveDate,
) -> Result<Quote, Failure> {
    let learned = learned::of(conn, &order.model.slug, order.model.unit.as_str()).await?;
    Ok(quote(order.model, day, &order.resolution, order.audio, order.media_ms, learned)?)
}

/// What the provider says it produced; what was ordered where it does not say.
pub(super) fn billed_units(order: &Order, found: &Prediction) -> f64 {
    let ordered = || order.model.expected_milli_units(order.media_ms) as f64 / 1000.0;
    found.metrics.as_ref().and_then(|metrics| reported(order.model.unit, metrics)).unwrap_or_else(ordered)
}

fn reported(unit: Unit, metrics: &Metrics) -> Option<f64> {
    match unit {
        Unit::Second => metrics.video_output_duration_seconds.or(metrics.audio_output_duration_seconds),
        Unit::GpuSecond => metrics.predict_time,
        Unit::Image => metrics.image_output_count.map(|count| count as f64),
        Unit::Character => metrics.character_input_count.map(|count| count as f64),
    }
}

/// What a prediction that ended cost.
pub(super) fn settled(
    order: &Order,
    row: &PredictionRow,
    found: &Prediction,
) -> Result<Micros, CatalogError> {
    match row.unit_price {
        Some(unit) => Ok(produced(order, unit, found)),
        None => on_day(order, row.intent_at.date_naive(), found),
    }
}

/// The same at the list price of a day, for what no row has.
pub(super) fn on_day(order: &Order, day: NaiveDate, found: &Prediction) -> Result<Micros, CatalogError> {
    Ok(produced(order, order.model.unit_price(day, &order.resolution, order.audio)?, found))
}

fn produced(order: &Order, unit: Micros, found: &Prediction) -> Micros {
    Micros::for_milli_units(unit, (billed_units(order, found) * 1000.0).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unit_is_read_from_its_own_metric() {
        let metrics = Metrics {
            predict_time: Some(33.1),
            video_output_duration_seconds: Some(4.0),
            image_output_count: Some(3),
            character_input_count: Some(250),
            ..Metrics::default()
        };
        for (unit, wanted) in
            [(Unit::Second, 4.0), (Unit::GpuSecond, 33.1), (Unit::Image, 3.0), (Unit::Character, 250.0)]
        {
            assert_eq!(reported(unit, &metrics), Some(wanted), "{unit:?}");
            assert_eq!(reported(unit, &Metrics::default()), None, "{unit:?}");
        }
    }
}
