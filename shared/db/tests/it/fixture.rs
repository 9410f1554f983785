//! A client, a campaign and a job with two scenes.

use chrono::NaiveDate;
use serde_json::json;
use spool_db::job_creation::{self, NewJob};
use spool_db::predictions::{NewIntent, Slot};
use spool_job::estimate;
use spool_job::money::Micros;
use spool_job::spec::{JobKind, JobSpec, OnMusicFailure, OnSceneFailure};
use spool_job::storyboard::{PlannedScene, Storyboard};
use sqlx::PgConnection;
use uuid::Uuid;

pub(crate) fn spec() -> JobSpec {
    JobSpec {
        model: "google/veo-3.1-fast".into(),
        resolution: "1080p".into(),
        aspect: "16:9".into(),
        audio: false,
        music: true,
        music_fade_ms: spool_job::spec::USUAL_FADE_MS,
        reuse: true,
        on_scene_failure: OnSceneFailure::Fail,
        on_music_failure: OnMusicFailure::ContinueWithSilence,
    }
}

pub(crate) fn storyboard(scenes: usize) -> Storyboard {
    let scene = |index: usize| PlannedScene {
        title: format!("Scene {index}"),
        description: String::new(),
        scene_type: None,
        prompt: "a calm room".into(),
        music_prompt: "calm".into(),
        duration_ms: 4000,
        first_asset_id: Uuid::now_v7(),
        last_asset_id: None,
    };
    Storyboard { scenes: (0..scenes).map(scene).collect() }
}

#[expect(clippy::disallowed_methods, reason = "fixtures write rows by hand")]
pub(crate) async fn campaign(conn: &mut PgConnection) -> Uuid {
    let (client, campaign) = (Uuid::now_v7(), Uuid::now_v7());
    sqlx::query("INSERT INTO clients (id, name) VALUES ($1, 'Lodge')")
        .bind(client)
        .execute(&mut *conn)
        .await
        .expect("a fixture");
    sqlx::query("INSERT INTO campaigns (id, client_id, name) VALUES ($1, $2, 'Autumn')")
        .bind(campaign)
        .bind(client)
        .execute(conn)
        .await
        .expect("a fixture");
    campaign
}

/// What a purchase of this slot would be written with.
pub(crate) fn intent(id: Uuid, slot: Slot, estimate: Micros, empty: &serde_json::Value) -> NewIntent<'_> {
    NewIntent {
        id,
        slot,
        attempt: 1,
        task_id: 1,
        lease_token: 1,
        provider: "replicate",
        model: "google/veo-3.1-fast",
        input: empty,
        input_digest: "0000000000000000000000000000000000000000000000000000000000000000",
        memo_key: "0000000000000000000000000000000000000000000000000000000000000000",
        media: empty,
        unit: "second",
        unit_price: Micros(100_000),
        list: estimate,
        estimate,
    }
}

pub(crate) async fn job(conn: &mut PgConnection, campaign_id: Uuid) -> i64 {
    let (spec, storyboard) = (spec(), storyboard(2));
    let estimate =
        estimate::job(&spec, &storyboard, NaiveDate::from_ymd_opt(2026, 11, 21).expect("a fixture"))
            .expect("a fixture");
    let new = NewJob {
        kind: JobKind::ImagePairs,
        campaign_id,
        parameters: json!({}),
        spec,
        storyboard,
        estimate,
        created_by: Some("test".to_owned()),
    };
    job_creation::create(conn, new).await.expect("a fixture").expect("a fixture").job.id
}

/// What is held today becomes yesterday's, as it is after midnight.
pub(crate) async fn the_day_turns(conn: &mut PgConnection) {
    sqlx::query!("INSERT INTO budget_periods SELECT budget_id, starts_on - 1, hard_micros, reserved_micros, settled_micros FROM budget_periods WHERE reserved_micros > 0")
        .execute(&mut *conn).await.expect("a fixture");
    sqlx::query!("UPDATE budget_holds SET starts_on = starts_on - 1")
        .execute(&mut *conn)
        .await
        .expect("a fixture");
    sqlx::query!("UPDATE budget_periods p SET reserved_micros = 0 WHERE NOT EXISTS (SELECT FROM budget_holds h WHERE h.starts_on = p.starts_on)")
        .execute(conn).await.expect("a fixture");
}
