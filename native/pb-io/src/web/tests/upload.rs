//! Content that is sent to servers, which do with it what each test lets them do.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};

use super::{asked, client, request_of};
use crate::pump::Memory;
use crate::web::{Body, Broken, Client, Options, Outcome, Piece, Trust, Upload};

/// More than sockets hold on the way.
const LONG: usize = 32 << 20;
const OK: &str = "HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: 0\r\n\r\n";
const TOO_LARGE: &str = "HTTP/1.1 413 x\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig";

fn put(port: u16, lengths: &[usize]) -> Upload {
    let length: usize = lengths.iter().sum();
    let memory = |(at, &len): (usize, &usize)| Memory::Bytes(vec![b'a' + at as u8; len]);
    Upload {
        asked: asked(port, "PUT", &[("content-length", &length.to_string())]),
        body: Body::Whole(lengths.iter().enumerate().map(memory).collect()),
    }
}

/// What became of it, and how much memory came back.
fn begin(client: &Client, upload: Upload) -> Receiver<(Outcome, usize)> {
    let (tell, hear) = bounded(1);
    client.upload(upload, move |outcome, memory| {
        tell.send((outcome, memory.len())).unwrap();
    });
    hear
}

fn end(hear: &Receiver<(Outcome, usize)>) -> (Outcome, usize) {
    hear.recv_timeout(Duration::from_secs(20)).unwrap()
}

struct Server(TcpListener);

impl Server {
    fn new() -> (Server, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        (Server(listener), port)
    }

    /// The next connection, after the head of a request.
    fn asked(&self) -> (TcpStream, String) {
        let (mut socket, _) = self.0.accept().unwrap();
        let head = request_of(&mut socket).unwrap();
        (socket, head)
    }
}

fn content_of(socket: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut content = vec![0; length];
    socket.read_exact(&mut content).unwrap();
    content
}

fn say(socket: &mut TcpStream, text: &str) {
    socket.write_all(text.as_bytes()).unwrap();
}

#[test]
fn content_goes_out_in_turn_and_the_connection_is_used_again() {
    let (server, port) = Server::new();
    let client = client();
    let first = begin(&client, put(port, &[2, 0, 3]));
    let (mut socket, head) = server.asked();
    let wanted = "PUT /x HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\n";
    assert_eq!(head, wanted);
    assert_eq!(content_of(&mut socket, 5), b"aaccc");
    say(&mut socket, OK);
    let (Outcome::Answered(head, text), 3) = end(&first) else {
        panic!("not answered");
    };
    assert_eq!((head.status, text), (200, Vec::new()));
    assert!(head.headers.contains(&("etag".into(), "\"e\"".into())));
    let second = begin(&client, put(port, &[LONG]));
    request_of(&mut socket).unwrap();
    assert_eq!(content_of(&mut socket, LONG), vec![b'a'; LONG]);
    say(&mut socket, OK);
    assert!(matches!(end(&second), (Outcome::Answered(..), 1)));
}

#[test]
fn what_comes_before_the_answer_stops_nothing() {
    let (server, port) = Server::new();
    let hear = begin(&client(), put(port, &[LONG]));
    let (mut socket, _) = server.asked();
    say(
        &mut socket,
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\n",
    );
    content_of(&mut socket, LONG - 1);
    say(&mut socket, "Link: y\r\n\r\n");
    content_of(&mut socket, 1);
    say(&mut socket, OK);
    assert!(matches!(end(&hear), (Outcome::Answered(head, _), 1) if head.status == 200));
}

#[test]
fn a_server_that_refuses_before_it_has_all_is_heard() {
    for closes in [false, true] {
        let (server, port) = Server::new();
        let client = client();
        let hear = begin(&client, put(port, &[LONG, 1]));
        let (mut socket, _) = server.asked();
        say(&mut socket, TOO_LARGE);
        // Closed with content in it that nobody has read, it tells the other end that the rest is lost.
        let open = (!closes).then_some(socket);
        let (Outcome::Answered(head, text), 2) = end(&hear) else {
            panic!("not answered");
        };
        assert_eq!(head.status, 413);
        assert!(closes || text == b"big");
        drop(open);
        // Nothing else goes over that connection.
        let again = begin(&client, put(port, &[1]));
        let (mut socket, _) = server.asked();
        content_of(&mut socket, 1);
        say(&mut socket, OK);
        assert!(matches!(end(&again), (Outcome::Answered(..), 1)));
    }
}

