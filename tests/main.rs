mod stores {
    pub mod postgres;
}
