//! Databases of the older systems, made by hand in every documented shape and imported into a real Postgres.

#[cfg(test)]
mod elixir;
#[cfg(test)]
mod elixir_database;
#[cfg(test)]
mod here;
#[cfg(test)]
mod odd_files;
#[cfg(test)]
mod resuming;
#[cfg(test)]
mod scenes;
#[cfg(test)]
mod scenes_database;
