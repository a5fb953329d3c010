//! Several lanes side by side.

use super::*;

#[test]
fn lanes_pull_what_is_left() {
    for lanes in [2, 4, 8] {
        let mut many = with_paths(16, |p| p.loss = 0.005);
        many.lanes = lanes;
        let outcome = finish(&many);
        assert!(
            outcome.delivered.iter().all(|&bytes| bytes > 0),
            "{:?}",
            outcome.delivered
        );
    }
}

#[test]
fn a_lane_whose_hello_is_lost_tries_again() {
    let mut unlucky = with_paths(2, |p| p.down = Some((Instant(0), Instant(700 * MS))));
    unlucky.lanes = 3;
    let outcome = finish(&unlucky);
    assert!(outcome.done_at > Instant(700 * MS) && outcome.done_at < Instant(4 * SECOND));
}

#[test]
fn a_blocked_path_is_reported_after_three_seconds() {
    let blocked = with_paths(1, |p| p.loss = 1.0);
    let failure = run(&blocked).unwrap_err();
    assert!(
        failure
            .0
            .contains("closed: 5 no answer to HELLO at Instant(30"),
        "{}",
        failure.0
    );
}
