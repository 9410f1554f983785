//! Explanations of real rows: each gate brought about by what brings it about in life, a database per test.

#[cfg(test)]
mod bounds;
#[cfg(test)]
mod estimates;
#[cfg(test)]
mod gates;
#[cfg(test)]
mod invariants;
#[cfg(test)]
mod lives;
#[cfg(test)]
mod money;
#[cfg(test)]
mod places;
#[cfg(test)]
mod stage;
