//! A real Alertmanager with our settings.

use crate::prometheus::free_address;
use crate::system::{System, command};
use crate::wait;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// A running one. It ends with the value.
pub struct Alertmanager {
    _child: Child,
    _data: TempDir,
    /// Where it listens.
    pub url: String,
}

impl Alertmanager {
    /// Starts one with these settings.
    pub async fn start(system: &System, settings: &str) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let path = data.path().join("alertmanager.yaml");
        std::fs::write(&path, settings).expect("written");
        let address = free_address();
        let arguments = [
            format!("--config.file={}", path.display()),
            format!("--storage.path={}", data.path().join("data").display()),
            format!("--web.listen-address={address}"),
            // It is alone.
            "--cluster.listen-address=".to_owned(),
            "--log.level=warn".to_owned(),
        ];
        let start =
            |mut program: Command| program.args(&arguments).stdin(Stdio::null()).kill_on_drop(true).spawn();
        // Debian has it under the longer name.
        let child = start(command("alertmanager"))
            .or_else(|_| start(command("prometheus-alertmanager")))
            .expect("Alertmanager is installed: run scripts/bootstrap.sh test");
        let url = format!("http://{address}");
        wait::until("Alertmanager", async || {
            let answer = system.http.get(format!("{url}/-/ready")).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
        Self { _child: child, _data: data, url }
    }
}
