//! Throughput of the transports alone: units from memory to a host that discards them, over loopback, one process.
//!
//! `lanebench [udp|tcp|auto] [sealed|clear|file] [--lanes N] [--seconds S] [--datagram BYTES] [--controller cubic|bbr|ledbat]`
//!
//! Between two machines or network namespaces: `--serve ADDRESS:PORT` on one side (it takes one session and ends after
//! `--seconds`), `--to ADDRESS:PORT` on the other, with the same other words. The keys are fixed: never for real data.
//!
//! Prints gigabits a second of unit bytes, and the processor time of sender and receiver threads, so that figures from
//! a machine that does other things as well can be compared.

use std::collections::HashMap;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pb_io::buffer::Budget;
use pb_io::transport::connect::connect;
use pb_io::transport::crypto::{SessionKeys, Suite};
use pb_io::transport::listener::Listener;
use pb_io::transport::{
    Choice, InState, InUnit, LaneHost, LaneId, LaneOptions, Next, OutBody, OutUnit, Place,
    TransportError, TransportKind, Waker,
};
use pb_proto::cc::ControllerKind;
use pb_proto::sample::PathSample;
use pb_proto::units::Assembly;

const UNIT: usize = (1 << 20) + 64;
const BUDGET: usize = 64 << 20;

/// Sends units without end, or takes and discards them.
struct Host {
    source: Option<Source>,
    pulled: AtomicU32,
    in_flight: AtomicU64,
    stop: AtomicBool,
    peer_grant: AtomicU64,
    charged: AtomicU64,
    grant: AtomicU64,
    placing: Mutex<HashMap<u32, Arc<InUnit>>>,
    received: AtomicU64,
    budget: Budget,
    wakers: Mutex<Vec<Arc<Waker>>>,
    last: Mutex<Option<PathSample>>,
}

enum Source {
    /// Buffers of the budget, as they are.
    Memory,
    File(Arc<std::fs::File>),
}

impl Host {
    fn new(source: Option<Source>) -> Arc<Host> {
        Arc::new(Host {
            source,
            pulled: AtomicU32::new(0),
            in_flight: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            peer_grant: AtomicU64::new(0),
            charged: AtomicU64::new(0),
            grant: AtomicU64::new(BUDGET as u64),
            placing: Mutex::default(),
            received: AtomicU64::new(0),
            budget: Budget::new(BUDGET),
            wakers: Mutex::default(),
            last: Mutex::default(),
        })
    }

    fn wake(&self) {
        self.wakers.lock().iter().for_each(|w| w.wake());
    }
}

impl LaneHost for Host {
    fn lane_up(&self, _lane: LaneId, _: TransportKind, waker: Arc<Waker>) {
        self.wakers.lock().push(waker);
    }

