//! The provider's own clients for JavaScript and Python work against the simulator, unchanged.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use system_tests::scripts::{copy_into, must_succeed};
use system_tests::system::{command, program};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

async fn simulator(data: &Path) -> (Child, String) {
    let mut child = command(program("spool-simulator"))
        .args([
            "--listen",
            "127.0.0.1:0",
            "--cdn-listen",
            "127.0.0.1:0",
            "--speed",
            "60",
            "--announce",
            "--data-dir",
        ])
        .arg(data)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the simulator starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let line = lines.next_line().await.expect("readable").expect("an announcement");
    let announced: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    (child, announced["listening"].as_str().expect("an address").to_owned())
}

fn scripts(language: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("clients").join(language)
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript() {
    let dir = tempfile::tempdir().unwrap();
    copy_into(&scripts("js"), dir.path());
    let mut install = command("npm");
    install.args(["install", "--no-audit", "--no-fund", "--silent"]).current_dir(dir.path());
    must_succeed(install, "npm install").await;
    let data = tempfile::tempdir().unwrap();
    let (_simulator, address) = simulator(data.path()).await;
    let mut run = command("node");
    run.arg("check.js").current_dir(dir.path()).env("REPLICATE_BASE_URL", format!("{address}/v1"));
    run.env("REPLICATE_API_TOKEN", "r8_simulated");
    must_succeed(run, "the JavaScript client").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python() {
    let dir = tempfile::tempdir().unwrap();
    copy_into(&scripts("python"), dir.path());
    let mut venv = command("python3");
    venv.args(["-m", "venv", "venv"]).current_dir(dir.path());
    must_succeed(venv, "python3 -m venv").await;
    let mut install = command(dir.path().join("venv/bin/pip"));
    install
        .args(["install", "--quiet", "--disable-pip-version-check", "-r", "requirements.txt"])
        .current_dir(dir.path());
    must_succeed(install, "pip install").await;
    let data = tempfile::tempdir().unwrap();
    let (_simulator, address) = simulator(data.path()).await;
    let mut run = command(dir.path().join("venv/bin/python"));
    run.arg("check.py").current_dir(dir.path()).env("REPLICATE_BASE_URL", format!("{address}/v1"));
    run.env("REPLICATE_API_TOKEN", "r8_simulated");
    must_succeed(run, "the Python client").await;
}
