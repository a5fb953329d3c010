//! Takers of one budget.

use loom::thread;

use crate::buffer::Budget;

/// Two want more than there is for both: each gets it, one after the other.
pub fn takers_get_their_turn() {
    let budget = Budget::new(10);
    let takers = [7, 6].map(|len| {
        let budget = budget.clone();
        thread::spawn(move || {
            let buffer = budget.take(len, &|| false).unwrap();
            assert!(budget.used() <= budget.limit());
            drop(buffer);
        })
    });
    for taker in takers {
        taker.join().unwrap();
    }
    assert_eq!(budget.used(), 0);
}

/// What a shorter buffer gives back is enough for who waits.
pub fn a_shortened_buffer_makes_room() {
    let budget = Budget::new(10);
    let mut held = budget.try_take(10).unwrap();
    let taker = {
        let budget = budget.clone();
        thread::spawn(move || budget.take(6, &|| false).unwrap().len())
    };
    held.truncate(4);
    assert_eq!(taker.join().unwrap(), 6);
    assert_eq!(budget.used(), 4);
}