    fn next_unit(&self, _lane: LaneId) -> Next {
        let Some(source) = self
            .source
            .as_ref()
            .filter(|_| !self.stop.load(Ordering::Relaxed))
        else {
            return Next::Idle;
        };
        if self.charged.load(Ordering::Relaxed) + UNIT as u64
            > self.peer_grant.load(Ordering::Relaxed)
        {
            return Next::NoCredit;
        }
        let body = match source {
            Source::Memory => match self.budget.try_take(UNIT) {
                Some(buffer) => OutBody::Memory(buffer),
                None => return Next::Idle,
            },
            Source::File(file) => OutBody::File {
                file: file.clone(),
                offset: 0,
                length: 1 << 20,
                trailer: vec![7; UNIT - (1 << 20)],
            },
        };
        self.charged.fetch_add(UNIT as u64, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let id = self.pulled.fetch_add(1, Ordering::Relaxed);
        Next::Unit(Arc::new(OutUnit {
            id,
            len: UNIT as u32,
            always_sealed: false,
            body,
        }))
    }

    fn unit_acked(&self, _lane: LaneId, unit: Arc<OutUnit>) {
        drop(unit);
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    fn place(&self, id: u32, len: u32) -> Result<Place, TransportError> {
        let mut placing = self.placing.lock();
        if let Some(unit) = placing.get(&id) {
            return Ok(Place::Into(unit.clone()));
        }
        let buffer = self.budget.try_take(len as usize);
        if buffer.is_none() {
            return Ok(Place::AlreadyComplete);
        }
        let state = Mutex::new(InState {
            assembly: Assembly::new(len),
            buffer,
        });
        let unit = Arc::new(InUnit { id, len, state });
        placing.insert(id, unit.clone());
        Ok(Place::Into(unit))
    }

    fn unit_complete(&self, _lane: LaneId, unit: Arc<InUnit>) {
        drop(unit.state.lock().buffer.take());
        self.placing.lock().remove(&unit.id);
        self.received
            .fetch_add(u64::from(unit.len), Ordering::Relaxed);
        self.grant.fetch_add(u64::from(unit.len), Ordering::Relaxed);
    }

    fn grant(&self) -> u64 {
        self.grant.load(Ordering::Relaxed)
    }

    fn peer_grant(&self, bytes: u64) {
        if self.peer_grant.fetch_max(bytes, Ordering::Relaxed) < bytes {
            self.wake();
        }
    }

    fn sample(&self, _lane: LaneId, sample: PathSample) {
        *self.last.lock() = Some(sample);
    }

    fn lane_down(&self, lane: LaneId, unfinished: Vec<Arc<OutUnit>>, why: Option<TransportError>) {
        if let Some(why) = why {
            eprintln!("lane {lane} down with {} units: {why}", unfinished.len());
        }
    }

    fn session_closed(&self, why: TransportError) {
        eprintln!("session closed: {why}");
    }
}

struct Arguments {
    serve: Option<SocketAddr>,
    to: Option<SocketAddr>,
    choice: Choice,
    seal: bool,
    file: bool,
    seconds: f64,
    options: LaneOptions,
}

fn arguments() -> Arguments {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        words
            .iter()
            .position(|w| w == name)
            .and_then(|i| words.get(i + 1))
    };
    let number = |name: &str| value(name).and_then(|v| v.parse::<f64>().ok());
    let has = |word: &str| words.iter().any(|w| w == word);
    let seal = !has("clear") && !has("file");
    let controller = match value("--controller").map(String::as_str) {
        Some("bbr") => ControllerKind::Bbr,
        Some("cubic") => ControllerKind::Cubic,
        Some("ledbat") => ControllerKind::Ledbat,
        _ => ControllerKind::default(),
    };
    let options = LaneOptions {
        seal,
        lanes: number("--lanes").unwrap_or(1.0) as u8,
        max_datagram: number("--datagram").map(|n| n as u16),
        segmentation: !has("--no-gso"),
        controller,
        ..LaneOptions::default()
    };
    let choice = match () {
        () if has("tcp") => Choice::Tcp,
        () if has("auto") => Choice::Auto,
        () => Choice::Udp,
    };
    let address = |name: &str| value(name).and_then(|v| v.parse().ok());
    let (serve, to) = (address("--serve"), address("--to"));
    Arguments {
        serve,
        to,
        choice,
        seal,
        file: has("file"),
        seconds: number("--seconds").unwrap_or(3.0),
        options,
    }
}

fn source(file: bool) -> Source {
    if !file {
        return Source::Memory;
    }
    let path = std::env::temp_dir().join(format!("lanebench-{}", std::process::id()));
    let mut f = std::fs::File::options()
        .create_new(true)
        .read(true)
        .write(true)
        .open(&path)
        .expect("a scratch file");
    let _ = std::fs::remove_file(&path);
    f.write_all(&vec![0x5a; 1 << 20])
        .expect("a scratch file can be written");
    Source::File(Arc::new(f))
}

/// Processor seconds of this process.
fn cpu() -> f64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    t.tv_sec as f64 + t.tv_nsec as f64 / 1e9
}

fn keys() -> SessionKeys {
    SessionKeys {
        connection_id: 1,
        client_random: [1; 32],
        server_random: [2; 32],
        suite: Suite::default(),
    }
}

