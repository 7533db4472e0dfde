//! Fault points for tests: places at which a test can end DockNap as `kill -9` would, before and after each commit
//! and each call that changes a container.
//!
//! Only compiled with the feature `faults`, which release builds lack. `DOCKNAP_FAULT_AT=N` then ends the process at
//! the N-th point it reaches; a [`Fuse`] of a thread ends only the DockNap that runs on that thread (rulings 28).

/// The place of a fault point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Point {
    /// Before a commit: the changes are lost.
    BeforeCommit,
    /// After a commit, before anything acts on it.
    AfterCommit,
    /// Before a call that changes a container is sent.
    BeforeCall,
    /// After the response to such a call, which is lost.
    AfterCall,
}

/// Marks a fault point; ends the process or task if the point is the chosen one.
#[cfg(feature = "faults")]
pub fn point(point: Point) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static PASSED: AtomicU64 = AtomicU64::new(0);
    static FATAL_POINT: LazyLock<Option<u64>> =
        LazyLock::new(|| std::env::var("DOCKNAP_FAULT_AT").ok().and_then(|text| text.parse().ok()));

    if FATAL_POINT.is_some_and(|fatal| PASSED.fetch_add(1, Ordering::SeqCst) + 1 == fatal) {
        // `abort` runs no destructors and no exit handlers.
        std::process::abort();
    }
    fuse::pass(point);
}

/// Does nothing without the feature `faults`.
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
        static FUSE: RefCell<Option<Fuse>> = const { RefCell::new(None) };
    }

    /// Ends one instance of DockNap inside a test's process. The task that reaches the fatal point ends there, and
    /// every other task on the thread ends at its next point, so nothing more is stored or sent to Docker. The test
    /// then drops the instance. Cheap to clone.
    #[derive(Clone, Debug, Default)]
    pub struct Fuse(Arc<Mutex<State>>);

    #[derive(Debug, Default)]
    struct State {
        /// Number of points before the fatal one; `None` = no point is fatal.
        left: Option<u64>,
        died_at: Option<Point>,
    }

    impl Fuse {
        /// Makes this the fuse of the calling thread, in place of any other.
        pub fn attach_to_thread(&self) {
            FUSE.with(|carried| *carried.borrow_mut() = Some(self.clone()));
        }

        /// Makes the `nth` point from now on fatal, counted from 1.
        pub fn arm(&self, nth: u64) {
            self.lock().left = Some(nth.saturating_sub(1));
        }

        /// Makes no point fatal any more.
        pub fn disarm(&self) {
            self.lock().left = None;
        }

        /// The fatal point, once it was reached.
        pub fn died_at(&self) -> Option<Point> {
            self.lock().died_at
        }

        fn lock(&self) -> MutexGuard<'_, State> {
            self.0.lock()
        }

        /// Counts the point. Returns whether the task ends here.
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
            FUSE.with(|carried| carried.borrow().as_ref().is_some_and(|fuse| fuse.is_fatal(point)));
        if is_fatal {
            // Ends only this task and logs nothing, because the panic hook is not called.
            std::panic::resume_unwind(Box::new("the fuse burnt down"));
        }
    }
}
