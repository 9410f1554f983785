//! What a creation tells is what readers find, and a mark differs whenever an answer would.

use crate::fixture;
use serde_json::json;
use spool_db::audit::Change;
use spool_db::budgets::{self, Budget, Period, Scope};
use spool_db::idempotency::{self, Entry, Stored, Use};
use spool_db::job_creation::{self, NewJob, NewRows, Order, Outcome, SCENE_IS_THERE};
use spool_db::job_mark::{self, Mark};
use spool_db::jobs;
use spool_db::predictions::{self, Slot};
use spool_db::scenes;
use spool_job::estimate;
use spool_job::money::Micros;
use spool_job::prediction::Purpose;
use spool_job::spec::JobKind;
use sqlx::{PgConnection, PgPool};
use tokio::task::JoinSet;
use uuid::Uuid;

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn what_a_creation_tells_is_what_readers_find(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let campaign_id = fixture::campaign(&mut conn).await;
    let (spec, mut storyboard) = (fixture::spec(), fixture::storyboard(3));
    storyboard.scenes[1].scene_type = Some("kitchen".to_owned());
    storyboard.scenes[2].last_asset_id = Some(Uuid::now_v7());
    let day = "2026-11-21".parse().unwrap();
    let new = NewJob {
        kind: JobKind::PropertyPhotos,
        campaign_id,
        parameters: json!({"style": "modern", "clip_duration": 4.5}),
        estimate: estimate::job(&spec, &storyboard, day).unwrap(),
        spec,
        storyboard,
        created_by: None,
    };
    for name in ["Autumn 1", "Autumn 2"] {
        let told = job_creation::create(&mut conn, new.clone()).await.unwrap().unwrap();
        let found = jobs::show(&mut conn, told.job.id, None).await.unwrap().unwrap();
        assert_eq!((found.video_name.as_str(), found.client_id.is_some()), (name, true));
        assert_eq!(format!("{:?}", told.job), format!("{found:?}"));
        let found = scenes::list(&mut conn, told.job.id).await.unwrap();
        assert_eq!(told.scenes.len(), 3);
        for (told, found) in told.scenes.iter().zip(&found) {
            assert_eq!(format!("{told:?}"), format!("{found:?}"));
            assert_eq!((told.index, &told.title, &told.prompt), (found.index, &found.title, &found.prompt));
            assert_eq!((&told.scene_type, &told.music_prompt), (&found.scene_type, &found.music_prompt));
            assert_eq!(
                (told.first_asset_id, told.last_asset_id),
                (found.first_asset_id, found.last_asset_id)
            );
            assert_eq!((told.duration_ms, told.inserted_at), (found.duration_ms, found.inserted_at));
        }
    }
    let nowhere = NewJob { campaign_id: Uuid::now_v7(), ..new };
    assert!(job_creation::create(&mut conn, nowhere).await.unwrap().is_none());
}

pub(crate) fn new_job(campaign_id: Uuid, scenes: usize) -> NewJob {
    let (spec, storyboard) = (fixture::spec(), fixture::storyboard(scenes));
    NewJob {
        kind: JobKind::ImagePairs,
        campaign_id,
        parameters: json!({ "scenes": scenes }),
        estimate: estimate::job(&spec, &storyboard, "2026-11-21".parse().unwrap()).unwrap(),
        spec,
        storyboard,
        created_by: Some(format!("key {scenes}")),
    }
}

fn created((order, outcome): (&Order, Outcome)) -> Option<NewRows> {
    match outcome {
        Outcome::Created(made, _) => Some(order.rows(made)),
        _ => None,
    }
}

fn key(word: &str) -> Use {
    Use { api_key: "caller".into(), key: word.into(), request: Uuid::now_v7(), digest: "a".repeat(64) }
}

