//! Trying something that may panic, on this thread or on the backend's, or never come back.
//!
//! The backends report a missing driver by a panic of their server thread, and the caller sees a closed channel. So a
//! trial runs on a thread of its own, with a time limit and a panic hook that keeps the message instead of printing it.

use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use burn::tensor::Tensor;

use super::Unavailable;
use crate::ops::backend::{B, Device};

/// Longer than any driver is known to need: several GPUs without persistence mode take half a minute.
const LIMIT: Duration = Duration::from_mins(2);

const NAME: &str = "omni-trial";

/// The prefix of the names of cubecl's server threads.
const SERVER: &str = "DS";

/// One trial at a time, since the panic hook belongs to the whole process.
static TURN: Mutex<()> = Mutex::new(());

/// Set once a computation has not come back: it may hold a lock that the backends share, on which the next one, of
/// whatever device, would wait as well.
static STUCK: AtomicBool = AtomicBool::new(false);

/// Has the device add and multiply a few numbers.
pub(super) fn compute(device: &Device) -> Result<(), Unavailable> {
    let device = device.clone();
    let computed = quietly(&STUCK, move || {
        let numbers = Tensor::<B, 1>::from_floats([1.0, -2.0, 0.5], &device);
        let result = (numbers.clone() * numbers).add_scalar(1.0).try_into_data();
        result.map_err(|error| error.to_string())?.into_vec::<f32>().map_err(|error| format!("{error:?}"))
    })?;
    match computed {
        Ok(numbers) if numbers == [2.0, 5.0, 1.25] => Ok(()),
        Ok(numbers) => {
            Err(Unavailable::Failed(format!("it computed {numbers:?}, expected [2.0, 5.0, 1.25]")))
        }
        Err(message) => Err(Unavailable::Failed(one_line(&message))),
    }
}

/// Runs `work` on a thread of its own; a panic or a silence becomes a reason.
///
/// A silence sets `stuck`; whatever comes with it after that is refused at once.
pub(super) fn quietly<T: Send + 'static>(
    stuck: &AtomicBool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Unavailable> {
    within(LIMIT, stuck, work)
}

fn within<T: Send + 'static>(
    limit: Duration,
    stuck: &AtomicBool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Unavailable> {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    if stuck.load(Ordering::Relaxed) {
        return Err(Unavailable::Stuck);
    }
    let hook = QuietHook::install();
    let (sender, receiver) = mpsc::channel();
    let spawned = thread::Builder::new().name(NAME.to_owned()).spawn(move || {
        // The receiver is gone if the time is up; nobody waits for the answer then.
        let _ = sender.send(panic::catch_unwind(AssertUnwindSafe(work)));
    });
    if let Err(error) = spawned {
        return Err(Unavailable::Failed(format!("no thread could be started: {error}")));
    }
    match receiver.recv_timeout(limit) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => Err(Unavailable::Failed(hook.message())),
        Err(RecvTimeoutError::Timeout) => {
            stuck.store(true, Ordering::Relaxed);
            Err(Unavailable::Silent(limit.as_secs()))
        }
    }
}

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Sync + Send + 'static>;

/// Keeps the panics of trials and of the backends' servers; those of other threads go where they went before.
struct QuietHook {
    before: Option<Arc<Hook>>,
    messages: Arc<Mutex<Vec<String>>>,
}

impl QuietHook {
    fn install() -> Self {
        let before: Arc<Hook> = Arc::new(panic::take_hook());
        let messages = Arc::new(Mutex::new(Vec::new()));
        let (others, kept) = (Arc::clone(&before), Arc::clone(&messages));
        panic::set_hook(Box::new(move |info| {
            let thread = thread::current();
            if thread.name().is_some_and(|name| name == NAME || name.starts_with(SERVER)) {
                let message = info.payload_as_str().unwrap_or("a panic without a message");
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(one_line(message));
            } else {
                (*others)(info);
            }
        }));
        Self { before: Some(before), messages }
    }

    /// The first panic: the later ones are about channels that the first one closed.
    fn message(&self) -> String {
        let messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.first().cloned().unwrap_or_else(|| "it panicked without a message".to_owned())
    }
}

impl Drop for QuietHook {
    fn drop(&mut self) {
        // The hook of a panicking thread cannot be changed; the thread is about to end everything anyway.
        if thread::panicking() {
            return;
        }
        drop(panic::take_hook());
        if let Some(before) = self.before.take() {
            match Arc::try_unwrap(before) {
                Ok(hook) => panic::set_hook(hook),
                Err(shared) => panic::set_hook(Box::new(move |info| (*shared)(info))),
            }
        }
    }
}

/// The message without its line breaks, and not longer than a person reads.
fn one_line(message: &str) -> String {
    const LONGEST: usize = 300;
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} …", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn never_stuck() -> AtomicBool {
        AtomicBool::new(false)
    }

    #[test]
    fn a_value_comes_back() {
        assert_eq!(quietly(&never_stuck(), || 6 * 7), Ok(42));
    }

    #[test]
    fn a_panic_becomes_a_reason_on_one_line() {
        let failed =
            quietly(&never_stuck(), || -> u8 { panic!("\n  no such library\n  searched: everywhere") });
        assert_eq!(failed, Err(Unavailable::Failed("no such library searched: everywhere".to_owned())));
        let failed = quietly(&never_stuck(), || -> u8 { panic!("{}", "é".repeat(1000)) });
        assert_eq!(failed, Err(Unavailable::Failed(format!("{} …", "é".repeat(300)))));
    }

    #[test]
    fn the_cause_is_told_and_not_what_follows_from_it() {
        let failed = quietly(&never_stuck(), || {
            let server = thread::Builder::new().name(format!("{SERVER}-0-0"));
            let server = server.spawn(|| panic!("the server fails")).expect("a thread starts");
            server.join().expect("the server answers");
        });
        assert_eq!(failed, Err(Unavailable::Failed("the server fails".to_owned())));
    }

    #[test]
    fn silence_becomes_a_reason_and_bars_what_comes_next() {
        let stuck = never_stuck();
        let slow = within(Duration::from_millis(20), &stuck, || thread::sleep(Duration::from_secs(2)));
        assert_eq!(slow, Err(Unavailable::Silent(0)));
        assert_eq!(within(LIMIT, &stuck, || ()), Err(Unavailable::Stuck));
    }
}
