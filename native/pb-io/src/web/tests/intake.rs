//! Of servers that send what they like over a connection for data.

use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::*;
use crate::web::{Came, Intake, Want};

const PATIENCE: Duration = Duration::from_secs(20);

/// What came, with the memory that is back.
type Heard = (Came, Vec<Vec<u8>>);

/// What was wanted, and what is heard of it: each memory as it is taken, and then what came.
struct Reading {
    wants: Option<Sender<Want>>,
    taken: (Sender<Memory>, Receiver<Memory>),
    came: (Sender<Heard>, Receiver<Heard>),
    end: Receiver<Outcome>,
    cancel: Cancel,
    server: TcpStream,
}

fn receive(client: &Client) -> Reading {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (wants, wanted) = unbounded();
    let intake = Intake {
        host: "127.0.0.1".into(),
        port: listener.local_addr().unwrap().port(),
        wants: wanted,
    };
    let (connected, is_there) = unbounded();
    let (tell, end) = unbounded();
    let cancel = client.receive(
        intake,
        move || connected.send(()).unwrap(),
        move |outcome| tell.send(outcome).unwrap(),
    );
    let (server, _) = listener.accept().unwrap();
    is_there.recv_timeout(PATIENCE).unwrap();
    Reading {
        wants: Some(wants),
        taken: unbounded(),
        came: unbounded(),
        end,
        cancel,
        server,
    }
}

impl Reading {
    fn want(&self, lengths: &[usize], is_last: bool) {
        let memory = lengths
            .iter()
            .map(|&len| Memory::Bytes(vec![b'-'; len]))
            .collect();
        let (taken, came) = (self.taken.0.clone(), self.came.0.clone());
        let take = Box::new(move |memory| taken.send(memory).unwrap());
        let want = Want::new(memory, is_last, take, move |what, left| {
            let left = left.into_iter().map(|mut m| m.bytes_mut().to_vec());
            came.send((what, left.collect())).unwrap();
        });
        self.wants.as_ref().unwrap().send(want).unwrap();
    }

    fn came(&self) -> Heard {
        self.came.1.recv_timeout(PATIENCE).unwrap()
    }

    fn taken(&self) -> Vec<u8> {
        let mut memory = self.taken.1.recv_timeout(PATIENCE).unwrap();
        memory.bytes_mut().to_vec()
    }

    fn send(&mut self, bytes: &[u8]) {
        self.server.write_all(bytes).unwrap();
    }

