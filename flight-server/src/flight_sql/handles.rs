//! Things kept for a caller between two calls, under a name that nobody can guess.
//!
//! Prepared statements, tickets and sessions are kept alike: they belong to an owner, are bounded in number per
//! owner and overall (the one unused longest goes first), and are forgotten when nobody uses them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

/// How many things are kept, and for how long after their last use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) per_owner: usize,
    pub(super) overall: usize,
    pub(super) idle: Duration,
}

/// Things of type `T` by handle.
pub(super) struct Handles<T> {
    bounds: Bounds,
    kept: Mutex<HashMap<String, Kept<T>>>,
}

struct Kept<T> {
    owner: String,
    value: Arc<T>,
    used: Instant,
}

impl<T> Handles<T> {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, kept: Mutex::default() }
    }

    /// Keeps a thing for an owner and returns its handle: 122 random bits.
    pub(super) fn keep(&self, owner: &str, value: T) -> String {
        self.keep_at(owner, value, Instant::now())
    }

    /// The thing, if it is kept for this owner.
    pub(super) fn get(&self, owner: &str, handle: &str) -> Option<Arc<T>> {
        self.find(handle).filter(|(kept_for, _)| kept_for == owner).map(|(_, value)| value)
    }

    /// The thing and its owner: for handles that say who their bearer is.
    pub(super) fn find(&self, handle: &str) -> Option<(String, Arc<T>)> {
        self.find_at(handle, Instant::now())
    }

    /// The thing, if it is kept for this owner; it is forgotten then. Another's attempt changes nothing.
    pub(super) fn take(&self, owner: &str, handle: &str) -> Option<Arc<T>> {
        let value = self.get(owner, handle)?;
        self.lock().remove(handle).map(|_| value)
    }

    fn keep_at(&self, owner: &str, value: T, now: Instant) -> String {
        let handle = Uuid::new_v4().simple().to_string();
        let mut kept = self.lock();
        kept.retain(|_, thing| now.duration_since(thing.used) <= self.bounds.idle);
        make_room(&mut kept, self.bounds.overall, |_| true);
        make_room(&mut kept, self.bounds.per_owner, |thing| thing.owner == owner);
        kept.insert(handle.clone(), Kept { owner: owner.to_owned(), value: Arc::new(value), used: now });
        handle
    }

    fn find_at(&self, handle: &str, now: Instant) -> Option<(String, Arc<T>)> {
        let mut kept = self.lock();
        let thing = kept.get_mut(handle)?;
        if now.duration_since(thing.used) > self.bounds.idle {
            kept.remove(handle);
            return None;
        }
        thing.used = now;
        Some((thing.owner.clone(), Arc::clone(&thing.value)))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Kept<T>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets what was unused longest until one more of these fits.
fn make_room<T>(kept: &mut HashMap<String, Kept<T>>, limit: usize, these: impl Fn(&Kept<T>) -> bool) {
    while kept.values().filter(|thing| these(thing)).count() >= limit {
        let oldest = kept.iter().filter(|(_, thing)| these(thing)).min_by_key(|(_, thing)| thing.used);
        let Some(handle) = oldest.map(|(handle, _)| handle.clone()) else { return };
        kept.remove(&handle);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Bounds, Handles};

    fn handles(per_owner: usize, overall: usize) -> Handles<u32> {
        Handles::new(Bounds { per_owner, overall, idle: Duration::from_secs(60) })
    }

    #[test]
    fn a_handle_works_for_its_owner_alone_and_a_taken_one_is_gone() {
        let handles = handles(10, 10);
        let handle = handles.keep("ana", 7);
        assert_eq!(handles.get("bob", &handle), None);
        assert_eq!(handles.take("bob", &handle), None);
        assert_eq!(handles.get("ana", &handle).as_deref(), Some(&7));
        assert_eq!(handles.take("ana", &handle).as_deref(), Some(&7));
        assert_eq!(handles.take("ana", &handle), None);
    }

    #[test]
    fn no_bit_of_a_handle_can_be_flipped() {
        let handles = handles(10, 10);
        let handle = handles.keep("ana", 7);
        for position in 0..handle.len() {
            let mut forged = handle.clone().into_bytes();
            forged[position] ^= 1;
            assert_eq!(handles.get("ana", &String::from_utf8(forged).unwrap()), None);
        }
    }

    #[test]
    fn the_one_unused_longest_makes_room() {
        let (handles, start) = (handles(2, 3), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let first = handles.keep_at("ana", 1, at(0));
        let second = handles.keep_at("ana", 2, at(1));
        handles.find_at(&first, at(2)).unwrap();
        let third = handles.keep_at("ana", 3, at(3));
        assert!(handles.find_at(&second, at(4)).is_none(), "ana has two");
        handles.keep_at("bob", 4, at(5));
        handles.keep_at("bob", 5, at(6));
        assert!(handles.find_at(&first, at(7)).is_none(), "all have three");
        assert!(handles.find_at(&third, at(7)).is_some());
    }

    #[test]
    fn what_nobody_uses_is_forgotten_and_use_keeps_it() {
        let (handles, start) = (handles(10, 10), Instant::now());
        let (used, unused) = (handles.keep_at("ana", 1, start), handles.keep_at("ana", 2, start));
        for seconds in [50, 100, 150] {
            assert!(handles.find_at(&used, start + Duration::from_secs(seconds)).is_some());
        }
        assert!(handles.find_at(&unused, start + Duration::from_secs(150)).is_none());
    }
}
