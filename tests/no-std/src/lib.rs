//! Builds only if the family does without the standard library.
//!
//! A second panic handler in one build is an error (`duplicate lang item`), and the standard library brings one. So
//! this crate, which brings its own, stops building as soon as any dependency of the crates below pulls in `std`.

#![no_std]

extern crate alloc;
extern crate conflict_store;
extern crate crdt_core;
extern crate crdt_sync;
extern crate quorum;
extern crate replication_log;

use core::alloc::{GlobalAlloc, Layout};
use core::panic::PanicInfo;
use core::ptr;

/// Nothing here ever runs, so there is nothing to give.
struct NoMemory;

// SAFETY: returning null is how an allocator says that it has nothing, and nothing was given that could be taken back.
unsafe impl GlobalAlloc for NoMemory {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: NoMemory = NoMemory;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}
