//! Against servers that say what each test lets them say.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use super::*;

mod intake;
mod small;
mod upload;

/// Answers connection after connection, request after request; ends a connection where an answer is `None`.
struct Server {
    port: u16,
    requests: JoinHandle<Vec<String>>,
}

fn serve(connections: Vec<Vec<Option<String>>>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let requests = std::thread::spawn(move || {
        let mut heard = Vec::new();
        for answers in connections {
            let (mut socket, _) = listener.accept().unwrap();
            for answer in answers {
                let Some(asked) = request_of(&mut socket) else {
                    break;
                };
                heard.push(asked);
                let Some(answer) = answer else { break };
                socket.write_all(answer.as_bytes()).unwrap();
            }
        }
        heard
    });
    Server { port, requests }
}

fn request_of(socket: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if socket.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    Some(String::from_utf8(head).unwrap())
}

fn client() -> Client {
    let options = Options {
        connect: Duration::from_secs(5),
        head: Duration::from_secs(5),
        body: Duration::from_secs(5),
        idle: 4,
    };
    Client::new(options, Trust::new(Vec::new()))
}

fn fetch(port: u16, lengths: &[usize]) -> Fetch {
    judged(port, lengths, |_| true)
}

fn judged(
    port: u16,
    lengths: &[usize],
    judge: impl FnOnce(&Head) -> bool + Send + 'static,
) -> Fetch {
    Fetch {
        asked: asked(port, "GET", &[]),
        status: 206,
        memory: Lot::new(
            lengths
                .iter()
                .map(|&len| Memory::Bytes(vec![0; len]))
                .collect(),
        ),
        judge: Box::new(judge),
        take: Box::new(|_| {}),
    }
}

fn asked(port: u16, method: &str, headers: &[(&str, &str)]) -> Asked {
    let headers = [&[("host", "h")], headers].concat();
    Asked {
        origin: Origin {
            tls: false,
            host: "127.0.0.1".into(),
            port,
        },
        method: method.into(),
        target: "/x".into(),
        headers: headers.iter().map(|&(n, v)| (n.into(), v.into())).collect(),
    }
}

/// What became of it, what was filled, and what was not.
fn wait(client: &Client, mut fetch: Fetch) -> (Outcome, Vec<Vec<u8>>, usize) {
    let (tell, hear) = crossbeam_channel::bounded(1);
    let (filled, taken) = crossbeam_channel::unbounded();
    fetch.take = Box::new(move |memory| filled.send(memory).unwrap());
    client.fetch(fetch, move |outcome, memory| {
        tell.send((outcome, memory.len())).unwrap();
    });
    let (outcome, left) = hear.recv_timeout(Duration::from_secs(20)).unwrap();
    let bytes = taken.try_iter().map(|mut m| m.bytes_mut().to_vec());
    (outcome, bytes.collect(), left)
}

const ABCDEF: &str =
    "HTTP/1.1 206 Partial Content\r\nContent-Length: 6\r\nETag: \"v\"\r\n\r\nabcdef";

fn answer(text: &str) -> Option<String> {
    Some(text.to_string())
}

#[test]
fn a_fetch_ends_before_what_was_taken_out_of_it_and_its_connection_with_it() {
    let server = serve(vec![vec![answer(ABCDEF)], vec![answer(ABCDEF)]]);
    let client = client();
    let mut fetch = fetch(server.port, &[2, 2, 2]);
    let lot = fetch.memory.clone();
    assert_eq!(lot.left(), 3);
    // Nothing is read before the head was judged.
    fetch.judge = Box::new(move |_| lot.split().len() == 1 && lot.left() == 2);
    let (outcome, memory, left) = wait(&client, fetch);
    assert!(matches!(outcome, Outcome::Filled));
    assert_eq!((memory, left), (vec![b"ab".to_vec(), b"cd".to_vec()], 0));
    // The rest would be taken for the next answer.
    let (outcome, memory, _) = wait(&client, self::fetch(server.port, &[6]));
    assert!(matches!(outcome, Outcome::Filled));
    assert_eq!(memory, [b"abcdef"]);
    assert_eq!(server.requests.join().unwrap().len(), 2);
}

#[test]
fn what_breaks_off_gives_back_only_what_is_its_own() {
    let cut = "HTTP/1.1 206 Partial Content\r\nContent-Length: 6\r\n\r\nabc";
    let server = serve(vec![vec![answer(cut)]]);
    let mut fetch = fetch(server.port, &[2, 2, 2]);
    let lot = fetch.memory.clone();
    fetch.judge = Box::new(move |_| lot.split().len() == 1);
    let (outcome, memory, left) = wait(&client(), fetch);
    assert!(matches!(outcome, Outcome::Broken(Broken::Lost)));
    assert_eq!((memory, left), (vec![b"ab".to_vec()], 1));
    server.requests.join().unwrap();
}

