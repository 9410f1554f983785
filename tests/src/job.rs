//! A job from photos to its end, over the public API.

use crate::system::System;
use crate::wait;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use std::path::PathBuf;

/// The example photos, in name order.
pub fn photos() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/lodge");
    let mut photos: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("examples/lodge")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "jpg"))
        .collect();
    photos.sort();
    photos
}

/// What money a job cost, by our own rows.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct Bought {
    /// The provider's id.
    pub external_id: String,
    /// Digest of the input.
    pub input_digest: String,
    /// What it cost.
    pub cost_micros: i64,
}

impl System {
    /// A client and a campaign with the example photos; the campaign's id.
    pub async fn campaign(&self) -> String {
        let client = self.post("/api/v3/clients", json!({"name": "Mountain lodge"})).await;
        let client_id = client["data"]["id"].as_str().expect("an id").to_owned();
        let campaign =
            self.post("/api/v3/campaigns", json!({"name": "Autumn", "client_id": client_id})).await;
        let campaign_id = campaign["data"]["id"].as_str().expect("an id").to_owned();
        for photo in photos() {
            let name = photo.file_name().expect("a name").to_string_lossy().into_owned();
            let part = Part::bytes(std::fs::read(&photo).expect("a photo"))
                .file_name(name)
                .mime_str("image/jpeg")
                .expect("a type");
            let form = Form::new().text("campaign_id", campaign_id.clone()).part("file", part);
            let url = format!("{}/api/v3/assets", self.ready.api);
            let answer = self
                .http
                .post(url)
                .header("x-api-key", &self.ready.key)
                .multipart(form)
                .send()
                .await
                .expect("an answer");
            assert_eq!(answer.status(), 201, "{:?}", answer.text().await);
        }
        campaign_id
    }

    /// A job of one short clip without music: the least that can be bought. `more` is merged into the request.
    pub async fn small_job(&self, campaign_id: &str, more: Value) -> i64 {
        let mut body = json!({"num_pairs": 1, "resolution": "720p", "music": false});
        if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
            body.extend(more.clone());
        }
        self.approved_job(campaign_id, body).await
    }

    /// A job of four pairs, created and approved; `more` is merged into the request. Everything is bought for it, unless that says
    /// `reuse`.
    pub async fn approved_job(&self, campaign_id: &str, more: Value) -> i64 {
        let mut body = json!({"campaign_id": campaign_id, "clip_duration": 4, "num_pairs": 4, "video_model": "veo-3.1-fast",
                              "reuse": false});
        if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
            body.extend(more.clone());
        }
        let job = self.post("/api/v3/jobs/from-image-pairs", body).await;
        let id = job["job_id"].as_i64().expect("a number");
        self.post(&format!("/api/v3/jobs/{id}/approve"), json!({})).await;
        id
    }

    /// Waits for the job's end, sees that progress never falls, and returns the job.
    pub async fn finished(&self, id: i64) -> Value {
        let mut highest = 0.0;
        loop {
            let answer = wait::until("an answer about the job", async || {
                let url = format!("{}/api/v3/jobs/{id}", self.ready.api);
                let answer = self.http.get(url).header("x-api-key", &self.ready.key).send().await.ok()?;
                answer.status().is_success().then_some(answer)
            })
            .await;
            let job: Value = answer.json().await.expect("JSON");
            let percent = job["progress_percentage"].as_f64().expect("a number");
            assert!(percent >= highest, "progress fell from {highest} to {percent}");
            highest = percent;
            if matches!(job["status"].as_str(), Some("completed" | "failed" | "canceled")) {
                return job;
            }
            let before = job["updated_at"].clone();
            // The next visible change, bounded: a job that stands still is a failure.
            wait::until(&format!("job {id} to go on from {job}"), async || {
                let url = format!("{}/api/v3/jobs/{id}", self.ready.api);
                let answer = self.http.get(url).header("x-api-key", &self.ready.key).send().await.ok()?;
                let now: Value = answer.json().await.ok()?;
                (now["updated_at"].is_string() && now["updated_at"] != before).then_some(())
            })
            .await;
        }
    }

    /// The job's purchases by our rows.
    #[expect(clippy::disallowed_methods, reason = "tests look at rows from outside")]
    pub async fn bought(&self, id: i64) -> Vec<Bought> {
        let pool = self.database().await;
        sqlx::query_as("SELECT external_id, input_digest, cost_micros FROM predictions WHERE job_id = $1 AND cost_micros > 0 ORDER BY id")
            .bind(id)
            .fetch_all(&pool)
            .await
            .expect("rows")
    }

    /// The simulator's ledger and ours must name the same purchases at the same prices, each once.
    pub async fn ledgers_agree(&self, id: i64, expected: usize) {
        let ours = self.bought(id).await;
        assert_eq!(ours.len(), expected, "purchases of job {id}: {ours:?}");
        let charges = self.charges().await;
        for one in &ours {
            let theirs: Vec<&Value> =
                charges.iter().filter(|c| c["prediction_id"] == one.external_id.as_str()).collect();
            assert_eq!(theirs.len(), 1, "{one:?}");
            assert_eq!(theirs[0]["cost_micros"], one.cost_micros, "{one:?} against {}", theirs[0]);
            assert_eq!(theirs[0]["input_digest"], one.input_digest.as_str(), "{one:?} against {}", theirs[0]);
        }
    }

    /// Everything the simulator charged is known to us: nothing was bought behind our back.
    #[expect(clippy::disallowed_methods, reason = "tests look at rows from outside")]
    pub async fn nothing_else_was_bought(&self) {
        let pool = self.database().await;
        let known: Vec<String> =
            sqlx::query_scalar("SELECT external_id FROM predictions WHERE external_id IS NOT NULL")
                .fetch_all(&pool)
                .await
                .expect("rows");
        let charges = self.charges().await;
        let unknown: Vec<&Value> =
            charges.iter().filter(|c| !known.iter().any(|id| c["prediction_id"] == id.as_str())).collect();
        assert!(unknown.is_empty(), "bought twice or by nobody: {unknown:?}");
    }

    /// Downloads the job's video.
    pub async fn video(&self, id: i64) -> PathBuf {
        let answer = self.request(Method::GET, &format!("/api/v3/videos/{id}/combined"), None).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "video/mp4");
        let path = self.dir.path().join(format!("video-{id}.mp4"));
        std::fs::write(&path, answer.bytes().await.expect("bytes")).expect("written");
        path
    }
}