#[test]
fn nobody_has_what_was_not_sent() {
    let (server, port) = Server::new();
    let hear = begin(&client(), put(port, &[LONG]));
    let (mut socket, _) = server.asked();
    say(&mut socket, OK);
    assert!(matches!(end(&hear), (Outcome::Broken(Broken::Lost), 1)));
}

#[test]
fn a_server_that_closes_without_a_word_is_lost() {
    for read in [0, LONG / 2] {
        let (server, port) = Server::new();
        let hear = begin(&client(), put(port, &[LONG]));
        let (mut socket, _) = server.asked();
        content_of(&mut socket, read);
        drop(socket);
        assert!(matches!(end(&hear), (Outcome::Broken(Broken::Lost), 1)));
    }
}

#[test]
fn a_server_that_takes_nothing_is_left() {
    let (server, port) = Server::new();
    let options = Options {
        connect: Duration::from_secs(5),
        head: Duration::from_millis(100),
        body: Duration::from_millis(100),
        idle: 4,
    };
    let client = Client::new(options, Trust::new(Vec::new()));
    let hear = begin(&client, put(port, &[LONG]));
    let (socket, _) = server.asked();
    let outcome = end(&hear);
    assert!(matches!(outcome, (Outcome::Broken(Broken::TimedOut), 1)));
    drop(socket);
}

#[test]
fn what_is_cancelled_ends_while_the_server_takes_nothing() {
    let (server, port) = Server::new();
    let client = client();
    let (tell, hear) = bounded(1);
    let cancel = client.upload(put(port, &[LONG]), move |outcome, memory| {
        tell.send((outcome, memory.len())).unwrap();
    });
    let (socket, _) = server.asked();
    cancel.cancel();
    let outcome = end(&hear);
    assert!(matches!(outcome, (Outcome::Broken(Broken::Cancelled), 1)));
    drop(socket);
}

#[test]
fn content_is_sent_again_where_an_idle_connection_was_closed() {
    let (server, port) = Server::new();
    let client = client();
    let first = begin(&client, put(port, &[1]));
    let (mut socket, _) = server.asked();
    content_of(&mut socket, 1);
    say(&mut socket, OK);
    assert!(matches!(end(&first), (Outcome::Answered(..), 1)));
    let second = begin(&client, put(port, &[LONG]));
    // It was idle until the request came.
    request_of(&mut socket).unwrap();
    drop(socket);
    let (mut socket, _) = server.asked();
    content_of(&mut socket, LONG);
    say(&mut socket, OK);
    assert!(matches!(end(&second), (Outcome::Answered(..), 1)));
}

#[test]
fn a_stream_goes_piece_by_piece_and_each_is_heard_of() {
    let (server, port) = Server::new();
    let (push, pieces) = bounded(1);
    let upload = Upload {
        asked: asked(port, "PUT", &[("content-length", "4")]),
        body: Body::Stream(pieces),
    };
    let hear = begin(&client(), upload);
    let (mut socket, _) = server.asked();
    for text in ["ab", "cd"] {
        let (tell, taken) = bounded(1);
        let then =
            move |memory: Vec<Memory>, is_taken| tell.send((memory.len(), is_taken)).unwrap();
        let memory = vec![Memory::Bytes(text.as_bytes().to_vec())];
        push.send(Piece::new(memory, then)).unwrap();
        assert_eq!(content_of(&mut socket, 2), text.as_bytes());
        assert_eq!(taken.recv_timeout(Duration::from_secs(20)), Ok((1, true)));
    }
    drop(push);
    say(&mut socket, OK);
    assert!(matches!(end(&hear), (Outcome::Answered(..), 0)));
}

#[test]
fn pieces_of_a_stream_that_nobody_takes_are_heard_of() {
    let (server, port) = Server::new();
    let (push, pieces) = bounded(2);
    let upload = Upload {
        asked: asked(port, "PUT", &[("content-length", &(2 * LONG).to_string())]),
        body: Body::Stream(pieces),
    };
    let (tell, taken) = bounded(2);
    for _ in 0..2 {
        let tell = tell.clone();
        let then =
            move |memory: Vec<Memory>, is_taken| tell.send((memory.len(), is_taken)).unwrap();
        let memory = vec![Memory::Bytes(vec![0; LONG])];
        push.send(Piece::new(memory, then)).unwrap();
    }
    let hear = begin(&client(), upload);
    let (mut socket, _) = server.asked();
    say(&mut socket, TOO_LARGE);
    assert!(matches!(end(&hear), (Outcome::Answered(head, _), 0) if head.status == 413));
    for _ in 0..2 {
        assert_eq!(taken.recv_timeout(Duration::from_secs(20)), Ok((1, false)));
    }
}