/// Takes one session at an address.
fn serve(addr: SocketAddr, arguments: &Arguments) {
    let listener = Listener::bind(addr, Box::new(|_, _| {})).expect("a free port");
    let server = Host::new(None);
    let accepted = listener
        .register(&keys(), &arguments.options, server.clone())
        .expect("registered");
    std::thread::sleep(Duration::from_secs_f64(arguments.seconds));
    println!(
        "received {} MB",
        server.received.load(Ordering::Relaxed) / 1_000_000
    );
    accepted.finish(Duration::from_secs(1));
}

/// What a client sent: units acknowledged, in bytes.
fn sent(client: &Host) -> u64 {
    let done =
        u64::from(client.pulled.load(Ordering::Relaxed)) - client.in_flight.load(Ordering::Relaxed);
    done * UNIT as u64
}

fn main() {
    let arguments = arguments();
    if let Some(addr) = arguments.serve {
        return serve(addr, &arguments);
    }
    let local = arguments.to.is_none().then(|| {
        let listener = Listener::bind(
            "127.0.0.1:0".parse().expect("an address"),
            Box::new(|_, _| {}),
        );
        let listener = listener.expect("a free port");
        let set = listener.register(&keys(), &arguments.options, Host::new(None));
        (listener, set.expect("registered"))
    });
    let peer = arguments
        .to
        .or(local.as_ref().map(|(l, _)| l.local_addr()))
        .expect("a server");
    let client = Host::new(Some(source(arguments.file)));
    let start = Instant::now();
    let connected = connect(
        peer,
        &keys(),
        &arguments.options,
        arguments.choice,
        client.clone(),
    )
    .expect("connected");
    println!(
        "  connect took {:.1} ms; {:?}",
        start.elapsed().as_secs_f64() * 1e3,
        connected.note
    );
    std::thread::sleep(Duration::from_millis(300));
    measure(&arguments, &client, connected.transport.as_str());
    client.stop.store(true, Ordering::Relaxed);
    std::thread::sleep(Duration::from_millis(500));
    let cpu0 = cpu();
    std::thread::sleep(Duration::from_secs(1));
    println!("  idle: cpu {:.2} %", 100.0 * (cpu() - cpu0));
    let start = Instant::now();
    connected.lanes.finish(Duration::from_secs(5));
    println!(
        "  finish took {:.1} ms",
        start.elapsed().as_secs_f64() * 1e3
    );
}

fn measure(arguments: &Arguments, client: &Host, transport: &str) {
    let (start, cpu0, bytes0) = (Instant::now(), cpu(), sent(client));
    std::thread::sleep(Duration::from_secs_f64(arguments.seconds));
    let gbits = (sent(client) - bytes0) as f64 * 8.0 / 1e9;
    let (wall, cpu) = (start.elapsed().as_secs_f64(), cpu() - cpu0);
    println!(
        "{transport} {} lanes={}: {:.2} Gbit/s, {:.2} Gbit per cpu-second of this process, cpu {:.0} %",
        match (arguments.seal, arguments.file) {
            (true, _) => "sealed",
            (_, true) => "file",
            _ => "clear",
        },
        arguments.options.lanes,
        gbits / wall,
        gbits / cpu,
        100.0 * cpu / wall
    );
    let Some(s) = *client.last.lock() else { return };
    println!(
        "  rtt {} us (min {}), cwnd {} KiB, in flight {} KiB, datagram {}, lost {}, spurious {}, peer drops {}, ce {}, \
         rate {:.2} Gbit/s, pacing {:.2}, by {:?} {:?}",
        s.smoothed_rtt_ns / 1000,
        s.min_rtt_ns / 1000,
        s.congestion_window >> 10,
        s.bytes_in_flight >> 10,
        s.datagram_size,
        s.packets_lost,
        s.packets_spuriously_lost,
        s.peer_socket_drops,
        s.ecn_ce,
        s.delivery_rate as f64 * 8e-9,
        s.pacing_rate as f64 * 8e-9,
        s.limited_by,
        s.limited
    );
}
