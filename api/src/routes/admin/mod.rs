//! `/admin`: for operators, with a key that has the scope `admin`.

pub mod audit;
pub mod breakers;
pub mod budgets;
pub mod custody;
pub mod keys;
pub mod limits;
pub mod log_level;
pub mod orphans;
pub mod predictions;
pub mod spend;
pub mod storage;
pub mod workers;
