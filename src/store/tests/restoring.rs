//! A restore that is interrupted.

use std::fs;
use std::io::{Error as IoError, ErrorKind};
use std::path::Path;

use crate::store::db::files::with_suffix;
use crate::store::db::restore::{RealSteps, RestoreSteps, is_unfinished, restore_by};
use crate::store::tests::*;

/// Stops before a change, optionally on a file system without renames and links.
struct Broken {
    left: usize,
    renames: bool,
}

impl RestoreSteps for Broken {
    fn next(&mut self) -> Result<(), IoError> {
        self.left = self.left.checked_sub(1).ok_or_else(|| IoError::other("killed"))?;
        Ok(())
    }

    fn replace(&mut self, new: &Path, old: &Path) -> Result<(), IoError> {
        if self.renames { RealSteps.replace(new, old) } else { Err(ErrorKind::ResourceBusy.into()) }
    }

    fn link(&mut self, old: &Path, kept: &Path) -> Result<(), IoError> {
        if self.renames { RealSteps.link(old, kept) } else { Err(ErrorKind::CrossesDevices.into()) }
    }
}

async fn open(path: &Path) -> Store {
    let lock = Some(Arc::new(Lock::acquire(path).unwrap()));
    Store::open(&Database::File(path.to_owned()), Options { lock, ..Options::default() }).await.unwrap()
}

async fn add(store: &Store) {
    let mailbox = store.user(&UserName::parse("ann").unwrap()).await.unwrap().mailbox;
    store.insert(mailbox, ContactPatch::default()).await.unwrap();
}

/// The number of contacts after the database was opened like by a server.
async fn served(path: &Path) -> usize {
    let store = open(path).await;
    let mailbox = store.user(&UserName::parse("ann").unwrap()).await.unwrap().mailbox;
    let page = store.contacts(mailbox, &Listing { size: 100, ..Listing::default() }, None).await.unwrap();
    store.close().await;
    page.contacts.len()
}

#[actix_web::test]
async fn a_restore_that_is_killed_at_any_step_leaves_the_old_database_or_the_new_one() {
    for renames in [true, false] {
        let (mut old, mut new) = (0, 0);
        for left in 0.. {
            let folder = tempfile::tempdir().unwrap();
            let path = |name: &str| folder.path().join(name);
            let (database, copy) = (path("contacts.db"), path("copy.db"));
            let store = open(&database).await;
            add(&store).await;
            backup(&database, &copy, Verify::Full).await.unwrap();
            add(&store).await;
            // With a write-ahead log, as after a killed server.
            let killed = path("killed.db");
            for end in ["", "-wal"] {
                fs::copy(with_suffix(&database, end), with_suffix(&killed, end)).unwrap();
            }
            fs::copy(path("contacts.db.lock"), path("killed.db.lock")).unwrap();
            store.close().await;

            let mut steps = Broken { left, renames };
            let done = restore_by(&copy, &killed, &Lock::acquire(&killed).unwrap(), &mut steps).await;
            match served(&killed).await {
                1 => new += 1,
                2 if done.is_err() => old += 1,
                other => panic!("{other} contacts, killed before change {left}: {done:?}"),
            }
            let Ok(kept) = done else { continue };
            assert_eq!(kept.len(), 2, "{kept:?}");
            assert!(!is_unfinished(&killed));
            assert_eq!(
                (served(&kept[0]).await, crate::store::db::check::check_copy(&killed, Verify::Full).await.unwrap()),
                (2, Vec::new())
            );
            break;
        }
        assert!(old > 1 && new > 3, "{old} {new}");
    }
}
