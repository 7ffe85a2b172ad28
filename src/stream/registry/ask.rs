//! One question to a registry, asked again while it does not answer.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::StreamError;
use super::super::limits::{REGISTRY_PAUSES, SCHEMA_ANSWER_BYTES_MAX};
use super::RegistryConfig;

/// What came back.
pub(super) enum Answer {
    /// This.
    Found(String),
    /// That it is not there.
    Missing,
}

/// Why nothing did.
struct Failed {
    reason: String,
    hint: &'static str,
    /// Whether it is worth while to ask again.
    passing: bool,
}

pub(super) struct Client {
    agent: ureq::Agent,
    base: String,
    /// `Basic …`
    login: Option<String>,
    pub(super) shown: String,
}

impl Client {
    pub(super) fn new(config: &RegistryConfig) -> Result<Client, StreamError> {
        let (scheme, rest) = config.url.split_once("://").ok_or_else(|| {
            let problem = format!("{} is no URL of a schema registry", config.shown);
            StreamError::Config { problem }
        })?;
        let (login, rest) = match rest.rsplit_once('@') {
            Some((login, rest)) => (Some(login), rest),
            None => (None, rest),
        };
        let login = login.map(|login| {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            let mut both = decoded(user);
            both.push(b':');
            both.extend(decoded(password));
            format!("Basic {}", STANDARD.encode(both))
        });
        let tls = ureq::tls::TlsConfig::builder()
            .provider(ureq::tls::TlsProvider::NativeTls)
            .root_certs(ureq::tls::RootCerts::PlatformVerifier)
            .build();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .tls_config(tls)
            .user_agent("trueup")
            .build()
            .new_agent();
        Ok(Client {
            agent,
            base: format!("{scheme}://{}", rest.trim_end_matches('/')),
            login,
            shown: config.shown.clone(),
        })
    }

    /// Asks for `path` until there is an answer, for `patience` at most.
    pub(super) fn get(&self, path: &str, patience: Duration) -> Result<Answer, StreamError> {
        let begun = Instant::now();
        let mut pauses = REGISTRY_PAUSES.iter();
        loop {
            let left = patience.saturating_sub(begun.elapsed());
            let failed = match self.once(path, left.max(Duration::from_secs(1))) {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            let pause = pauses.next().copied().unwrap_or(REGISTRY_PAUSES[2]);
            if !failed.passing || begun.elapsed() + pause >= patience {
                return Err(self.failed(&failed.reason, failed.hint));
            }
            std::thread::sleep(pause);
        }
    }

    fn once(&self, path: &str, patience: Duration) -> Result<Answer, Failed> {
        let mut question = self.agent.get(format!("{}{path}", self.base));
        if let Some(login) = &self.login {
            question = question.header("Authorization", login);
        }
        let question = question.config().timeout_global(Some(patience)).build();
        let unreached = |e: ureq::Error| Failed {
            reason: e.to_string(),
            hint: "look at the URL, and whether the registry runs",
            passing: true,
        };
        let mut answer = question.call().map_err(unreached)?;
        match answer.status().as_u16() {
            200 => {
                let body = answer
                    .body_mut()
                    .with_config()
                    .limit(SCHEMA_ANSWER_BYTES_MAX);
                body.read_to_string().map(Answer::Found).map_err(unreached)
            }
            404 => Ok(Answer::Missing),
            status @ (401 | 403) => Err(Failed {
                reason: format!("it answers with status {status}"),
                hint: "look at the user and password in its URL, and at what the user may read",
                passing: false,
            }),
            status => Err(Failed {
                reason: format!("it answers with status {status}"),
                hint: "look at its log",
                passing: status >= 500 || status == 429,
            }),
        }
    }

    pub(super) fn failed(&self, reason: &str, hint: &'static str) -> StreamError {
        StreamError::Registry {
            url: self.shown.clone(),
            reason: reason.to_owned(),
            hint,
        }
    }
}

/// A name as a part of a path.
pub(super) fn encoded(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The bytes of a part of a URL.
fn decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        let hex = behind.get(..2).and_then(|h| std::str::from_utf8(h).ok());
        match hex.and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(value) if *byte == b'%' => {
                out.push(value);
                rest = &behind[2..];
            }
            _ => {
                out.push(*byte);
                rest = behind;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_urls_are_read_and_written() {
        assert_eq!(
            encoded("shop.public.a b/ä-value"),
            "shop.public.a%20b%2F%C3%A4-value"
        );
        assert_eq!(decoded("p%40ss%3Aw%C3%A4"), "p@ss:wä".as_bytes());
        assert_eq!(decoded("100%"), b"100%");
    }
}