#[test]
fn a_connection_that_was_opened_ahead_is_the_one_that_is_asked() {
    let server = serve(vec![vec![answer(ABCDEF)], vec![]]);
    let client = client();
    let origin = fetch(server.port, &[6]).asked.origin;
    client.warm(&origin, 1);
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while client.pool.waiting(&origin) == 0 {
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(1));
    }
    client.warm(&origin, 1);
    let (outcome, ..) = wait(&client, fetch(server.port, &[6]));
    assert!(matches!(outcome, Outcome::Filled));
    // Nobody else came.
    assert!(TcpStream::connect(("127.0.0.1", server.port)).is_ok());
    assert_eq!(server.requests.join().unwrap().len(), 1);
}

#[test]
fn content_fills_the_memory_in_turn_over_one_connection() {
    let server = serve(vec![vec![answer(ABCDEF), answer(ABCDEF)]]);
    let client = client();
    for _ in 0..2 {
        let judge = |head: &Head| {
            assert_eq!(head.status, 206);
            head.headers.contains(&("etag".into(), "\"v\"".into()))
        };
        let (outcome, memory, left) = wait(&client, judged(server.port, &[4, 2], judge));
        assert!(matches!(outcome, Outcome::Filled));
        assert_eq!((memory, left), (vec![b"abcd".to_vec(), b"ef".to_vec()], 0));
    }
    let requests = server.requests.join().unwrap();
    assert_eq!(requests, ["GET /x HTTP/1.1\r\nhost: h\r\n\r\n"; 2]);
}

#[test]
fn after_long_content_the_connection_is_used_again_too() {
    let content = format!("{}1", "0".repeat((3 << 20) - 1));
    let long = format!(
        "HTTP/1.1 206 x\r\nContent-Length: {}\r\n\r\n{content}",
        content.len()
    );
    let server = serve(vec![vec![answer(&long), answer(ABCDEF)]]);
    let client = client();
    let (outcome, memory, _) = wait(&client, fetch(server.port, &[1 << 20, 2 << 20]));
    assert!(matches!(outcome, Outcome::Filled));
    assert_eq!((memory[0][0], memory[1].last()), (b'0', Some(&b'1')));
    assert!(matches!(
        wait(&client, fetch(server.port, &[6])).0,
        Outcome::Filled
    ));
    server.requests.join().unwrap();
}

#[test]
fn a_connection_that_was_closed_while_idle_is_not_the_end() {
    // The second is asked over the first connection, if it is not seen yet that it ends, and comes over another.
    let server = serve(vec![vec![answer(ABCDEF)], vec![answer(ABCDEF)]]);
    let client = client();
    for _ in 0..2 {
        let (outcome, memory, _) = wait(&client, fetch(server.port, &[6]));
        assert!(matches!(outcome, Outcome::Filled));
        assert_eq!(memory, [b"abcdef"]);
    }
    server.requests.join().unwrap();
}

#[test]
fn one_that_is_to_be_closed_is_not_used_again() {
    let closing = ABCDEF.replace("ETag", "Connection: close\r\nETag");
    let server = serve(vec![vec![answer(&closing), None], vec![answer(ABCDEF)]]);
    let client = client();
    for _ in 0..2 {
        assert!(matches!(
            wait(&client, fetch(server.port, &[6])).0,
            Outcome::Filled
        ));
    }
    assert_eq!(server.requests.join().unwrap().len(), 2);
}

#[test]
fn a_refusal_comes_with_its_words_and_leaves_the_memory_alone() {
    let refusal = "HTTP/1.1 503 Slow\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nslow";
    let server = serve(vec![vec![answer(refusal), answer(ABCDEF)]]);
    let client = client();
    let (Outcome::Refused(head, text), memory, left) = wait(&client, fetch(server.port, &[6]))
    else {
        panic!("not refused");
    };
    assert_eq!((head.status, text), (503, b"slow".to_vec()));
    assert!(head.headers.contains(&("retry-after".into(), "7".into())));
    assert_eq!((memory.len(), left), (0, 1));
    // Over the same connection.
    assert!(matches!(
        wait(&client, fetch(server.port, &[6])).0,
        Outcome::Filled
    ));
    server.requests.join().unwrap();
}

#[test]
fn another_length_or_none_is_for_somebody_else() {
    let chunked = "HTTP/1.1 206 x\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n0\r\n\r\n";
    let ended = "HTTP/1.1 206 x\r\nConnection: close\r\n\r\nabcdef";
    let no_http = "220 ftp\r\n\r\n";
    for odd in [
        chunked,
        ended,
        no_http,
        &ABCDEF.replace(": 6", ": 5"),
        &ABCDEF.replace(": 6", ": 7"),
    ] {
        let server = serve(vec![vec![answer(odd)]]);
        let (outcome, ..) = wait(&client(), fetch(server.port, &[6]));
        assert!(matches!(outcome, Outcome::Unsuited(_)), "{odd}");
        server.requests.join().unwrap();
    }
}

#[test]
fn a_whole_file_instead_of_a_range_is_a_refusal_without_it() {
    let whole = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\nabc",
        1u64 << 40
    );
    let server = serve(vec![vec![answer(&whole)]]);
    let (Outcome::Refused(head, text), ..) = wait(&client(), fetch(server.port, &[6])) else {
        panic!("not answered");
    };
    assert_eq!((head.status, text), (200, Vec::new()));
    server.requests.join().unwrap();
}

