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
    use chrono::{DateTime, Utc};
    use serde_json::{Value, json};
    use spool_db::predictions::Slot;
    use spool_job::catalog::{Family, Model, Price};
    use spool_job::prediction::{PredictionState, Purpose};
    use std::collections::BTreeMap;
    use uuid::Uuid;

    /// A model by the second that is dearer from the second of a month on.
    fn order() -> Order {
        let price = |day, micros| Price {
            from: NaiveDate::from_ymd_opt(2026, 11, day).unwrap(),
            resolution: None,
            audio: None,
            micros: Micros(micros),
        };
        let model = Model {
            slug: "a/b".into(),
            version: None,
            aliases: Vec::new(),
            purpose: Purpose::Render,
            family: Family::Veo,
            provider: "replicate".into(),
            unit: Unit::Second,
            aspects: Vec::new(),
            attempts: 1,
            cancel_after_s: 60,
            gpu_seconds_per_second: None,
            durations: Vec::new(),
            prices: vec![price(1, 100_000), price(2, 250_000)],
        };
        Order {
            slot: Slot { job_id: 1, purpose: Purpose::Render, scene: None, ordinal: 0 },
            model: Box::leak(Box::new(model)),
            resolution: String::new(),
            audio: false,
            media_ms: 4_000,
            media: BTreeMap::new(),
            reuse: false,
            input: Box::new(|_| json!({})),
        }
    }

    fn row(intent_at: DateTime<Utc>, unit_price: Option<Micros>) -> PredictionRow {
        PredictionRow {
            id: Uuid::nil(),
            job_id: 1,
            purpose: Purpose::Render,
            scene_id: None,
            scene_version: None,
            ordinal: 0,
            attempt: 1,
            lease_token: 1,
            provider: "replicate".into(),
            model: "a/b".into(),
            input: Value::Null,
            media: Value::Null,
            state: PredictionState::Submitted,
            external_id: None,
            output_url: None,
            output_digest: None,
            unit_price,
            list: Micros::ZERO,
            estimate: Micros::ZERO,
            intent_at,
            empty_scans: 0,
            since_scan_s: None,
            intent_for_s: 0.0,
            unknown_for_s: None,
            submitted_for_s: None,
            polls: 0,
        }
    }

    #[test]
    fn what_was_ordered_before_the_price_changed_is_settled_at_the_old_one() {
        let order = order();
        let before: DateTime<Utc> = "2026-11-01T23:59:50Z".parse().unwrap();
        let after: DateTime<Utc> = "2026-11-02T00:00:10Z".parse().unwrap();
        let found: Prediction = serde_json::from_value(json!({
            "id": "p", "model": "a/b", "version": "hidden", "status": "succeeded", "created_at": before, "completed_at": after,
            "metrics": {"predict_time": 20.0, "video_output_duration_seconds": 4.0},
        }))
        .unwrap();
        for (intent_at, unit) in [(before, 100_000), (after, 250_000)] {
            let day = intent_at.date_naive();
            let quote = quote(order.model, day, "", false, order.media_ms, None).unwrap();
            assert_eq!((quote.unit, quote.held), (Micros(unit), Micros(4 * unit)), "{day}");
            // With the price kept, and in rows from before it was.
            for kept in [Some(quote.unit), None] {
                assert_eq!(settled(&order, &row(intent_at, kept), &found), Ok(Micros(4 * unit)), "{day}");
            }
        }
        // What the row says counts, whatever the list says by now.
        assert_eq!(settled(&order, &row(after, Some(Micros(7))), &found), Ok(Micros(28)));
    }

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
