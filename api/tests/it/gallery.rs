//! GET /generated-videos and /ai-videos.

use serde_json::json;
use sqlx::PgPool;

use crate::app::start;
use crate::videos::completed;

#[sqlx::test(migrations = false)]
async fn only_completed_jobs_with_their_storyboards(pool: PgPool) {
    let app = start(pool).await;
    let pending = app.job().await;
    let (first, second) = (completed(&app, b"one").await, completed(&app, b"two").await);
    let list = app.get("/api/v3/generated-videos").await.is(200);
    assert_eq!(list["meta"], json!({"count": 2, "total": 2, "limit": 25, "offset": 0}));
    let video = &list["data"][0];
    assert_eq!(
        (&video["job_id"], &list["data"][1]["job_id"]),
        (&json!(second), &json!(first)),
        "newest first"
    );
    for member in [
        "video_name",
        "status",
        "type",
        "estimated_cost",
        "campaign_id",
        "client_id",
        "inserted_at",
        "updated_at",
    ] {
        assert!(!video[member].is_null(), "{member}: {video}");
    }
    assert_eq!(video["costs"]["currency"], "USD");
    assert_eq!(
        (&video["total_duration"], &video["storyboard"]["total_duration"]),
        (&json!(4.0), &json!(4.0))
    );
    assert_eq!(video["storyboard"]["scenes"][0]["asset_ids"].as_array().map(Vec::len), Some(2));
    let link = video["video_url"].as_str().expect("a link");
    let path = &link[link.find("/api").expect("a path")..];
    assert_eq!(app.get_bare(path).await.body, b"two");

    let campaign = video["campaign_id"].as_str().expect("an id");
    let of = async |query: String| {
        let list = app.get(&format!("/api/v3/generated-videos?{query}")).await.is(200);
        list["data"].as_array().expect("a list").iter().map(|one| one["job_id"].as_i64()).collect::<Vec<_>>()
    };
    assert_eq!(of(format!("campaign_id={campaign}")).await, [Some(second)]);
    assert_eq!(of(format!("clientId={}", video["client_id"].as_str().expect("an id"))).await, [Some(second)]);
    assert_eq!(of(format!("job_id={first}")).await, [Some(first)]);
    assert_eq!(of(format!("job_id={pending}")).await, []);
    assert_eq!(of("limit=1&offset=1".into()).await, [Some(first)]);
    let page = app.get("/api/v3/generated-videos?limit=1").await.is(200);
    assert_eq!((&page["meta"]["count"], &page["meta"]["total"]), (&json!(1), &json!(2)));

    let old = app.get("/api/v3/ai-videos").await.is(200);
    assert_eq!((&old["meta"]["count"], &old["meta"]["limit"]), (&json!(2), &json!(20)));
    assert_eq!(app.get("/api/v3/ai-videos?status=all").await.is(200)["meta"]["count"], 3);
    let waiting = app.get("/api/v3/ai-videos?status=pending").await.is(200);
    assert_eq!(
        (&waiting["data"][0]["job_id"], &waiting["data"][0]["video_url"]),
        (&json!(pending), &json!(null))
    );
    app.get("/api/v3/ai-videos?status=done").await.is_problem(400, "invalid_query");
}
