//! A cutover of a query view beside the copy of its source: what the pause still has to catch up with leads to the keys it touches.

use super::operated::Operated;
use super::{REPLAY, rebuilt};
use crate::support::size;

const TABLE: &str =
    "CREATE TABLE read.balances (account_id bigint PRIMARY KEY, branch_id bigint, balance bigint)";
const VIEW: &str = "  balances:\n    table: read.balances\n    key: [account_id]\n    query: |\n      \
     SELECT aid AS account_id, bid AS branch_id, CAST(sum(abalance) AS bigint) AS balance FROM accounts GROUP BY aid, bid\n";
/// Nobody else writes the view: it is what the query gives until the next replay.
const AGREE: &str = "SELECT count(*) FROM read.balances AS b FULL JOIN read.accounts AS a USING (account_id) \
     WHERE (a.branch_id, a.balance) IS DISTINCT FROM (b.branch_id, b.balance::int)";

#[test]
fn a_query_is_caught_up_in_the_pause() {
    let scale = size(1, 10) as u64;
    let Some(system) = Operated::start("tu_derived", scale, "pause_max: 60s") else {
        return;
    };
    system.live.reads(TABLE);
    system.change_playbook(|written| written + VIEW);
    let writing = system.live.write_at(200);
    // A pause that would only be given up is not begun.
    system.change_playbook(|written| written.replace("pause_max: 60s", "pause_max: 1ms"));
    let refused = system.trueup(&REPLAY).exit(6);
    assert!(
        refused
            .stderr
            .contains("may be paused for 1 ms (cutover.pause_max): nothing was paused"),
        "{}",
        refused.stderr
    );
    assert!(!system.path("stopped").exists() && system.is_running());
    system.change_playbook(|written| written.replace("pause_max: 1ms", "pause_max: 60s"));
    let mut pauses = Vec::new();
    for nth in 0..size(2, 5) {
        system
            .live
            .reads("UPDATE read.balances SET balance = 1 WHERE account_id % 1000 = 7");
        let report = rebuilt(&system, nth);
        let how = report["caught_up"][0]["how"].as_str().unwrap();
        println!("{how}; paused {} ms", report["paused_ms"]);
        assert!(!how.contains(" 0 keys"), "{how}");
        pauses.push(report["paused_ms"].as_u64().unwrap());
    }
    let written = writing.stop();
    system.live.captured();
    system.trueup(&REPLAY).exit(0);
    system.is_in_step();
    assert_eq!(system.live.reads(AGREE), "0");
    pauses.sort_unstable();
    println!(
        "{} cutovers of {} rows of a query under {written} transactions: paused {} ms in the middle, {} at most",
        pauses.len(),
        system.live.rows,
        pauses[pauses.len() / 2],
        pauses[pauses.len() - 1]
    );
    assert!(written > 100, "hardly anything was written: {written}");
}
