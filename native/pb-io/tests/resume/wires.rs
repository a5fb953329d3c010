//! A job that went over one transport goes on over another, with another number of lanes.

use std::sync::Arc;
use std::time::Duration;

use pb_io::job::State;
use pb_io::session::{Session, SessionOptions};
use pb_io::transport::connect::connect;
use pb_io::transport::crypto::{SessionKeys, Suite};
use pb_io::transport::listener::Listener;
use pb_io::transport::{Choice, LaneOptions};

use crate::common::{Scratch, entries};
use crate::files::{half_done, same};
use crate::run::{CHUNK, Ran, Records, SETUP, Setup, run_over, send_options};

/// A run over the loopback interface.
fn over(s: &Scratch, (choice, lanes): (Choice, u8), setup: &Setup, records: &mut Records) -> Ran {
    let keys = SessionKeys {
        connection_id: 7,
        client_random: [1; 32],
        server_random: [2; 32],
        suite: Suite::Aes128Gcm,
    };
    let options = LaneOptions {
        lanes,
        ..LaneOptions::default()
    };
    let session = || {
        Session::new(SessionOptions {
            memory: setup.memory,
            limit: setup.limit,
            seal: true,
        })
        .unwrap()
    };
    let (near, far) = (session(), session());
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), Box::new(|_, _| {})).unwrap();
    let host = Arc::clone(&far);
    let accepted = listener.register(&keys, &options, host).unwrap();
    let host = Arc::clone(&near);
    let connected = connect(listener.local_addr(), &keys, &options, choice, host).unwrap();
    let list = entries(&send_options(&s.path("a"), setup).roots[0]);
    let ran = run_over(s, (&near, &far), (setup, list), records);
    drop((connected, accepted));
    ran
}

#[test]
fn a_job_goes_on_over_whatever_there_is() {
    let s = Scratch::new();
    let mut records = half_done(&s, 600 * CHUNK as usize + 5, &SETUP);
    let slow = Setup {
        limit: 40 << 20,
        batches: 3,
        flush: Duration::from_millis(20),
        ..SETUP
    };
    let mut durable = records.durable();
    for wires in [(Choice::Udp, 1), (Choice::Tcp, 3), (Choice::Udp, 4)] {
        over(&s, wires, &slow, &mut records);
        assert!(records.durable() > durable, "{wires:?}");
        durable = records.durable();
    }
    let ran = over(&s, (Choice::Tcp, 1), &SETUP, &mut records);
    assert_eq!((ran.state, ran.resumed()), (State::Done, (1, durable, 0)));
    assert!(same(&s, "x") && s.parts().is_empty());
}
