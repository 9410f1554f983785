//! A process that stands still does not hold up the others.

use clap::Parser;
use spool_db::pool::{DatabaseArgs, connect};
use sqlx::PgPool;

#[derive(Parser)]
struct Words {
    #[command(flatten)]
    database: DatabaseArgs,
}

#[sqlx::test(migrations = false)]
#[expect(clippy::disallowed_methods, reason = "a setting of the session is looked at")]
async fn a_transaction_that_idles_is_ended_by_the_server(pool: PgPool) {
    let options = pool.connect_options();
    let (host, port, name) = (options.get_host(), options.get_port(), options.get_database().unwrap());
    let mut url: url::Url = std::env::var("DATABASE_URL").unwrap().parse().unwrap();
    url.set_host(Some(host)).unwrap();
    url.set_port(Some(port)).unwrap();
    url.set_path(name);
    let words = Words::parse_from(["test", "--database-url", url.as_str(), "--db-pool", "2"]);
    let ours = connect(&words.database, "test").await.unwrap();
    let limit: String =
        sqlx::query_scalar("SHOW idle_in_transaction_session_timeout").fetch_one(&ours).await.unwrap();
    assert_eq!(limit, "5s");
}
