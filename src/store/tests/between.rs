//! Hooks of tests between the statements of a read, on the test's thread.

use std::cell::RefCell;
use std::sync::Arc;

use futures_util::future::BoxFuture;

/// Called before each statement of a read.
pub(crate) type Hook = Arc<dyn Fn() -> Option<BoxFuture<'static, ()>> + Send + Sync>;

thread_local! {
    static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
}

/// Sets or removes the hook.
pub(crate) fn set(hook: Option<Hook>) {
    HOOK.with_borrow_mut(|now| *now = hook);
}

/// Runs the hook.
pub(in crate::store) async fn statement() {
    let hook = HOOK.with_borrow(Clone::clone);
    if let Some(doing) = hook.and_then(|hook| hook()) {
        doing.await;
    }
}
