//! What `plan` says of each strategy, what it recommends, and how well it predicts.

mod broken;
mod embedded;
mod measured;
