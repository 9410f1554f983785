//! What Postgres really did for each statement that the code sends: auto_explain tells the client, which tells `tracing`.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use sqlx::{PgPool, postgres::PgPoolOptions};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

/// Connections whose every statement is explained, those inside of functions too. `mode` is Postgres' `plan_cache_mode`.
pub(crate) fn explained(pool: &PgPool, mode: &str) -> PgPool {
    let options = pool.connect_options().as_ref().clone().options([
        ("session_preload_libraries", "auto_explain"),
        ("auto_explain.log_min_duration", "0"),
        ("auto_explain.log_analyze", "on"),
        ("auto_explain.log_buffers", "on"),
        ("auto_explain.log_nested_statements", "on"),
        ("auto_explain.log_format", "json"),
        ("auto_explain.log_level", "notice"),
        ("plan_cache_mode", mode),
        ("jit", "off"),
    ]);
    PgPoolOptions::new().max_connections(4).connect_lazy_with(options)
}

/// Hears the plans of this thread's connections.
#[derive(Clone, Default)]
pub(crate) struct Plans(Arc<Mutex<Vec<Plan>>>);

impl Plans {
    /// What came since the last call.
    pub(crate) fn take(&self) -> Vec<Plan> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Subscriber for Plans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::postgres::notice"
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Message(self));
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

struct Message<'p>(&'p Plans);

impl Visit for Message<'_> {
    fn record_str(&mut self, _: &Field, text: &str) {
        let Some((_, json)) = text.split_once("plan:\n") else { return };
        let plan = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"));
        self.0.0.lock().unwrap().push(Plan(plan));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// One statement that was carried out.
pub(crate) struct Plan(Value);

impl Plan {
    pub(crate) fn text(&self) -> &str {
        self.0["Query Text"].as_str().unwrap()
    }

    pub(crate) fn nodes(&self) -> Vec<Node<'_>> {
        let mut nodes = vec![Node(&self.0["Plan"])];
        let mut next = 0;
        while let Some(Node(node)) = nodes.get(next).copied() {
            nodes.extend(node["Plans"].as_array().into_iter().flatten().map(Node));
            next += 1;
        }
        nodes
    }

    /// Blocks of tables and indexes that were looked at.
    pub(crate) fn blocks(&self) -> f64 {
        Node(&self.0["Plan"]).blocks()
    }

    /// One line for each node.
    pub(crate) fn summary(&self) -> String {
        let line = |node: Node<'_>| {
            let (table, index) = (node.table().unwrap_or_default(), node.index().unwrap_or_default());
            format!("\n  {} {table} {index} {} rows {} blocks", node.kind(), node.touched(), node.blocks())
        };
        self.nodes().into_iter().map(line).collect()
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Node<'p>(&'p Value);

impl<'p> Node<'p> {
    fn number(self, name: &str) -> f64 {
        self.0[name].as_f64().unwrap_or(0.0)
    }

    pub(crate) fn kind(self) -> &'p str {
        self.0["Node Type"].as_str().unwrap()
    }

    pub(crate) fn table(self) -> Option<&'p str> {
        self.0["Relation Name"].as_str()
    }

    pub(crate) fn index(self) -> Option<&'p str> {
        self.0["Index Name"].as_str()
    }

    /// What a node that writes does.
    pub(crate) fn operation(self) -> Option<&'p str> {
        self.0["Operation"].as_str()
    }

    fn blocks(self) -> f64 {
        self.number("Shared Hit Blocks") + self.number("Shared Read Blocks")
    }

    /// Rows that were read, also those that were then thrown away.
    pub(crate) fn touched(self) -> f64 {
        let thrown = self.number("Rows Removed by Filter") + self.number("Rows Removed by Index Recheck");
        (self.number("Actual Rows") + thrown) * self.number("Actual Loops")
    }
}
