//! What a proxy has to know of the protocols that it carries: the statements a client sends to PostgreSQL, and the address
//! that a Kafka broker gives of itself.

/// The statements in what a client sends to PostgreSQL, however it is cut into pieces.
#[derive(Default)]
pub struct Frontend {
    pending: Vec<u8>,
    started: bool,
}

impl Frontend {
    /// The statements that end in these bytes, by either protocol.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<String> {
        self.pending.extend_from_slice(bytes);
        let mut statements = Vec::new();
        // The first message has a length and no kind.
        let mut at = 0;
        loop {
            let kind_bytes = usize::from(self.started);
            let rest = &self.pending[at..];
            let Some(length) = rest.get(kind_bytes..kind_bytes + 4) else {
                break;
            };
            let length = u32::from_be_bytes(length.try_into().unwrap()) as usize + kind_bytes;
            let Some(message) = rest.get(..length) else {
                break;
            };
            if self.started {
                statements.extend(statement(message[0], &message[5..]));
            }
            self.started = true;
            at += length;
        }
        self.pending.drain(..at);
        statements
    }
}

fn statement(kind: u8, body: &[u8]) -> Option<String> {
    let mut parts = body.split(|byte| *byte == 0);
    let text = match kind {
        b'Q' => parts.next(),
        // The name it is prepared under comes first.
        b'P' => parts.nth(1),
        _ => None,
    };
    text.map(|t| String::from_utf8_lossy(t).into_owned())
}

/// Puts the proxy's address in the place of the broker's, in what the broker answers. Both are of one length, so that no
/// other byte of the answer changes.
pub struct Addresses {
    old: Vec<u8>,
    new: Vec<u8>,
    held: Vec<u8>,
}

impl Addresses {
    /// `old` and `new` are ports of 127.0.0.1.
    pub fn new(old: u16, new: u16) -> Addresses {
        let address = |port: u16| {
            let mut bytes = b"127.0.0.1".to_vec();
            bytes.extend(u32::from(port).to_be_bytes());
            bytes
        };
        Addresses {
            old: address(old),
            new: address(new),
            held: Vec::new(),
        }
    }

    /// The bytes with the addresses replaced. What may be the beginning of one is held back for what comes next.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut all = std::mem::take(&mut self.held);
        all.extend_from_slice(bytes);
        let size = self.old.len();
        let mut at = 0;
        while at + size <= all.len() {
            if all[at..at + size] == self.old[..] {
                all[at..at + size].copy_from_slice(&self.new);
                at += size;
            } else {
                at += 1;
            }
        }
        let begun = (1..size.min(all.len() + 1))
            .rev()
            .find(|n| all.ends_with(&self.old[..*n]));
        self.held = all.split_off(all.len() - begun.unwrap_or(0));
        all
    }

    /// Whether something is held back.
    pub fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// What was held back, when nothing more comes.
    pub fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }
}

#[test]
fn statements_are_seen_in_any_pieces() {
    let mut sent = vec![0, 0, 0, 8, 0, 3, 0, 0];
    for (kind, body) in [
        (b'Q', &b"BEGIN\0"[..]),
        (b'd', b"1\tx\n"),
        (b'P', b"name\0SELECT 1\0\0\0"),
        (b'Q', b"COMMIT\0"),
    ] {
        sent.push(kind);
        sent.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
        sent.extend(body);
    }
    for size in 1..sent.len() {
        let mut frontend = Frontend::default();
        let seen: Vec<String> = sent
            .chunks(size)
            .flat_map(|piece| frontend.feed(piece))
            .collect();
        assert_eq!(seen, ["BEGIN", "SELECT 1", "COMMIT"], "{size}");
    }
}

#[test]
fn addresses_are_replaced_in_any_pieces() {
    let answer = |port: u16| {
        let mut bytes = b"..127.0.127.0.0.1".to_vec();
        bytes.extend(u32::from(port).to_be_bytes());
        bytes.extend(b"127.0.0.1");
        bytes
    };
    let (sent, wanted) = (answer(29_092), answer(4_711));
    for size in 1..=sent.len() {
        let mut addresses = Addresses::new(29_092, 4_711);
        let mut passed: Vec<u8> = sent
            .chunks(size)
            .flat_map(|piece| addresses.feed(piece))
            .collect();
        passed.extend(addresses.rest());
        assert_eq!(passed, wanted, "{size}");
    }
}
