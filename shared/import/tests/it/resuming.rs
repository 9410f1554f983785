//! Runs that are broken off, repeated, only tried, or meet what is here already.

use crate::elixir_database::{asset, client, make, photo, sub_job};
use crate::here::{Here, How, mp4};
use crate::scenes_database::third;
use serde_json::json;
use spool_import::System;
use spool_import::error::ImportError;
use sqlx::PgPool;

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn a_second_run_changes_nothing(pool: PgPool) {
    for system in [System::Elixir, System::Scenes] {
        let here = Here::new(pool.clone());
        match system {
            System::Elixir => drop(make(&here.file())),
            System::Scenes => drop(third(&here.file())),
        }
        // The two systems number their jobs alike.
        let how = How { renumber: true, ..How::default() };
        let report = here.import(system, how).await;
        let before = here.everything().await;
        for verify in [false, true] {
            let again = here.import(system, How { verify, ..how }).await;
            assert_eq!(here.everything().await, before);
            for table in &again.tables {
                assert_eq!(
                    (table.already, table.carried, table.changed),
                    (table.rows * u64::from(table.skipped.is_none()), 0, 0),
                    "{}",
                    table.table
                );
            }
        }
        assert!(report.is_complete());
    }
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn a_dry_run_says_the_same_and_writes_nothing(pool: PgPool) {
    for system in [System::Elixir, System::Scenes] {
        let here = Here::new(pool.clone());
        match system {
            System::Elixir => drop(make(&here.file())),
            System::Scenes => drop(third(&here.file())),
        }
        let before = here.everything().await;
        let renumber = How { renumber: true, ..How::default() };
        let dry = here.import(system, How { dry_run: true, ..renumber }).await;
        assert_eq!(here.everything().await, before);
        let stored = std::fs::read_dir(here.folder.path().join("media")).unwrap().count();
        assert_eq!(stored, 1, "only the scratch folder");
        let real = here.import(system, renumber).await;
        let figures = |report: &spool_import::report::Report| {
            let table = |table: &spool_import::report::TableReport| {
                (table.table.clone(), table.carried, table.beside, table.media, table.media_bytes)
            };
            report.tables.iter().map(table).collect::<Vec<_>>()
        };
        // What both systems have is here from the first one on.
        if system == System::Elixir {
            assert_eq!(figures(&dry), figures(&real));
        }
    }
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn a_broken_batch_leaves_nothing_and_the_next_run_goes_on(pool: PgPool) {
    let here = Here::new(pool);
    let db = make(&here.file());
    for n in 100..140 {
        db.execute(
            "INSERT INTO assets (id, type, blob_data, client_id, inserted_at) VALUES (?1, 'image', ?2, ?3, '2025-11-23')",
            rusqlite::params![asset(n), photo(n), client(0)],
        )
        .unwrap();
    }
    here.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON assets FOR EACH ROW WHEN (NEW.id::text LIKE '%000000000078') EXECUTE FUNCTION refuse()",
    )
    .await;
    let error = here.try_import(System::Elixir, How::default()).await.unwrap_err();
    assert!(matches!(error, ImportError::Db(_)), "{error:?}");
    // Number 120 is the 34th asset: the first twenty are in, its own batch is not.
    assert_eq!(
        (here.count("assets").await, here.count("imported_rows WHERE table_name = 'assets'").await),
        (20, 20)
    );
    here.execute("DROP TRIGGER refuse ON assets").await;
    let report = here.import(System::Elixir, How::default()).await;
    let assets = report.table("assets").unwrap();
    assert_eq!((assets.already, assets.carried), (20, 33));
    assert_eq!(here.count("assets").await, 53);
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn what_changed_there_or_was_lost_here_is_found(pool: PgPool) {
    let here = Here::new(pool);
    let db = make(&here.file());
    here.import(System::Elixir, How::default()).await;
    db.execute("UPDATE clients SET name = 'Renamed' WHERE id = ?1", [client(0)]).unwrap();
    // As long as before: only its bytes tell.
    db.execute("UPDATE assets SET blob_data = ?1 WHERE id = ?2", rusqlite::params![photo(999), asset(3)])
        .unwrap();
    std::fs::remove_dir_all(here.folder.path().join("media")).unwrap();
    std::fs::create_dir_all(here.folder.path().join("media/.scratch")).unwrap();
    let quick = here.import(System::Elixir, How::default()).await;
    assert_eq!((quick.table("clients").unwrap().changed, quick.table("assets").unwrap().changed), (1, 0));
    assert!(!quick.is_complete());
    let verified = here.import(System::Elixir, How { verify: true, ..How::default() }).await;
    assert_eq!(
        (verified.table("clients").unwrap().changed, verified.table("assets").unwrap().changed),
        (1, 1)
    );
    assert_eq!(
        here.value(&format!("SELECT name FROM clients WHERE id = '{}'", client(0))).await["name"],
        json!("Client 0")
    );
    here.has_bytes(&photo(4));
    here.has_bytes(&mp4(6, 50_000));
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn numbers_that_are_taken_stop_the_import_before_it_begins(pool: PgPool) {
    let here = Here::new(pool);
    let db = make(&here.file());
    here.import(System::Elixir, How::default()).await;
    let before = here.everything().await;
    let other = How { name: Some("elixir-2"), ..How::default() };
    let error = here.try_import(System::Elixir, other).await.unwrap_err();
    let ImportError::NumbersTaken { count, first, .. } = &error else { panic!("{error:?}") };
    assert_eq!((*count, first.as_slice()), (5, &[5, 6, 7, 8, 9][..]));
    assert!(error.to_string().contains("--renumber-jobs"));
    assert_eq!(here.everything().await, before);
    // With other numbers, and other ids of clips, they come in; clients and assets are here and stay as they are.
    db.execute("DELETE FROM sub_jobs", []).unwrap();
    sub_job(&db, 1000, 6, "completed", Some(mp4(1000, 1_000)));
    let report = here.import(System::Elixir, How { renumber: true, ..other }).await;
    assert_eq!((report.table("clients").unwrap().beside, report.table("jobs").unwrap().carried), (2, 5));
    let new = here.value("SELECT target_id FROM imported_rows WHERE source = 'elixir-2' AND table_name = 'jobs' AND row_id = '6'").await;
    assert!(new["target_id"].as_str().unwrap().parse::<i64>().unwrap() > 9, "{new}");
}
