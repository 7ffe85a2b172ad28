//! Proxies between the program and the systems that it talks to, which fail as networks do.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::aim::{Aim, Fault, Place, Reach, Watch};
use super::wire::{Addresses, Frontend};

/// Bytes that are taken up at once.
const CHUNK_BYTES: usize = 16 << 10;
/// What passes at once, and after which pause, when it is slow: 4 KB a second.
const SLOW_BYTES: usize = 400;
const SLOW_PAUSE: Duration = Duration::from_millis(100);
/// Longest wait for the rest of what may be a broker's address.
const HELD_WAIT: Duration = Duration::from_millis(20);
const NO_WAIT: Duration = Duration::from_secs(3_600);

/// How bytes pass.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Weather {
    Fair,
    /// Until then, or for ever.
    Still(Option<Instant>),
    /// Until then.
    Slow(Instant),
    Sliced,
}

/// How connections end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Reset,
    Closed,
}

/// What all connections of a proxy share.
struct Shared {
    place: Place,
    upstream: SocketAddr,
    port: u16,
    watch: Arc<Watch>,
    weather: watch::Sender<Weather>,
    /// How often all connections were ended, and how the last time.
    ends: watch::Sender<(u64, End)>,
    refusing: watch::Sender<Option<Instant>>,
    connections: AtomicU64,
    random: Mutex<StdRng>,
}

/// A proxy in front of one system.
pub struct Proxy {
    shared: Arc<Shared>,
}

impl Proxy {
    /// Listens on a port of its own.
    pub fn start(
        runtime: &Runtime,
        place: Place,
        upstream: SocketAddr,
        watch: Arc<Watch>,
        seed: u64,
    ) -> Proxy {
        let listener = runtime
            .block_on(TcpListener::bind(("127.0.0.1", 0)))
            .unwrap();
        let shared = Arc::new(Shared {
            place,
            upstream,
            port: listener.local_addr().unwrap().port(),
            watch,
            weather: watch::Sender::new(Weather::Fair),
            ends: watch::Sender::new((0, End::Closed)),
            refusing: watch::Sender::new(None),
            connections: AtomicU64::new(0),
            random: Mutex::new(StdRng::seed_from_u64(seed)),
        });
        runtime.spawn(accept(listener, Arc::clone(&shared)));
        Proxy { shared }
    }

    pub fn port(&self) -> u16 {
        self.shared.port
    }

    /// Everything passes again. What hung in a black hole is lost.
    pub fn heal(&self) {
        let before = self.shared.weather.send_replace(Weather::Fair);
        if matches!(before, Weather::Still(_)) {
            self.shared.end_all(End::Reset);
        }
        self.shared.refusing.send_replace(None);
    }
}

async fn accept(mut listener: TcpListener, shared: Arc<Shared>) {
    let mut refusing = shared.refusing.subscribe();
    loop {
        let until = *refusing.borrow_and_update();
        if let Some(until) = until {
            // Nobody listens: who comes is turned away by the system itself.
            drop(listener);
            tokio::select! {
                () = tokio::time::sleep_until(until) => {}
                _ = refusing.changed() => {}
            }
            listener = TcpListener::bind(("127.0.0.1", shared.port)).await.unwrap();
            shared.refusing.send_replace(None);
            refusing.mark_unchanged();
        }
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((client, _)) = accepted {
                    tokio::spawn(carry(client, Arc::clone(&shared)));
                }
            }
            _ = refusing.changed() => {}
        }
    }
}

/// One connection, from its beginning to its end.
async fn carry(mut client: TcpStream, shared: Arc<Shared>) {
    let mut ends = shared.ends.subscribe();
    ends.mark_unchanged();
    let Ok(mut server) = TcpStream::connect(shared.upstream).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let connection = Connection {
        id: shared.connections.fetch_add(1, Ordering::Relaxed),
        shared: Arc::clone(&shared),
        swallowing: AtomicBool::new(false),
    };
    let end = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let there = connection.outward(from_client, to_server);
        let back = connection.back(from_server, to_client);
        tokio::select! {
            end = both(there, back) => end,
            end = connection.broken(&mut ends) => Some(end),
        }
    };
    match end {
        Some(End::Reset) => drop(client.set_zero_linger()),
        Some(End::Closed) | None => drop(client.shutdown().await),
    }
}

/// Returns when both directions have ended, or one says how all of it ends.
async fn both(
    there: impl Future<Output = Option<End>>,
    back: impl Future<Output = Option<End>>,
) -> Option<End> {
    tokio::pin!(there, back);
    let (end, there_is_over) = tokio::select! {
        end = &mut there => (end, true),
        end = &mut back => (end, false),
    };
    match end {
        Some(end) => Some(end),
        None if there_is_over => back.await,
        None => there.await,
    }
}

struct Connection {
    id: u64,
    shared: Arc<Shared>,
    swallowing: AtomicBool,
}

impl Connection {
    async fn broken(&self, ends: &mut watch::Receiver<(u64, End)>) -> End {
        match ends.changed().await {
            Ok(()) => ends.borrow_and_update().1,
            Err(_) => End::Reset,
        }
    }

