//! Why rows differ: differences planted for every cause, and what is said of them.

mod embedded;
mod joined;
mod matrix;
mod scene;
