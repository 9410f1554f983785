//! Our own tables against a real Postgres, a database per test.

#[cfg(test)]
mod budget_changes;
#[cfg(test)]
mod budgets;
#[cfg(test)]
mod buyers;
#[cfg(test)]
mod cancellation;
#[cfg(test)]
mod checkup;
#[cfg(test)]
mod custody;
#[cfg(test)]
mod figures;
mod fixture;
#[cfg(test)]
mod hooks;
#[cfg(test)]
mod idempotency;
#[cfg(test)]
mod invariants;
#[cfg(test)]
mod job_creation;
#[cfg(test)]
mod jobs;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod limits_cost;
#[cfg(test)]
mod limits_gap;
#[cfg(test)]
mod limits_plan;
mod limits_reads;
#[cfg(test)]
mod material;
#[cfg(test)]
mod memo;
#[cfg(test)]
mod orphans;
#[cfg(test)]
mod pool;
#[cfg(test)]
mod predictions;
#[cfg(test)]
mod purchases;
#[cfg(test)]
mod revisions;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod signals;
#[cfg(test)]
mod spend;
#[cfg(test)]
mod spend_order;
#[cfg(test)]
mod spend_waits;
#[cfg(test)]
mod waste;