    /// What the client says. How the connection is to end, when it is this that a fault has struck.
    async fn outward(&self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> Option<End> {
        let mut frontend = Frontend::default();
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            let count = match from.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(count) => count,
            };
            let mut statements = Vec::new();
            if self.shared.place != Place::Kafka {
                statements = frontend.feed(&buffer[..count]);
            }
            for statement in &statements {
                let hook = self.shared.watch.saw(self.shared.place, self.id, statement);
                if let Some(hook) = hook {
                    tokio::task::spawn_blocking(move || hook()).await.unwrap();
                }
            }
            if let Some(end) = self.look(count, &statements).await {
                return Some(end);
            }
            if self.pass(&buffer[..count], &mut to).await.is_err() {
                break;
            }
        }
        // In a black hole not even a goodbye passes.
        self.moves().await;
        let _ = to.shutdown().await;
        None
    }

    /// What the server answers.
    async fn back(&self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> Option<End> {
        let mut addresses = Addresses::new(self.shared.upstream.port(), self.shared.port);
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            let wait = if addresses.is_holding() {
                HELD_WAIT
            } else {
                NO_WAIT
            };
            let bytes = match tokio::time::timeout(wait, from.read(&mut buffer)).await {
                Ok(Ok(0) | Err(_)) => break,
                Ok(Ok(count)) if self.shared.place == Place::Kafka => {
                    addresses.feed(&buffer[..count])
                }
                Ok(Ok(count)) => buffer[..count].to_vec(),
                Err(_) => addresses.rest(),
            };
            if bytes.is_empty() {
                continue;
            }
            if self.swallowing.load(Ordering::Relaxed) {
                return Some(End::Reset);
            }
            if let Some(end) = self.look(bytes.len(), &[]).await {
                return Some(end);
            }
            if self.pass(&bytes, &mut to).await.is_err() {
                break;
            }
        }
        self.moves().await;
        let _ = to.shutdown().await;
        None
    }

    /// Whether the fault strikes before these bytes, and what it does. One that ends this connection alone says how.
    async fn look(&self, bytes: usize, statements: &[String]) -> Option<End> {
        let shared = &self.shared;
        let fault = shared
            .watch
            .strikes(shared.place, self.id, bytes, statements)?;
        match fault {
            Fault::Cut(reach) => return shared.end(reach, End::Reset),
            Fault::Close(reach) => return shared.end(reach, End::Closed),
            Fault::Stall(time) => {
                let until = Instant::now() + time;
                shared.weather.send_replace(Weather::Still(Some(until)));
            }
            Fault::BlackHole => drop(shared.weather.send_replace(Weather::Still(None))),
            Fault::Slow(time) => {
                let until = Instant::now() + time;
                shared.weather.send_replace(Weather::Slow(until));
            }
            Fault::Slice => drop(shared.weather.send_replace(Weather::Sliced)),
            Fault::Refuse(time) => {
                shared.refusing.send_replace(Some(Instant::now() + time));
                shared.end_all(End::Reset);
                return Some(End::Reset);
            }
            Fault::SwallowCommit => self.swallowing.store(true, Ordering::Relaxed),
        }
        None
    }

    /// Returns when something passes at all.
    async fn moves(&self) {
        let mut weather = self.shared.weather.subscribe();
        loop {
            let now = *weather.borrow_and_update();
            let changed = weather.changed();
            match now {
                Weather::Still(None) => drop(changed.await),
                Weather::Still(Some(until)) if Instant::now() < until => {
                    let _ = tokio::time::timeout_at(until, changed).await;
                }
                _ => return,
            }
        }
    }

    async fn pass(&self, bytes: &[u8], to: &mut WriteHalf<'_>) -> std::io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            self.moves().await;
            let weather = *self.shared.weather.borrow();
            let size = match weather {
                Weather::Slow(until) if Instant::now() < until => {
                    sleep(SLOW_PAUSE).await;
                    SLOW_BYTES
                }
                Weather::Sliced => self.shared.random.lock().unwrap().random_range(1..=7),
                Weather::Fair | Weather::Still(_) | Weather::Slow(_) => CHUNK_BYTES,
            };
            let (piece, later) = rest.split_at(size.min(rest.len()));
            to.write_all(piece).await?;
            rest = later;
        }
        Ok(())
    }
}

impl Shared {
    fn end(&self, reach: Reach, how: End) -> Option<End> {
        if reach == Reach::All {
            self.end_all(how);
        }
        Some(how)
    }

    fn end_all(&self, how: End) {
        self.ends.send_modify(|(times, last)| {
            *times += 1;
            *last = how;
        });
    }
}

/// The three proxies of a system.
pub struct Network {
    pub watch: Arc<Watch>,
    pub kafka: Proxy,
    pub read_store: Proxy,
    pub primary: Proxy,
    // Last: what runs on it ends with it.
    _runtime: Runtime,
}

impl Network {
    /// In front of a broker and of a server.
    pub fn start(kafka: SocketAddr, postgres: SocketAddr, seed: u64) -> Network {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let watch = Arc::new(Watch::default());
        let proxy =
            |place, upstream| Proxy::start(&runtime, place, upstream, Arc::clone(&watch), seed);
        Network {
            kafka: proxy(Place::Kafka, kafka),
            read_store: proxy(Place::ReadStore, postgres),
            primary: proxy(Place::Primary, postgres),
            watch,
            _runtime: runtime,
        }
    }

    pub fn aim(&self, aim: Aim) {
        self.watch.aim(aim);
    }

    /// All is well again; whether the fault struck.
    pub fn heal(&self) -> bool {
        let struck = self.watch.rest();
        for proxy in [&self.kafka, &self.read_store, &self.primary] {
            proxy.heal();
        }
        struck
    }
}
