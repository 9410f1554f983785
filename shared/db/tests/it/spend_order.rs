//! Who is offered money, held against what anybody would call fair.

use proptest::prelude::*;
use spool_db::spend_order::{Waiting, offers};
use std::collections::BTreeMap;

fn line(wanted: &[(u8, i64)]) -> Vec<Waiting> {
    let one = |(task, (share, micros)): (usize, &(u8, i64))| Waiting {
        task: task as i64,
        share: share.to_string(),
        micros: *micros,
        budgets: vec![1],
    };
    wanted.iter().enumerate().map(one).collect()
}

proptest! {
    #[test]
    fn what_is_offered_fits_and_nothing_that_fits_is_left(
        wanted in prop::collection::vec((0_u8..4, 1_i64..50), 0..40), left in 0_i64..500,
    ) {
        let waiting = line(&wanted);
        let given = offers(&waiting, BTreeMap::from([(1, left)]), &BTreeMap::new(), 0, usize::MAX);
        let taken: i64 = given.iter().map(|offer| waiting[offer.task as usize].micros).sum();
        prop_assert!(taken <= left);
        let has = |one: &Waiting| given.iter().any(|offer| offer.task == one.task);
        prop_assert!(waiting.iter().all(|one| has(one) || one.micros > left - taken));
    }

    /// At one price, shares that wait for more have had as much as any other, to one, over many small raises.
    #[test]
    fn shares_have_the_same_over_time(wanted in prop::collection::vec(0_u8..4, 1..60), raises in prop::collection::vec(0_i64..5, 1..30)) {
        let mut waiting = line(&wanted.iter().map(|share| (*share, 1)).collect::<Vec<_>>());
        let (mut turns, mut last, mut had) = (BTreeMap::new(), 0, BTreeMap::<String, i64>::new());
        for raise in raises {
            for offer in offers(&waiting, BTreeMap::from([(1, raise)]), &turns, last, usize::MAX) {
                let first = waiting.iter().position(|one| one.share == offer.share);
                let place = waiting.iter().position(|one| one.task == offer.task);
                prop_assert_eq!(first, place, "longest waiting first");
                waiting.remove(place.unwrap());
                *had.entry(offer.share.clone()).or_default() += 1;
                turns.insert(offer.share, offer.turn);
                last = last.max(offer.turn);
            }
            let still: Vec<&String> = waiting.iter().map(|one| &one.share).collect();
            for share in still {
                let mine = had.get(share).copied().unwrap_or(0);
                prop_assert!(had.values().all(|theirs| *theirs <= mine + 1), "{} of {:?}", share, had);
            }
        }
    }
}

#[test]
fn a_share_without_anything_that_fits_is_passed_over() {
    let waiting = line(&[(0, 9), (0, 9), (1, 3), (0, 2), (1, 3)]);
    let given = offers(&waiting, BTreeMap::from([(1, 8)]), &BTreeMap::new(), 0, 10);
    assert_eq!(given.iter().map(|offer| offer.task).collect::<Vec<_>>(), [3, 2, 4]);
    assert_eq!(given.iter().map(|offer| offer.turn).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(offers(&waiting, BTreeMap::new(), &BTreeMap::new(), 0, 2).len(), 2, "no limit, but so many");
}
