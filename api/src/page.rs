//! `limit` and `offset` of lists.

use serde::Deserialize;
use utoipa::IntoParams;

/// Longest page.
const LONGEST: i64 = 1000;

/// Values outside the bounds are moved to the nearest bound, as older clients expect.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// How many rows, 1 to 1000.
    pub limit: Option<i64>,
    /// How many rows to leave out at the start.
    pub offset: Option<i64>,
}

impl PageQuery {
    /// Limit and offset within their bounds.
    pub fn bounds(&self, usual: i64) -> (i64, i64) {
        (self.limit.unwrap_or(usual).clamp(1, LONGEST), self.offset.unwrap_or(0).max(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold() {
        for (limit, offset, wanted) in [
            (None, None, (25, 0)),
            (Some(0), Some(-3), (1, 0)),
            (Some(5000), Some(7), (1000, 7)),
            (Some(i64::MIN), Some(i64::MAX), (1, i64::MAX)),
        ] {
            assert_eq!(PageQuery { limit, offset }.bounds(25), wanted);
        }
    }
}
