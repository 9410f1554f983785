//! What a person at a terminal sees of an import, and that nobody else does.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use std::thread;

use nix::pty::openpty;
use serde_json::Value;
use sqlx::PgPool;

use crate::import::{BOUND, command, made, spool};

/// Runs the import with a terminal of its own for errors: what it says, and what the terminal shows.
async fn on_a_terminal(file: &Path, pool: &PgPool, media: &Path) -> (Vec<u8>, String) {
    let terminal = openpty(None, None).expect("a terminal");
    let mut program = command(&["import", "elixir", file.to_str().expect("a path"), "--json"], pool, media);
    let child = program.stdout(Stdio::piped()).stderr(terminal.slave).spawn().expect("it starts");
    // It holds the terminal open.
    drop(program);
    let mut screen = File::from(terminal.master);
    let shown = thread::spawn(move || {
        let mut shown = Vec::new();
        // Ends with an error when the last one has closed the terminal.
        screen.read_to_end(&mut shown).ok();
        String::from_utf8_lossy(&shown).into_owned()
    });
    let output =
        tokio::time::timeout(BOUND, child.wait_with_output()).await.expect("in time").expect("it ends");
    let shown = shown.join().expect("the terminal was read");
    assert!(output.status.success(), "{shown}");
    (output.stdout, shown)
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn a_terminal_shows_a_bar_for_each_table_and_a_pipe_nothing(pool: PgPool) {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, media) = (folder.path().join("old.db"), folder.path().join("media"));
    made(&file, 60, 0);
    let (said, shown) = on_a_terminal(&file, &pool, &media).await;
    serde_json::from_slice::<Value>(&said).expect("a report and nothing else");
    // What was written in the end, of all tables; the bar is redrawn some times a second, not for each row.
    assert!(
        shown.contains("assets") && shown.contains("/60 rows") && shown.contains(" MB of media"),
        "{shown:?}"
    );
    let file = file.to_str().expect("a path");
    let piped = spool(&["import", "elixir", file, "--json"], &pool, &media).await;
    assert!(piped.status.success());
    assert_eq!(String::from_utf8_lossy(&piped.stderr), "");
}
