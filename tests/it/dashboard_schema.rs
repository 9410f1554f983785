//! Dashboards are what Grafana's published types say a dashboard is.

use std::path::Path;
use system_tests::scripts::must_succeed;
use system_tests::system::command;

#[tokio::test]
async fn dashboards_are_as_grafana_types_them() {
    let work = tempfile::tempdir().expect("a folder");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/dashboards-schema.sh");
    let mut check = command(script);
    check.arg(work.path());
    // What must be refused stands in grafana/schema/src/refused.ts and is looked at in the same run.
    must_succeed(check, "the check of the dashboards' types").await;
}
