//! A private PgBouncer in front of the test's database, as Debian packages it, in transaction mode.

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::{
    net::{TcpListener, TcpStream},
    process::{Child, Command},
};

use crate::harness::until;

pub(crate) struct Bouncer {
    folder: PathBuf,
    port: u16,
    process: Child,
}

impl Bouncer {
    pub(crate) async fn before(pool: &PgPool) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let folder = std::env::temp_dir().join(format!("spool-queue-bouncer-{}-{port}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        configure(&folder, pool, port);
        let process = start(&folder).await;
        let bouncer = Self { folder, port, process };
        bouncer.answers().await;
        bouncer
    }

    /// Ends it and starts it again: every connection through it breaks.
    pub(crate) async fn restart(&mut self) {
        self.process.kill().await.unwrap();
        self.process = start(&self.folder).await;
        self.answers().await;
    }

    async fn answers(&self) {
        until("PgBouncer to listen", || async { TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() })
            .await;
    }

    /// Connections through it, as its users are told to make them.
    pub(crate) fn pool(&self, pool: &PgPool) -> PgPool {
        let options = pool.connect_options().as_ref().clone().host("127.0.0.1").port(self.port);
        PgPoolOptions::new().max_connections(4).connect_lazy_with(options.statement_cache_capacity(0))
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        self.process.start_kill().ok();
        std::fs::remove_dir_all(&self.folder).ok();
    }
}

fn configure(folder: &Path, pool: &PgPool, port: u16) {
    let options = pool.connect_options();
    let database = options.get_database().unwrap();
    // The password goes to the server; whoever reaches the port of this test needs none.
    let url = sqlx::ConnectOptions::to_url_lossy(options.as_ref());
    let password = url.password().map(|word| format!(" password='{word}'")).unwrap_or_default();
    let settings = format!(
        "[databases]\n{database} = host={} port={} user={}{password}\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
         pool_mode = transaction\ndefault_pool_size = 6\nserver_reset_query = DEALLOCATE ALL\nserver_reset_query_always = 1\n\
         ignore_startup_parameters = extra_float_digits\n",
        options.get_host(),
        options.get_port(),
        options.get_username()
    );
    std::fs::write(folder.join("pgbouncer.ini"), settings).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "the program under the test's feet")]
fn command(program: &str) -> Command {
    Command::new(program)
}

async fn start(folder: &Path) -> Child {
    // Debian puts it where only root looks.
    let found = [
        "/usr/sbin/pgbouncer",
        "/usr/bin/pgbouncer",
        "/usr/local/bin/pgbouncer",
        "/opt/homebrew/bin/pgbouncer",
    ];
    let program = found.into_iter().find(|path| Path::new(path).exists());
    let program = program.expect("PgBouncer is not installed: scripts/bootstrap.sh test installs it");
    let mut start = command(program);
    if is_root().await {
        // It refuses to run as root.
        let account =
            if succeeds(command("id").args(["-u", "postgres"])).await { "postgres" } else { "nobody" };
        assert!(succeeds(command("chown").arg("-R").arg(account).arg(folder)).await);
        start.args(["-u", account]);
    }
    start
        .arg("-q")
        .arg(folder.join("pgbouncer.ini"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn is_root() -> bool {
    let Output { stdout, .. } = command("id").arg("-u").output().await.unwrap();
    stdout.trim_ascii() == b"0"
}

async fn succeeds(command: &mut Command) -> bool {
    command.output().await.is_ok_and(|output| output.status.success())
}
