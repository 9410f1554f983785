//! `/admin`: for operators, with a key that has the scope `admin`.

pub mod budgets;
pub mod spend;
pub mod workers;
