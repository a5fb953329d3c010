//! Small answers, many at once on one thread.

use super::*;

type Heard = (Option<Head>, Vec<u8>);

/// Asks for so many bytes; what came.
fn ask(client: &Client, port: u16, len: usize) -> crossbeam_channel::Receiver<Heard> {
    let (tell, hear) = crossbeam_channel::bounded(1);
    let memory = Memory::Bytes(vec![0; len]);
    let asked = asked(port, "GET", &[]);
    client.small(asked, (Vec::new(), memory), move |answer, memory| {
        let head = answer.filter(|a| a.is_content).map(|a| a.head);
        tell.send((head, memory.bytes().to_vec())).unwrap();
    });
    hear
}

fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn heard(hear: &crossbeam_channel::Receiver<Heard>) -> Heard {
    hear.recv_timeout(Duration::from_secs(20)).unwrap()
}

const ABC: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nETag: \"v\"\r\n\r\nabc";

#[test]
fn one_after_the_other_goes_over_one_connection() {
    let server = serve(vec![vec![answer(ABC), answer(ABC), answer(ABC)]]);
    let client = client();
    for _ in 0..3 {
        let (head, bytes) = heard(&ask(&client, server.port, 3));
        let head = head.unwrap();
        assert!(head.headers.contains(&("etag".into(), "\"v\"".into())));
        assert_eq!((head.status, bytes), (200, b"abc".to_vec()));
    }
    let requests = server.requests.join().unwrap();
    assert_eq!(requests, ["GET /x HTTP/1.1\r\nhost: h\r\n\r\n"; 3]);
}

/// Each connection waits for all others before it answers: who asked one after the other would never hear.
#[test]
fn many_are_asked_at_once_and_each_has_its_own_content() {
    const AT_ONCE: usize = 24;
    let (listener, port) = listen();
    let serving = std::thread::spawn(move || {
        let mut sockets: Vec<TcpStream> =
            (0..AT_ONCE).map(|_| listener.accept().unwrap().0).collect();
        for (at, socket) in sockets.iter_mut().enumerate() {
            request_of(socket).unwrap();
            let head = format!("HTTP/1.1 200 OK\r\nETag: {at}\r\nContent-Length: 100000\r\n\r\n");
            socket.write_all(head.as_bytes()).unwrap();
        }
        for (at, socket) in sockets.iter_mut().enumerate() {
            socket.write_all(&vec![at as u8; 100_000]).unwrap();
        }
    });
    let client = client();
    let all: Vec<_> = (0..AT_ONCE).map(|_| ask(&client, port, 100_000)).collect();
    let mut seen = [false; AT_ONCE];
    for hear in all {
        let (head, bytes) = heard(&hear);
        let (_, tag) = &head.unwrap().headers[0];
        let at: usize = tag.parse().unwrap();
        assert_eq!(bytes, vec![at as u8; 100_000]);
        seen[at] = true;
    }
    assert_eq!(seen, [true; AT_ONCE]);
    serving.join().unwrap();
}

#[test]
fn a_connection_that_was_closed_while_it_was_idle_is_no_failure() {
    // It is closed after its answer, without a word about that.
    let server = serve(vec![vec![answer(ABC)], vec![answer(ABC)]]);
    let client = client();
    assert!(heard(&ask(&client, server.port, 3)).0.is_some());
    assert!(heard(&ask(&client, server.port, 3)).0.is_some());
    assert_eq!(server.requests.join().unwrap().len(), 2);
}

#[test]
fn a_connection_that_is_to_be_closed_is_not_used_again() {
    let last = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc";
    let server = serve(vec![vec![answer(last), None], vec![answer(ABC)]]);
    let client = client();
    assert!(heard(&ask(&client, server.port, 3)).0.is_some());
    // The first connection would hear a second request.
    drop(heard(&ask(&client, server.port, 3)));
    assert_eq!(server.requests.join().unwrap().len(), 2);
}

