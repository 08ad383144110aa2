//! Shared ownership for the storages that live in memory: between threads where there are threads.

#[cfg(feature = "std")]
mod imp {
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

    #[derive(Debug, Default)]
    pub(crate) struct Shared<T>(Arc<Mutex<T>>);

    impl<T> Shared<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(Arc::new(Mutex::new(value)))
        }

        /// A thread that panicked while it held the lock left bytes behind as any crash would.
        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    impl<T> Clone for Shared<T> {
        fn clone(&self) -> Self {
            Self(Arc::clone(&self.0))
        }
    }
}

#[cfg(not(feature = "std"))]
mod imp {
    use alloc::rc::Rc;
    use core::cell::{RefCell, RefMut};

    #[derive(Debug, Default)]
    pub(crate) struct Shared<T>(Rc<RefCell<T>>);

    impl<T> Shared<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(Rc::new(RefCell::new(value)))
        }

        /// Never held across a call out of this crate, so it is free whenever it is asked for.
        pub(crate) fn lock(&self) -> RefMut<'_, T> {
            self.0.borrow_mut()
        }
    }

    impl<T> Clone for Shared<T> {
        fn clone(&self) -> Self {
            Self(Rc::clone(&self.0))
        }
    }
}

pub(crate) use imp::Shared;
