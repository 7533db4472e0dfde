//! Points at which a test may end DockNap as `kill -9` would: before and after each commit and each call that changes a
//! container.
//!
//! Compiled in by the feature `faults`, which release builds lack. Then `DOCKNAP_FAULT_AT=N` ends the process at the
//! N-th point it passes, and a [`Fuse`] that a thread carries ends what lives on that thread (rulings 28).

/// Where a point lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Point {
    /// What was to be stored is not.
    BeforeCommit,
    /// It is stored, and nobody knows yet.
    AfterCommit,
    /// A call that changes a container is about to be sent.
    BeforeCall,
    /// It was answered, and the answer is lost.
    AfterCall,
}

/// Passes a point.
#[cfg(feature = "faults")]
pub fn point(point: Point) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static PASSED: AtomicU64 = AtomicU64::new(0);
    static FATAL: LazyLock<Option<u64>> =
        LazyLock::new(|| std::env::var("DOCKNAP_FAULT_AT").ok().and_then(|text| text.parse().ok()));

    if FATAL.is_some_and(|fatal| PASSED.fetch_add(1, Ordering::SeqCst) + 1 == fatal) {
        // No destructor and no exit handler runs.
        std::process::abort();
    }
    fuse::pass(point);
}

/// Passes a point: nothing, without the feature `faults`.
#[cfg(not(feature = "faults"))]
#[inline]
pub fn point(_: Point) {}

#[cfg(feature = "faults")]
pub use fuse::Fuse;

#[cfg(feature = "faults")]
mod fuse {
    use std::cell::RefCell;
    use std::sync::Arc;

    use parking_lot::{Mutex, MutexGuard};

    use super::Point;

    thread_local! {
        static CARRIED: RefCell<Option<Fuse>> = const { RefCell::new(None) };
    }

    /// Ends one life of DockNap inside a test's process. The task that passes the fatal point ends there, and from then
    /// on no other task on the thread passes a point: nothing more is stored, nothing more asked of Docker. What is
    /// left of that life is then thrown away by the test. Cheap to clone.
    #[derive(Clone, Debug, Default)]
    pub struct Fuse(Arc<Mutex<State>>);

    #[derive(Debug, Default)]
    struct State {
        /// Points to pass before the fatal one; `None` = it does not burn.
        left: Option<u64>,
        died_at: Option<Point>,
    }

    impl Fuse {
        /// Has the thread that calls this carry the fuse, in place of the one it carried.
        pub fn carry(&self) {
            CARRIED.with(|carried| *carried.borrow_mut() = Some(self.clone()));
        }

        /// The `nth` point from now on is the fatal one; from 1.
        pub fn light(&self, nth: u64) {
            self.lock().left = Some(nth.saturating_sub(1));
        }

        /// No point is fatal any more.
        pub fn put_out(&self) {
            self.lock().left = None;
        }

        /// The point at which that life ended, once it has.
        pub fn died_at(&self) -> Option<Point> {
            self.lock().died_at
        }

        fn lock(&self) -> MutexGuard<'_, State> {
            self.0.lock()
        }

        /// Whether the one who passes ends here.
        fn is_fatal(&self, point: Point) -> bool {
            let mut state = self.lock();
            if state.died_at.is_some() {
                return true;
            }
            match state.left {
                None => false,
                Some(0) => {
                    state.died_at = Some(point);
                    true
                }
                Some(left) => {
                    state.left = Some(left - 1);
                    false
                }
            }
        }
    }

    pub(super) fn pass(point: Point) {
        let is_fatal =
            CARRIED.with(|carried| carried.borrow().as_ref().is_some_and(|fuse| fuse.is_fatal(point)));
        if is_fatal {
            // Ends the task alone, and says nothing: the hook of panics is not called.
            std::panic::resume_unwind(Box::new("the fuse burnt down"));
        }
    }
}
