//! Agents and hosts of the library behind a line that fails in every way: each operation that they were told of is there, nothing
//! is twice, and when the line is well everything ends.

use super::{Fault, Proxy};
use crate::bad_input::log;
use crate::faults::Dice;
use crate::harness::Server;
use crate::reconnect::{Deeds, HOSTS, PATIENCE, Works, agents, check_history, host};
use everlog::CancelToken;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// How long a fault lasts, at least, and how much longer at most.
const LEAST: Duration = Duration::from_millis(100);
const MORE_MS: usize = 900;

fn millis(count: usize) -> Duration {
    Duration::from_millis(count as u64)
}

/// One fault after the other, every kind in turn, each for a while; then the line is well.
fn torment(proxy: &Proxy, faults: u64, dice: &mut Dice) {
    for nth in 0..faults {
        match nth % 5 {
            0 => proxy.set(Fault::Stall),
            1 => proxy.set(Fault::Delay(millis(1 + dice.throw(200)))),
            2 => proxy.set(Fault::Throttle(1_000)),
            3 => proxy.set(Fault::CutAfter(dice.throw(20_000))),
            _ => proxy.cut(),
        }
        std::thread::sleep(LEAST + millis(dice.throw(MORE_MS)));
    }
    proxy.set(Fault::None);
}

async fn partitions(faults: u64, patience: Duration) {
    let mut dice = Dice::new();
    let mut server = Server::start();
    let proxy = Proxy::to(server.address());
    let url = format!("ws://{}", proxy.address());
    let (works, leave, enough) = (Arc::new(Works::default()), CancelToken::new(), Arc::new(AtomicBool::new(false)));
    let (more, mut ended) = watch::channel(0);
    let agents = agents(&url, &works, &more, &leave);
    let hosts: Vec<_> = (0..HOSTS).map(|n| tokio::spawn(host(url.clone(), n, enough.clone()))).collect();
    let all = async {
        // They have begun.
        ended.wait_for(|ended| *ended > 0).await.expect("the agents work");
        let tormented = tokio::task::spawn_blocking(move || {
            torment(&proxy, faults, &mut dice);
            proxy
        });
        let proxy = tormented.await.expect("no panic");
        let healed = *ended.borrow();
        ended.wait_for(|ended| *ended > healed).await.expect("the agents work again");
        enough.store(true, Ordering::SeqCst);
        let deeds = Deeds::of(hosts).await;
        leave.cancel();
        for agent in agents {
            agent.await.expect("no agent fails");
        }
        drop(proxy);
        deeds
    };
    let deeds = tokio::time::timeout(patience, all).await.expect("in time");
    eprintln!("{faults} faults, {} attempts ended", *ended.borrow());
    let events = tokio::task::spawn_blocking(move || {
        assert_eq!(server.terminate().code, 0);
        log(&server.data())
    });
    check_history(&events.await.expect("joined"), &deeds, &works, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_twice_on_a_line_that_fails() {
    partitions(10, PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a campaign: tests/network/campaign partitions"]
async fn partitions_campaign() {
    partitions(500, Duration::from_secs(1_800)).await;
}