/// An answer that tells all that the database says, also in the midst of a sentence.
fn answered(campaign_id: Uuid, key: Option<Use>) -> Order {
    let answer = |NewRows { job, scenes }| {
        let sentence = format!("{:?} is job {}", job.video_name, job.id);
        let scenes: Vec<Uuid> = scenes.iter().map(|scene| scene.id).collect();
        serde_json::to_string(
            &json!({"id": job.id, "name": job.video_name, "sentence": sentence, "scenes": scenes}),
        )
    };
    let mut order = Order::new(new_job(campaign_id, 2)).answered(Uuid::now_v7(), answer).unwrap();
    order.key = key;
    let words = ["who", "request", "POST", "/jobs", "/jobs"].map(str::to_owned);
    let [key_id, request_id, method, route, path] = words;
    let about = json!({"asked": true});
    order.change = Some(Change { key_id, client_id: None, request_id, method, route, path, about });
    order
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn the_answer_tells_the_truth_and_is_kept_under_its_key(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    for name in ["Autumn", "\"quoted\"", "back\\slash \\", "tab\tline\n", "Blåbär \u{1f347}", "\u{7f}\u{1}"]
    {
        let campaign = fixture::campaign(&mut conn).await;
        let named = sqlx::query!("UPDATE campaigns SET name = $2 WHERE id = $1", campaign, name);
        named.execute(&mut *conn).await.unwrap();
        let word = key(&campaign.to_string());
        let order = answered(campaign, Some(word.clone()));
        let Outcome::Created(made, Some(answer)) =
            job_creation::create_all(&mut conn, &[order], None).await.unwrap().remove(0)
        else {
            panic!("not created")
        };
        let told: serde_json::Value = serde_json::from_str(&answer).unwrap();
        assert_eq!((&told["id"], &told["name"]), (&json!(made.id), &json!(format!("{name} 1"))));
        assert_eq!(told["sentence"], format!("\"{name} 1\" is job {}", made.id));
        let found = scenes::list(&mut conn, made.id).await.unwrap();
        assert_eq!(told["scenes"], json!(found.iter().map(|scene| scene.id).collect::<Vec<_>>()));
        let kept = Stored {
            status: 201,
            content_type: Some("application/json".to_owned()),
            location: None,
            body: Some(answer.into_bytes()),
        };
        let again = Use { request: Uuid::now_v7(), ..word };
        assert_eq!(idempotency::enter(&mut conn, &again).await.unwrap(), Entry::Answered(kept));
    }
    let noted = "SELECT FROM audit JOIN jobs ON about = jsonb_build_object('asked', true, 'job', jobs.id)";
    assert_eq!(count(&mut conn, noted).await, 6);
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn only_those_whose_key_is_free_are_carried_out(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let campaign = fixture::campaign(&mut conn).await;
    let (first, begun, old) = (key("answered"), key("begun"), key("old"));
    for word in [&first, &old] {
        let order = answered(campaign, Some(word.clone()));
        job_creation::create_all(&mut conn, &[order], None).await.unwrap();
    }
    run(&mut conn, "UPDATE idempotency_keys SET created_at = now() - interval '25 hours' WHERE key = 'old'")
        .await;
    idempotency::record(&mut conn, &begun, None, None).await.unwrap();
    let mut elsewhere = pool.begin().await.unwrap();
    idempotency::enter(&mut elsewhere, &key("elsewhere")).await.unwrap();

    let nowhere = Uuid::now_v7();
    let other = Use { digest: "b".repeat(64), ..key("answered") };
    let orders = [
        answered(campaign, Some(key("free"))),
        answered(campaign, Some(key("free"))),
        answered(campaign, Some(key("answered"))),
        answered(campaign, Some(other)),
        answered(campaign, Some(key("begun"))),
        answered(campaign, Some(begun)),
        answered(campaign, Some(key("elsewhere"))),
        answered(campaign, Some(key("old"))),
        answered(nowhere, Some(key("nowhere"))),
        answered(campaign, None),
        answered(campaign, None),
    ];
    let outcomes = job_creation::create_all(&mut conn, &orders, None).await.unwrap();
    let words: Vec<String> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Created(made, Some(_)) => made.video_name.clone(),
            Outcome::Taken(Entry::Answered(_)) => "answered".to_owned(),
            other => format!("{other:?}"),
        })
        .collect();
    let wanted = [
        "Autumn 3",
        "Taken(Busy)",
        "answered",
        "Taken(Other)",
        "Taken(Busy)",
        "Autumn 4",
        "Taken(Busy)",
        "Autumn 5",
        "NoCampaign",
        "Autumn 6",
        "Autumn 7",
    ];
    assert_eq!(words, wanted);
    assert_eq!(count(&mut conn, "SELECT FROM jobs").await, 7);
    assert_eq!(count(&mut conn, "SELECT FROM scenes").await, 14);
    assert_eq!(count(&mut conn, "SELECT FROM audit").await, 7);
    assert_eq!(idempotency::enter(&mut conn, &key("nowhere")).await.unwrap(), Entry::Free);
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn nobody_waits_longer_for_a_campaign_than_they_say(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let (held, other) = (fixture::campaign(&mut conn).await, fixture::campaign(&mut conn).await);
    let mut hold = pool.begin().await.unwrap();
    run(&mut hold, &format!("SELECT FROM campaigns WHERE id = '{held}' FOR UPDATE")).await;
    let orders = [answered(other, Some(key("other"))), answered(held, Some(key("held")))];
    let refused = job_creation::create_all(&mut conn, &orders, Some("1ms")).await.unwrap_err();
    assert!(refused.is_refused() && refused.is_unavailable(), "{refused:?}");
    assert_eq!(count(&mut conn, "SELECT FROM jobs").await, 0, "all or none");
    assert_eq!(idempotency::enter(&mut conn, &key("other")).await.unwrap(), Entry::Free);
    let (first, again) = (key("first"), key("first"));
    hold.rollback().await.unwrap();
    job_creation::create_all(&mut conn, &[answered(held, Some(first))], None).await.unwrap();
    let mut hold = pool.begin().await.unwrap();
    run(&mut hold, &format!("SELECT FROM campaigns WHERE id = '{held}' FOR UPDATE")).await;
    let replayed =
        job_creation::create_all(&mut conn, &[answered(held, Some(again))], Some("1ms")).await.unwrap();
    assert!(matches!(replayed[0], Outcome::Taken(Entry::Answered(_))), "an answer waits for no campaign");
    hold.rollback().await.unwrap();
    let outcomes = job_creation::create_all(&mut conn, &orders, Some("1ms")).await.unwrap();
    assert_eq!(orders.iter().zip(outcomes).filter_map(created).count(), 2);
    assert_eq!(
        count(&mut conn, "SELECT FROM pg_settings WHERE name = 'lock_timeout' AND setting = '1'").await,
        0
    );
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn an_order_without_a_key_is_carried_out_once_however_often_it_comes(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let campaign = fixture::campaign(&mut conn).await;
    let order = [answered(campaign, None)];
    assert!(order[0].may_come_again());
    job_creation::create_all(&mut conn, &order, None).await.unwrap();
    let again = job_creation::create_all(&mut conn, &order, None).await.unwrap_err();
    assert!(again.is_refused() && again.is_constraint(SCENE_IS_THERE), "{again:?}");
    assert_eq!(count(&mut conn, "SELECT FROM jobs").await, 1);
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn several_at_once_each_get_their_own(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let (one, other) = (fixture::campaign(&mut conn).await, fixture::campaign(&mut conn).await);
    job_creation::create(&mut conn, new_job(one, 1)).await.unwrap().unwrap();
    let new = [new_job(one, 2), new_job(Uuid::now_v7(), 1), new_job(other, 3), new_job(one, 1)];
    let orders: Vec<Order> = new.iter().cloned().map(Order::new).collect();
    let outcomes = job_creation::create_all(&mut conn, &orders, None).await.unwrap();
    assert!(matches!(outcomes[1], Outcome::NoCampaign), "{:?}", outcomes[1]);
    let made: Vec<Option<NewRows>> = orders.iter().zip(outcomes).map(created).collect();
    for (new, made, name) in [(0, 0, "Autumn 2"), (2, 2, "Autumn 1"), (3, 3, "Autumn 3")]
        .map(|(new_at, made_at, name)| (&new[new_at], made[made_at].as_ref().unwrap(), name))
    {
        let found = jobs::show(&mut conn, made.job.id, None).await.unwrap().unwrap();
        assert_eq!((found.video_name.as_str(), found.campaign_id), (name, Some(new.campaign_id)));
        assert_eq!(format!("{:?}", made.job), format!("{found:?}"));
        let found = scenes::list(&mut conn, made.job.id).await.unwrap();
        assert_eq!(found.len(), new.storyboard.scenes.len());
        assert_eq!(format!("{:?}", made.scenes), format!("{found:?}"));
    }
    assert!(job_creation::create_all(&mut conn, &[], None).await.unwrap().is_empty());
}

/// However they name their campaigns, none waits for one that waits for it.
#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn groups_of_the_same_campaigns_do_not_block_each_other_for_ever(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let mut campaigns = Vec::new();
    for _ in 0..8 {
        campaigns.push(fixture::campaign(&mut conn).await);
    }
    drop(conn);
    let mut groups = JoinSet::new();
    for nth in 0..40 {
        let mut campaigns = campaigns.clone();
        campaigns.rotate_left(nth % 8);
        if nth % 2 == 0 {
            campaigns.reverse();
        }
        let pool = pool.clone();
        groups.spawn(async move {
            let new = campaigns.into_iter().map(|campaign| Order::new(new_job(campaign, 1)));
            let orders: Vec<Order> = new.collect();
            let mut conn = pool.acquire().await.unwrap();
            let made = job_creation::create_all(&mut conn, &orders, None).await.unwrap();
            orders.iter().zip(made).filter_map(created).count()
        });
    }
    assert_eq!(groups.join_all().await, [8; 40]);
    let names = "SELECT campaign_id FROM jobs GROUP BY campaign_id HAVING count(DISTINCT video_name) = 40";
    let mut conn = pool.acquire().await.unwrap();
    assert_eq!(count(&mut conn, names).await, 8, "each counts its videos without a gap");
    assert_eq!(count(&mut conn, "SELECT FROM campaigns WHERE videos_named = 40").await, 8);
}

#[expect(clippy::disallowed_methods, reason = "tests change rows by hand")]
pub(crate) async fn run(conn: &mut PgConnection, sql: &str) {
    sqlx::query(sqlx::AssertSqlSafe(sql.to_owned())).execute(conn).await.unwrap();
}

#[expect(clippy::disallowed_methods, reason = "tests look at rows from outside")]
pub(crate) async fn count(conn: &mut PgConnection, sql: &'static str) -> usize {
    sqlx::query(sql).fetch_all(conn).await.unwrap().len()
}

async fn mark(conn: &mut PgConnection, job: i64) -> Mark {
    job_mark::of_job(conn, job).await.unwrap().unwrap()
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn a_mark_differs_after_each_change_and_only_then(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let campaign = fixture::campaign(&mut conn).await;
    let job = fixture::job(&mut conn, campaign).await;
    let other = fixture::job(&mut conn, campaign).await;
    let mut before = mark(&mut conn, job).await;
    assert_eq!(mark(&mut conn, job).await, before);
    for change in [
        format!("UPDATE jobs SET stage = stage WHERE id = {job}"),
        format!("UPDATE scenes SET title = 'another' WHERE job_id = {job} AND index = 1"),
        format!("DELETE FROM scenes WHERE job_id = {job} AND index = 0"),
    ] {
        run(&mut conn, &change).await;
        let now = mark(&mut conn, job).await;
        assert_ne!(now, before, "{change}");
        before = now;
    }
    let budget = |hard| Budget {
        scope: Scope::Campaign(campaign),
        period: Period::Total,
        zone: "UTC".to_owned(),
        soft: None,
        hard: Some(Micros(hard)),
    };
    for hard in [5_000_000, 6_000_000] {
        budgets::set(&mut conn, &budget(hard)).await.unwrap();
        let now = mark(&mut conn, job).await;
        assert_ne!(now, before, "a limit of {hard}");
        before = now;
    }
    // What another job of the campaign holds leaves less for this one.
    let scene = scenes::list(&mut conn, other).await.unwrap()[0].id;
    let slot = Slot { job_id: other, purpose: Purpose::Render, scene: Some((scene, 1)), ordinal: 0 };
    let (id, empty) = (Uuid::now_v7(), json!({}));
    predictions::intend(&mut conn, &fixture::intent(id, slot, Micros(1_000), &empty)).await.unwrap();
    assert_ne!(mark(&mut conn, job).await, before, "money is held");
    assert_eq!(job_mark::of_job(&mut conn, 4711).await.unwrap(), None);
}
