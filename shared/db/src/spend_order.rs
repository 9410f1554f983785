//! Who gets money first: pure, so that it can be held against a model. Shares take turns, within a share the longest waiting goes
//! first, and what does not fit holds up nobody.

use std::collections::{BTreeMap, HashMap, VecDeque};

/// A task that waits for money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    pub task: i64,
    /// Whose work it is.
    pub share: String,
    /// Micro-dollars it needs.
    pub micros: i64,
    /// The budgets that have to hold them.
    pub budgets: Vec<i64>,
}

/// An offer: the task may have its money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    pub task: i64,
    pub share: String,
    /// The share's place after it: the highest goes last the next time.
    pub turn: i64,
}

/// Offers what is left, at most `most` times. `waiting` is in the order of waiting, `left` is what each budget has left, `turns` the
/// number of each share's last turn. A share that had none goes first, then the one whose turn is longest ago.
pub fn offers(
    waiting: &[Waiting],
    mut left: BTreeMap<i64, i64>,
    turns: &BTreeMap<String, i64>,
    last_turn: i64,
    most: usize,
) -> Vec<Offer> {
    let mut lines: HashMap<&str, VecDeque<&Waiting>> = HashMap::new();
    let mut order: BTreeMap<(i64, usize), &str> = BTreeMap::new();
    for (place, one) in waiting.iter().enumerate() {
        let line = lines.entry(&one.share).or_default();
        if line.is_empty() {
            order.insert((turns.get(&one.share).copied().unwrap_or(0), place), &one.share);
        }
        line.push_back(one);
    }
    let mut given = Vec::new();
    let mut turn = last_turn;
    while given.len() < most
        && let Some((_, share)) = order.pop_first()
    {
        let Some(line) = lines.get_mut(share) else { continue };
        // What does not fit now does not fit later in this round either: nothing is given back in it.
        let Some(chosen) = std::iter::from_fn(|| line.pop_front()).find(|one| fits(one, &left)) else {
            continue;
        };
        for budget in &chosen.budgets {
            if let Some(left) = left.get_mut(budget) {
                *left -= chosen.micros;
            }
        }
        turn += 1;
        order.insert((turn, 0), share);
        given.push(Offer { task: chosen.task, share: share.to_owned(), turn });
    }
    given
}

fn fits(one: &Waiting, left: &BTreeMap<i64, i64>) -> bool {
    one.budgets.iter().all(|budget| left.get(budget).is_none_or(|left| one.micros <= *left))
}
