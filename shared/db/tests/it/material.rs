//! What storyboards are made from, and the mark that tells whether it is still true.

use spool_db::job_creation::{self, NewRows, Order, Outcome};
use spool_db::material::{self, Material};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::fixture;
use crate::job_creation::{count, new_job, run};

async fn bytes(conn: &mut PgConnection) {
    run(conn, "INSERT INTO media (digest, bytes, content_type) VALUES (repeat('0', 64), 1, 'image/jpeg')")
        .await;
}

async fn of(conn: &mut PgConnection, campaign: Uuid) -> Material {
    material::of_campaigns(conn, &[campaign]).await.unwrap().remove(&campaign).unwrap()
}

fn photo(campaign: Uuid, name: &str) -> String {
    format!(
        "INSERT INTO assets (id, campaign_id, type, name, digest)
         VALUES (gen_random_uuid(), '{campaign}', 'image', '{name}', repeat('0', 64))"
    )
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn its_mark_differs_after_each_change_of_it_and_only_then(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    bytes(&mut conn).await;
    let (campaign, other) = (fixture::campaign(&mut conn).await, fixture::campaign(&mut conn).await);
    let bystander = fixture::campaign(&mut conn).await;
    let untouched = of(&mut conn, bystander).await.mark;
    let mut marks = vec![of(&mut conn, campaign).await.mark];
    let changes = [
        photo(campaign, "a"),
        photo(campaign, "b"),
        "UPDATE assets SET name = 'c' WHERE name = 'a'".to_owned(),
        "UPDATE assets SET tags = '{kitchen}' WHERE name = 'c'".to_owned(),
        "UPDATE assets SET type = 'video' WHERE name = 'c'".to_owned(),
        "UPDATE assets SET inserted_at = now() - interval '1 day' WHERE name = 'b'".to_owned(),
        "UPDATE assets SET deleted_at = now() WHERE name = 'b'".to_owned(),
        format!("UPDATE assets SET campaign_id = '{other}' WHERE name = 'c'"),
        format!("UPDATE assets SET campaign_id = '{campaign}' WHERE name = 'c'"),
        "DELETE FROM assets WHERE name = 'c'".to_owned(),
        format!("UPDATE campaigns SET name = 'Winter' WHERE id = '{campaign}'"),
        format!(
            "UPDATE campaigns c SET client_id = o.client_id FROM campaigns o WHERE c.id = '{campaign}' AND o.id = '{other}'"
        ),
    ];
    for change in &changes {
        run(&mut conn, change).await;
        let mark = of(&mut conn, campaign).await.mark;
        assert!(!marks.contains(&mark), "{change}");
        marks.push(mark);
    }
    assert_ne!(of(&mut conn, other).await.mark, 0, "a photo was here");

    let last = marks.last().copied().unwrap();
    for no_change in [
        "UPDATE assets SET description = 'sunny', metadata = '{}', updated_at = now()".to_owned(),
        "UPDATE assets SET name = name".to_owned(),
        format!("UPDATE campaigns SET brief = brief, videos_named = 7, name = name WHERE id = '{campaign}'"),
    ] {
        run(&mut conn, &no_change).await;
        assert_eq!(of(&mut conn, campaign).await.mark, last, "{no_change}");
    }
    assert_eq!(of(&mut conn, bystander).await.mark, untouched, "others' changes are not its");

    run(&mut conn, &photo(campaign, "late")).await;
    run(&mut conn, &format!("DELETE FROM campaigns WHERE id = '{campaign}'")).await;
    assert_eq!(count(&mut conn, "SELECT FROM material_marks").await, 1, "the mark goes with its campaign");
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn a_job_is_not_made_of_what_is_not_true_any_more(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    bytes(&mut conn).await;
    let campaign = fixture::campaign(&mut conn).await;
    let order = |mark| {
        let mut order = Order::new(new_job(campaign, 2));
        order.mark = Some(mark);
        order
    };
    let never_changed = of(&mut conn, campaign).await.mark;
    run(&mut conn, &photo(campaign, "a")).await;
    let kept = of(&mut conn, campaign).await.mark;
    // Somebody adds another one, and has not committed it: an order of this moment comes before it.
    let mut elsewhere = pool.begin().await.unwrap();
    run(&mut elsewhere, &photo(campaign, "b")).await;
    let orders = [order(kept), order(never_changed), Order::new(new_job(campaign, 2)), order(kept)];
    let before = job_creation::create_all(&mut conn, &orders, None).await.unwrap();
    elsewhere.commit().await.unwrap();
    let after = job_creation::create_all(&mut conn, &orders[..2], None).await.unwrap();
    let names: Vec<Option<String>> = before
        .into_iter()
        .chain(after)
        .map(|outcome| match outcome {
            Outcome::Created(made, _) => Some(made.video_name),
            Outcome::NoCampaign => None,
            taken @ Outcome::Taken(_) => panic!("{taken:?}"),
        })
        .collect();
    let names: Vec<Option<&str>> = names.iter().map(Option::as_deref).collect();
    assert_eq!(names, [Some("Autumn 1"), None, Some("Autumn 2"), Some("Autumn 3"), None, None]);
    assert_eq!(count(&mut conn, "SELECT FROM jobs").await, 3, "what is refused leaves nothing");
    let NewRows { job, .. } = job_creation::create(&mut conn, new_job(campaign, 1)).await.unwrap().unwrap();
    assert_eq!(job.video_name, "Autumn 4");
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn the_material_is_the_campaign_and_its_photos_oldest_first(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let campaign = fixture::campaign(&mut conn).await;
    let other = fixture::campaign(&mut conn).await;
    let bare = material::of_campaigns(&mut conn, &[campaign]).await.unwrap().remove(&campaign).unwrap();
    assert_eq!((bare.campaign_name.as_str(), bare.photos.len()), ("Autumn", 0));
    let photo = |age: u32, kind: &str, gone: &str| {
        format!(
            "INSERT INTO assets (id, campaign_id, type, name, tags, digest, inserted_at, deleted_at)
             VALUES (gen_random_uuid(), '{campaign}', '{kind}', 'old {age}', '{{a,b}}', repeat('0', 64), now() - interval '{age} hours', {gone})"
        )
    };
    bytes(&mut conn).await;
    for (age, kind, gone) in
        [(1, "image", "NULL"), (3, "image", "NULL"), (2, "video", "NULL"), (4, "image", "now()")]
    {
        run(&mut conn, &photo(age, kind, gone)).await;
    }
    let all = material::of_campaigns(&mut conn, &[campaign, Uuid::now_v7(), other]).await.unwrap();
    assert_eq!(all.len(), 2, "those that there are");
    let found = &all[&campaign];
    assert_eq!(found.client_id, bare.client_id);
    let names: Vec<&str> = found.photos.iter().map(|photo| photo.name.as_str()).collect();
    assert_eq!(names, ["old 3", "old 1"]);
    assert_eq!(found.photos[0].tags, ["a", "b"]);
    assert!(all[&other].photos.is_empty() && all[&other].client_id != found.client_id);
}