#[test]
fn whatever_is_not_just_that_is_for_somebody_else() {
    for other in [
        "HTTP/1.1 206 Partial Content\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 302 Found\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
        "SSH-2.0-x\r\n",
    ] {
        let server = serve(vec![vec![answer(other)]]);
        let (head, bytes) = heard(&ask(&client(), server.port, 3));
        assert_eq!((head, bytes.len()), (None, 3), "{other}");
    }
    let (unused, port) = listen();
    drop(unused);
    assert_eq!(heard(&ask(&client(), port, 3)).0, None);
}

#[test]
fn a_refusal_comes_with_its_words_and_leaves_the_memory_alone() {
    let why = "HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 5\r\n\r\nlater";
    let server = serve(vec![vec![answer(why), answer(ABC)]]);
    let client = client();
    let (tell, hear) = crossbeam_channel::bounded(1);
    let memory = Memory::Bytes(vec![9; 3]);
    let asked = asked(server.port, "GET", &[]);
    client.small(asked, (Vec::new(), memory), move |answer, memory| {
        tell.send((answer.unwrap(), memory.bytes().to_vec()))
            .unwrap();
    });
    let (said, memory) = hear.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!((said.is_content, memory), (false, vec![9; 3]));
    assert_eq!((said.head.status, said.text), (503, b"later".to_vec()));
    assert!(heard(&ask(&client, server.port, 3)).0.is_some());
    server.requests.join().unwrap();
}

#[test]
fn nothing_at_all_is_asked_for_too() {
    let empty = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let server = serve(vec![vec![answer(empty), answer(empty)]]);
    let client = client();
    for _ in 0..2 {
        assert!(heard(&ask(&client, server.port, 0)).0.is_some());
    }
    server.requests.join().unwrap();
}

#[test]
fn a_server_that_stands_still_is_left() {
    let (_listener, port) = listen();
    let patience = Duration::from_millis(50);
    let options = Options {
        connect: patience,
        head: patience,
        body: patience,
        idle: 4,
    };
    let client = Client::new(options, Trust::new(Vec::new()));
    assert_eq!(heard(&ask(&client, port, 3)).0, None);
}

#[test]
fn who_waits_hears_of_the_end() {
    let (listener, port) = listen();
    let client = client();
    let waiting = ask(&client, port, 3);
    let (socket, _) = listener.accept().unwrap();
    drop(client);
    assert_eq!(heard(&waiting).0, None);
    drop(socket);
}

/// What a server says to a question with content.
fn put(client: &Client, asked: Asked, body: &[u8]) -> Option<(u16, Vec<u8>)> {
    let (tell, hear) = crossbeam_channel::bounded(1);
    let put = (body.to_vec(), Memory::None);
    client.small(asked, put, move |answer, _| tell.send(answer).unwrap());
    let answer = hear.recv_timeout(Duration::from_secs(20)).unwrap();
    answer.map(|answer| (answer.head.status, answer.text))
}

#[test]
fn an_answer_of_any_status_comes_with_its_words() {
    let (listener, port) = listen();
    let answers = [
        "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nwhy",
    ];
    let serving = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        for answer in answers {
            request_of(&mut socket).unwrap();
            let mut body = vec![0; 200_000];
            socket.read_exact(&mut body).unwrap();
            assert!(body.iter().all(|&byte| byte == 7));
            socket.write_all(answer.as_bytes()).unwrap();
        }
    });
    let client = client();
    let heard: Vec<_> = (0..answers.len())
        .map(|_| {
            let asked = asked(port, "PUT", &[("content-length", "200000")]);
            put(&client, asked, &[7; 200_000]).unwrap()
        })
        .collect();
    let words = [(201, b"ok".to_vec()), (204, vec![]), (403, b"why".to_vec())];
    assert_eq!(heard, words);
    serving.join().unwrap();
}

#[test]
fn an_answer_to_head_has_no_content_whatever_it_says() {
    let told = "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n";
    let server = serve(vec![vec![answer(told), answer(told)]]);
    let client = client();
    for _ in 0..2 {
        let heard = put(&client, asked(server.port, "HEAD", &[]), &[]);
        assert_eq!(heard, Some((200, vec![])));
    }
    server.requests.join().unwrap();
}

#[test]
fn an_answer_without_a_length_is_for_somebody_else() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let server = serve(vec![vec![answer(chunked)]]);
    assert_eq!(put(&client(), asked(server.port, "PUT", &[]), b""), None);
}
