//! Our own tables against a real Postgres, a database per test.

#[cfg(test)]
mod budgets;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod jobs;
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
mod spend;
#[cfg(test)]
mod waste;
