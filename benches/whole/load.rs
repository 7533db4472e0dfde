//! Sends requests at a fixed rate, or as many as possible.
//!
//! Latency counts from the instant at which a request was due: a request that had to wait for a free connection
//! because earlier ones were slow has waited (no coordinated omission).

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::http::Client;
use super::report::Readings;
use super::{clock, pause};

/// Connections at the same time, as the budget says.
pub const CONNECTIONS: usize = 16;

/// Sends `rate` requests per second for `span` over [`CONNECTIONS`] connections and returns the latencies in ms.
/// Gives up after three times `span`.
pub fn offered(client: &Client, path: &str, rate: u32, span: Duration) -> io::Result<Readings> {
    let many = usize::try_from(span.as_secs()).unwrap_or(1) * rate as usize;
    let step = Duration::from_secs(1) / rate;
    let next = AtomicUsize::new(0);
    let latencies = Mutex::new(Vec::with_capacity(many));
    let failed = Mutex::new(None);
    // All threads are ready before the first request is due.
    let begin = clock() + Duration::from_millis(50);
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let mut client = client.again();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= many {
                        return;
                    }
                    let due = begin + step * u32::try_from(number).unwrap_or(u32::MAX);
                    pause(due.saturating_sub(clock()));
                    if clock() > begin + span * 3 {
                        // The program cannot keep up: the remaining requests would wait at least as long as they have
                        // by now.
                        let waited = clock().saturating_sub(due).as_secs_f64() * 1e3;
                        latencies.lock().unwrap_or_else(PoisonError::into_inner).push(waited);
                        continue;
                    }
                    match client.get(path) {
                        Ok(_) => {
                            let took = clock().saturating_sub(due).as_secs_f64() * 1e3;
                            latencies.lock().unwrap_or_else(PoisonError::into_inner).push(took);
                        }
                        Err(error) => {
                            *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                            return;
                        }
                    }
                }
            });
        }
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(Readings::new(latencies.into_inner().unwrap_or_else(PoisonError::into_inner))),
    }
}

/// Sends as many requests as possible over [`CONNECTIONS`] connections for `span` and returns the requests per
/// second.
#[expect(clippy::cast_precision_loss, reason = "a count of some thousands")]
pub fn saturated(client: &Client, path: &str, span: Duration) -> io::Result<f64> {
    let answered = AtomicUsize::new(0);
    let begin = clock();
    let worked: io::Result<Vec<()>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = client.again();
                    while clock().saturating_sub(begin) < span {
                        client.get(path)?;
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(())
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or(Ok(()))).collect()
    });
    worked?;
    Ok(answered.into_inner() as f64 / clock().saturating_sub(begin).as_secs_f64())
}

/// Latencies in ms of `many` requests to each of two programs, alternating, so that a machine that becomes slower
/// affects both.
pub fn alternating(clients: &mut [Client; 2], path: &str, many: usize) -> io::Result<[Readings; 2]> {
    let mut latencies = [Vec::with_capacity(many), Vec::with_capacity(many)];
    // The first request only fills caches.
    for turn in 0..=many {
        for (client, latencies) in clients.iter_mut().zip(&mut latencies) {
            let begin = clock();
            client.get(path)?;
            if turn > 0 {
                latencies.push(clock().saturating_sub(begin).as_secs_f64() * 1e3);
            }
        }
    }
    Ok(latencies.map(Readings::new))
}
