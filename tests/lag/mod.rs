//! Lag is not drift: the verdict on systems that never stop.

mod embedded;
mod groups;
mod live;
