//! The system under load with those that watch it: Prometheus, Alertmanager, Grafana where the machine has it; and an outage on request.

pub(crate) mod alerts;
pub(crate) mod load;
pub(crate) mod outage;
pub(crate) mod pictures;
pub(crate) mod sources;
pub(crate) mod watchers;
