//! `/admin`: for operators, with a key that has the scope `admin`.

pub mod breakers;
pub mod budgets;
pub mod limits;
pub mod workers;
