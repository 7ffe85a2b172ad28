//! The client of an object store: which one a URL means, and its errors in our words.

use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ClientConfigKey, Error, ObjectStore, RetryConfig};

use super::error::SnapshotError;
use crate::limits::{OBJECT_RETRIES_MAX, OBJECT_RETRY_TIME, OBJECT_TIMEOUT};

/// Environment variables whose values are never shown.
const SECRET: [&str; 3] = [
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_ACCESS_KEY_ID",
];
/// Characters of a store's own words that a message has.
const WORDS_MAX: usize = 400;

/// A prefix of a store, with the client that reaches it.
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) root: Path,
    pub(super) url: String,
}

/// The client for `url`. What it does not say comes from the environment: `AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT` and so on.
pub(super) fn open(url: &str) -> Result<Bucket, SnapshotError> {
    let wrong = |problem: String| SnapshotError::Url {
        url: url.to_owned(),
        problem,
    };
    let (store, root): (Arc<dyn ObjectStore>, _) = match url.split_once("://") {
        Some(("s3", rest)) => {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let store = s3(bucket).map_err(|e| wrong(words(&e)))?;
            (store, Path::parse(prefix.trim_end_matches('/')))
        }
        Some(("file", folder)) => {
            let store = LocalFileSystem::new().with_fsync(true);
            let store = store.with_automatic_cleanup(true);
            (Arc::new(store), Path::parse(folder.trim_matches('/')))
        }
        _ => {
            return Err(wrong(
                "write s3://bucket/prefix, or name a folder".to_owned(),
            ));
        }
    };
    Ok(Bucket {
        root: root.map_err(|e| wrong(e.to_string()))?,
        store,
        url: url.to_owned(),
    })
}

fn s3(bucket: &str) -> Result<Arc<dyn ObjectStore>, Error> {
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
    // Of one request with its body: the library's own 30 s are few for a part on a slow line.
    if std::env::var_os("AWS_TIMEOUT").is_none() {
        let key = AmazonS3ConfigKey::Client(ClientConfigKey::Timeout);
        builder = builder.with_config(key, format!("{} seconds", OBJECT_TIMEOUT.as_secs()));
    }
    let store = builder.with_retry(RetryConfig {
        max_retries: OBJECT_RETRIES_MAX,
        retry_timeout: OBJECT_RETRY_TIME,
        ..RetryConfig::default()
    });
    Ok(Arc::new(store.build()?))
}

impl Bucket {
    /// What came of asking for an object.
    pub(super) fn failed(&self, at: &Path, error: Error) -> SnapshotError {
        let below = at.as_ref().strip_prefix(self.root.as_ref());
        let below = below.unwrap_or(at.as_ref()).trim_start_matches('/');
        SnapshotError::Objects {
            at: format!("{}/{below}", self.url),
            problem: match error {
                Error::NotFound { .. } => "it is not there (nor perhaps the bucket)".to_owned(),
                Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                    "the store refused the credentials of the environment (AWS_ACCESS_KEY_ID and its kin), or does not let them do this".to_owned()
                }
                other => words(&other),
            },
        }
    }
}

/// The library's words, without what must not be shown.
fn words(error: &Error) -> String {
    let mut text = error.to_string();
    for name in SECRET {
        if let Ok(value) = std::env::var(name)
            && !value.is_empty()
        {
            text = text.replace(&value, "***");
        }
    }
    match text.char_indices().nth(WORDS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