    /// The other side of the socket sees that it is closed.
    fn is_closed(&mut self) -> bool {
        self.server.set_read_timeout(Some(PATIENCE)).unwrap();
        match self.server.read(&mut [0]) {
            Ok(got) => got == 0,
            // With something unread it is reset.
            Err(e) => e.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

#[test]
fn what_comes_fills_what_waits_in_turn() {
    let client = client();
    let mut reading = receive(&client);
    reading.want(&[2, 3], false);
    reading.want(&[1], false);
    reading.want(&[2, 2], true);
    // In pieces that are none of the memory's.
    for piece in ["a", "bc", "defg", "hij"] {
        reading.send(piece.as_bytes());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(
        (reading.taken(), reading.taken()),
        ("ab".into(), "cde".into())
    );
    assert_eq!(reading.came(), (Came::Filled, vec![]));
    assert_eq!(
        (reading.taken(), reading.came()),
        ("f".into(), (Came::Filled, vec![]))
    );
    assert_eq!(reading.taken(), b"gh");
    // The last is not there before the end is.
    let early = reading.came.1.recv_timeout(Duration::from_millis(50));
    assert!(early.is_err());
    reading.server.shutdown(Shutdown::Write).unwrap();
    assert_eq!(reading.came(), (Came::Filled, vec![b"ij".to_vec()]));
    // Closed here, though somebody could still want something; who does hears that it has ended.
    assert!(reading.is_closed());
    reading.want(&[1], false);
    assert_eq!(reading.came(), (Came::Ended, vec![b"-".to_vec()]));
    reading.wants = None;
    let end = reading.end.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(end, Outcome::Filled));
}

#[test]
fn memory_is_taken_as_it_is_full_and_not_when_all_is() {
    let client = client();
    let mut reading = receive(&client);
    reading.want(&[1, 1], false);
    reading.send(b"a");
    assert_eq!(reading.taken(), b"a");
    assert!(reading.came.1.is_empty());
    reading.send(b"b");
    assert_eq!(
        (reading.taken(), reading.came().0),
        (b"b".to_vec(), Came::Filled)
    );
}

#[test]
fn an_early_end_is_told_to_all_who_wait_with_what_was_full_taken() {
    let client = client();
    let mut reading = receive(&client);
    reading.want(&[2, 2, 2], false);
    reading.want(&[2], true);
    reading.send(b"abc");
    assert_eq!(reading.taken(), b"ab");
    reading.server.shutdown(Shutdown::Write).unwrap();
    let (came, left) = reading.came();
    assert_eq!((came, left.len()), (Came::Ended, 2));
    assert_eq!(reading.came(), (Came::Ended, vec![b"--".to_vec()]));
    assert!(reading.taken.1.is_empty() && reading.is_closed());
}

#[test]
fn more_than_was_wanted_is_told_and_the_last_memory_not_taken() {
    let client = client();
    let mut reading = receive(&client);
    reading.want(&[2], true);
    reading.send(b"abc");
    assert_eq!(reading.came().0, Came::More);
    assert!(reading.taken.1.is_empty() && reading.is_closed());
}

#[test]
fn one_that_resets_or_stands_still_is_no_end() {
    let options = Options {
        connect: PATIENCE,
        head: PATIENCE,
        body: Duration::from_millis(100),
        idle: 0,
    };
    let client = Client::new(options, Trust::new(Vec::new()));
    let mut slow = receive(&client);
    slow.want(&[3], true);
    // Slow is not still.
    for piece in ["a", "b"] {
        slow.send(piece.as_bytes());
        std::thread::sleep(Duration::from_millis(60));
    }
    assert!(slow.came.1.is_empty());
    assert_eq!(slow.came().0, Came::Broken(Broken::TimedOut));
    let mut reset = receive(&client);
    reset.want(&[1], false);
    reset.send(b"a");
    assert_eq!(reset.came().0, Came::Filled);
    reset.want(&[1], false);
    rustix::net::sockopt::set_socket_linger(&reset.server, Some(Duration::ZERO)).unwrap();
    let Reading { came, server, .. } = reset;
    drop(server);
    let lost = came.1.recv_timeout(PATIENCE).unwrap().0;
    assert_eq!(lost, Came::Broken(Broken::Lost));
}

#[test]
fn a_cancel_closes_at_once_and_memory_comes_back() {
    let client = client();
    let mut reading = receive(&client);
    reading.want(&[4], false);
    reading.want(&[4], true);
    reading.send(b"ab");
    let before = Instant::now();
    reading.cancel.cancel();
    for _ in 0..2 {
        let (came, left) = reading.came();
        assert_eq!((came, left.len()), (Came::Broken(Broken::Cancelled), 1));
    }
    assert!(reading.is_closed());
    // Far from the 5 s of silence that would end it.
    assert!(before.elapsed() < Duration::from_secs(3));
    reading.wants = None;
    reading.end.recv_timeout(PATIENCE).unwrap();
    // Nobody fills it any more, and it is heard of.
    let mut idle = receive(&client);
    idle.cancel.cancel();
    idle.wants = None;
    assert!(idle.is_closed());
    idle.end.recv_timeout(PATIENCE).unwrap();
}

#[test]
fn nobody_there_is_told_and_so_are_those_who_wait() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let (wants, wanted) = unbounded();
    let (tell, came) = unbounded();
    let memory = VecDeque::from([Memory::Bytes(vec![0])]);
    let then = move |what, left: VecDeque<Memory>| tell.send((what, left.len())).unwrap();
    wants
        .send(Want::new(memory, false, Box::new(|_| {}), then))
        .unwrap();
    let intake = Intake {
        host: "127.0.0.1".into(),
        port,
        wants: wanted,
    };
    let (end, ended) = unbounded();
    client().receive(
        intake,
        || panic!("connected"),
        move |outcome| end.send(outcome).unwrap(),
    );
    let outcome = ended.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(outcome, Outcome::Unsuited(_)));
    let heard = came.recv_timeout(PATIENCE).unwrap();
    assert_eq!(heard, (Came::Broken(Broken::Cancelled), 1));
}
