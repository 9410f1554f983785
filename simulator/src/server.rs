//! Starting and stopping a simulator.

use crate::config::Config;
use crate::error::SimulatorError;
use crate::http;
use crate::net::{Cut, CuttableListener, Door};
use crate::record::Origin;
use crate::run;
use crate::sim::Sim;
use axum::Router;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How long requests may take to end when the program ends.
const GRACE: Duration = Duration::from_secs(1);
/// How often what has expired is deleted.
const SWEEP: Duration = Duration::from_secs(30);

/// A running simulator.
pub struct Simulator {
    sim: Arc<Sim>,
    servers: Vec<JoinHandle<()>>,
}

impl Simulator {
    /// Opens both ports, reads the data folder and takes up what was running. Answers requests when this returns.
    ///
    /// # Errors
    /// A port is taken, the folder cannot be used, or FFmpeg is missing.
    pub async fn start(config: Config) -> Result<Self, SimulatorError> {
        let (api, api_origin) = bind(config.listen).await?;
        let (cdn, cdn_origin) = bind(config.cdn_listen).await?;
        let sim = Sim::open(config, Origin { api: api_origin, cdn: cdn_origin })?;
        let servers = vec![
            serve(&sim, CuttableListener::behind(api, sim.door.clone())?, http::api(&sim)),
            serve(&sim, CuttableListener::behind(cdn, Door::open())?, http::cdn(&sim)),
        ];
        run::resume(&sim).await;
        sweep(&sim);
        Ok(Self { sim, servers })
    }

    /// `http://host:port` of the APIs: Replicate below `/v1`, xAI below `/xai/v1`, the controls below `/_sim`.
    pub fn listening(&self) -> &str {
        &self.sim.origin.api
    }

    /// `http://host:port` of the CDN.
    pub fn cdn(&self) -> &str {
        &self.sim.origin.cdn
    }

    /// Ends requests and runs. What runs now is taken up by the next start in the same folder.
    pub async fn stop(self) {
        self.sim.shutdown.cancel();
        for mut server in self.servers {
            if tokio::time::timeout(GRACE, &mut server).await.is_err() {
                server.abort();
            }
        }
        self.sim.tasks.close();
        self.sim.tasks.wait().await;
    }
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, String), SimulatorError> {
    let failed = |source| SimulatorError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, format!("http://{bound}")))
}

fn serve(sim: &Arc<Sim>, listener: CuttableListener, router: Router) -> JoinHandle<()> {
    let shutdown = sim.shutdown.clone();
    tokio::spawn(async move {
        let service = router.into_make_service_with_connect_info::<Cut>();
        let server = axum::serve(listener, service);
        // Its error type is uninhabited in practice: accept errors are retried inside.
        server.with_graceful_shutdown(shutdown.cancelled_owned()).await.ok();
    })
}

/// Deletes outputs an hour after the end, as the service does.
fn sweep(sim: &Arc<Sim>) {
    let sim = Arc::clone(sim);
    sim.tasks.clone().spawn(async move {
        loop {
            tokio::select! {
                () = sim.shutdown.cancelled() => return,
                () = tokio::time::sleep(SWEEP) => {}
            }
            let now = sim.clock.now();
            let expired = |record: &crate::record::Record| record.is_removed(now) && !record.files.is_empty();
            for record in sim.book.oldest(0, usize::MAX, expired) {
                tokio::fs::remove_dir_all(sim.output_dir(&record.id)).await.ok();
                sim.book.edit(&record.id, |record| {
                    record.files.clear();
                    record.input.clear();
                    record.logs.clear();
                    true
                });
            }
        }
    });
}
