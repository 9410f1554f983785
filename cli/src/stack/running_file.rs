//! `running.json` of the data folder: which processes run now, for people and tests. Gone when nothing runs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::supervisor::data_folder::DataFolder;
use crate::supervisor::service::Service;

const FILE: &str = "running.json";

#[derive(Debug, Serialize)]
struct Running<'a> {
    supervisor: u32,
    /// Process of each service; null while it is being started again.
    services: BTreeMap<&'a str, Option<u32>>,
    /// Folder of the cluster; its `postmaster.pid` names Postgres itself.
    postgres_data: &'a PathBuf,
}

/// Keeps the file true until it is dropped.
#[derive(Debug)]
pub(crate) struct RunningFile {
    _tasks: JoinSet<()>,
    folder: Arc<DataFolder>,
}

impl RunningFile {
    /// Writes the file now and after every change of a process.
    pub(crate) fn keep<'a>(
        folder: Arc<DataFolder>,
        postgres_data: PathBuf,
        services: impl Iterator<Item = &'a Service>,
    ) -> Self {
        let pids: Vec<(String, watch::Receiver<Option<u32>>)> =
            services.map(|service| (service.name().to_owned(), service.pids())).collect();
        let changed = Arc::new(Notify::new());
        let mut tasks = JoinSet::new();
        for (_, pid) in &pids {
            let (mut pid, changed) = (pid.clone(), changed.clone());
            tasks.spawn(async move {
                while pid.changed().await.is_ok() {
                    changed.notify_one();
                }
            });
        }
        write(&folder, &pids, &postgres_data);
        let writer = folder.clone();
        tasks.spawn(async move {
            loop {
                changed.notified().await;
                write(&writer, &pids, &postgres_data);
            }
        });
        Self { _tasks: tasks, folder }
    }
}

impl Drop for RunningFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.folder.path(FILE));
    }
}

fn write(folder: &DataFolder, pids: &[(String, watch::Receiver<Option<u32>>)], postgres_data: &PathBuf) {
    let services = pids.iter().map(|(name, pid)| (name.as_str(), *pid.borrow())).collect();
    let running = Running { supervisor: std::process::id(), services, postgres_data };
    if let Err(error) = folder.write_json(FILE, &running) {
        tracing::warn!(error = &error as &dyn std::error::Error, "running.json is out of date");
    }
}