#[test]
fn an_answer_that_is_rejected_fills_nothing() {
    let server = serve(vec![vec![answer(ABCDEF)], vec![answer(ABCDEF)]]);
    let client = client();
    let (outcome, memory, left) = wait(&client, judged(server.port, &[4, 2], |_| false));
    assert!(matches!(outcome, Outcome::Rejected));
    assert_eq!((memory.len(), left), (0, 2));
    // What is left of it comes to nobody: the next answer is over another connection.
    assert!(matches!(
        wait(&client, fetch(server.port, &[6])).0,
        Outcome::Filled
    ));
    server.requests.join().unwrap();
}

#[test]
fn what_was_filled_before_a_connection_broke_counts() {
    let cut = &ABCDEF[..ABCDEF.len() - 1];
    let server = serve(vec![vec![answer(cut)]]);
    let (outcome, memory, left) = wait(&client(), fetch(server.port, &[2, 2, 2]));
    assert!(matches!(outcome, Outcome::Broken(Broken::Lost)));
    assert_eq!((memory, left), (vec![b"ab".to_vec(), b"cd".to_vec()], 1));
    server.requests.join().unwrap();
}

#[test]
fn less_than_was_said_is_a_lost_connection() {
    for cut in [ABCDEF.len() - 1, 20] {
        let server = serve(vec![vec![answer(&ABCDEF[..cut])]]);
        let (outcome, ..) = wait(&client(), fetch(server.port, &[6]));
        assert!(matches!(outcome, Outcome::Broken(Broken::Lost)));
        server.requests.join().unwrap();
    }
}

#[test]
fn nobody_there_is_for_somebody_else() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let (outcome, memory, left) = wait(&client(), fetch(port, &[6]));
    assert!(matches!(outcome, Outcome::Unsuited(_)));
    assert_eq!((memory.len(), left), (0, 1));
    let mut secret = fetch(port, &[6]);
    secret.asked.origin.tls = true;
    // Without an authority nobody is trusted.
    assert!(matches!(wait(&client(), secret).0, Outcome::Unsuited(_)));
}

#[test]
fn what_is_cancelled_ends_while_the_server_says_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = client();
    let (tell, hear) = crossbeam_channel::bounded(1);
    let cancel = client.fetch(fetch(port, &[6]), move |outcome, _| {
        tell.send(outcome).unwrap()
    });
    let (mut socket, _) = listener.accept().unwrap();
    request_of(&mut socket).unwrap();
    // In the middle of the content.
    socket
        .write_all(&ABCDEF.as_bytes()[..ABCDEF.len() - 2])
        .unwrap();
    cancel.cancel();
    let outcome = hear.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(matches!(outcome, Outcome::Broken(Broken::Cancelled)));
    cancel.cancel();
}

#[test]
fn a_server_that_stands_still_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let options = Options {
        connect: Duration::from_secs(5),
        head: Duration::from_millis(50),
        body: Duration::from_millis(50),
        idle: 4,
    };
    let client = Client::new(options, Trust::new(Vec::new()));
    let (outcome, ..) = wait(&client, fetch(port, &[6]));
    assert!(matches!(outcome, Outcome::Broken(Broken::TimedOut)));
    drop(listener);
}

#[test]
fn the_words_of_a_refusal_may_come_in_chunks_or_with_the_end() {
    let chunked = "HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\n\r\n4;a=b\r\nnone\r\n0c\r\n of its name\r\n0\r\n\r\n";
    let ended = "HTTP/1.1 404 x\r\nConnection: close\r\n\r\nnone of its name";
    for refusal in [chunked, ended] {
        let server = serve(vec![vec![answer(refusal)]]);
        let (Outcome::Refused(head, text), ..) = wait(&client(), fetch(server.port, &[6])) else {
            panic!("not answered");
        };
        assert_eq!((head.status, text), (404, b"none of its name".to_vec()));
        server.requests.join().unwrap();
    }
    for broken in [
        "x\r\n",
        "5\r\nabc",
        "3\r\nabcd\r\n0\r\n\r\n",
        "ffffffffffffffffffff\r\n",
    ] {
        let text = format!("HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\n\r\n{broken}");
        let server = serve(vec![vec![answer(&text)]]);
        let (outcome, ..) = wait(&client(), fetch(server.port, &[6]));
        assert!(
            matches!(outcome, Outcome::Broken(Broken::Lost)),
            "{broken:?}"
        );
        server.requests.join().unwrap();
    }
}

#[test]
fn a_chunk_of_any_size_is_taken_as_far_as_words_are_kept() {
    let most = head::MAX_TEXT as usize;
    let content = "x".repeat(most - 1);
    let text = format!(
        "HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n{:x}\r\n{content}",
        usize::MAX
    );
    let server = serve(vec![vec![answer(&text)]]);
    let (Outcome::Refused(_, words), ..) = wait(&client(), fetch(server.port, &[6])) else {
        panic!("not answered");
    };
    assert_eq!(words.len(), most);
    server.requests.join().unwrap();
}
