//! One attempt at a token, from the slot's lock in the store to what is written there.
//!
//! Several processes may share a store. Whoever wants to ask the authority takes the slot's lock, reads
//! what the others have written meanwhile, and asks only where that does not serve. A refresh token
//! that is about to be shown may be dead a moment later: that it was shown is on disk before, and the
//! one that replaces it is on disk before its access token is used.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use tokio::task::spawn_blocking;
use tracing::{error, warn};

use super::{
    identity,
    reply::Granted,
    request::Asking,
    slot::Spec,
    state::{Issued, Unissued},
};
use crate::{
    explain::{claims::Claims, consent},
    failure::{Explanation, Failure, Refusal},
    policy::timing,
    store::{Kept, Record, SlotLock, Store, StoreError},
};

/// What a slot knows of its record in the store.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The newest version of the record that was read or written here.
    seen: AtomicU64,
    /// A record that could not be written: what is in it exists nowhere else.
    unsaved: Mutex<Option<Record>>,
}

/// A token, and since when it is one.
#[derive(Debug)]
pub(super) struct Fresh {
    pub(super) issued: Issued,
    pub(super) obtained_at: SystemTime,
}

/// What to do after a look into the store.
enum Prepared {
    /// Another process has got one meanwhile.
    Adopt(Fresh),
    /// Ask the authority, holding the lock.
    Ask { record: Box<Record>, lock: SlotLock, interrupted: bool },
    /// A person has to consent first.
    Wanting(Refusal),
}

/// Gets a token for a slot, from another process's work or from the authority.
///
/// # Errors
/// [`Unissued`], with what to tell the client.
pub(super) async fn carry_out(
    asking: Asking<'_>,
    store: &Arc<Store>,
    memory: &Arc<Memory>,
    last_used: Option<SystemTime>,
) -> Result<Fresh, Unissued> {
    let now = asking.clock.now();
    if !asking.spec.is_stored() {
        let granted = asking.token(None).await?;
        name_what_is_missing(asking.spec, &granted);
        return Ok(Fresh { issued: granted.issued, obtained_at: now });
    }
    let prepared = {
        let (store, memory, spec) = (Arc::clone(store), Arc::clone(memory), asking.spec.clone());
        blocking(move || prepare(&store, &memory, &spec, now)).await
    };
    let (record, lock, interrupted) = match prepared {
        Ok(Prepared::Adopt(fresh)) => return Ok(fresh),
        Ok(Prepared::Wanting(refusal)) => return Err(Unissued::new(refusal)),
        Ok(Prepared::Ask { record, lock, interrupted }) => (*record, lock, interrupted),
        Err(error) => return Err(unusable(&error)),
    };
    let covered = asking.spec.covered_by(&record.scopes);
    let answer = Asking { spec: &covered, ..asking }.token(record.refresh_token.as_ref()).await;
    let (store, memory, spec) = (Arc::clone(store), Arc::clone(memory), asking.spec.clone());
    let concluded = blocking(move || {
        let _lock = lock;
        Ok(match answer {
            Ok(granted) => {
                let record = Record { last_used: record.last_used.max(last_used), ..record };
                conclude(&store, &memory, &spec, record, granted, now)
            }
            Err(unissued) => Err(refused(&store, &memory, &spec, record, unissued, interrupted)),
        })
    });
    concluded.await.unwrap_or_else(|error| Err(unusable(&error)))
}

/// Runs what waits for the disk or for another process.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    // A panic in it is one of ours; whoever waits must not wait for ever.
    let broken = |error: tokio::task::JoinError| StoreError::Io {
        doing: "finish a task on",
        path: "tokens.db".into(),
        error: error.into(),
    };
    spawn_blocking(work).await.unwrap_or_else(|error| Err(broken(error)))
}

fn prepare(store: &Store, memory: &Memory, spec: &Spec, now: SystemTime) -> Result<Prepared, StoreError> {
    let lock = store.lock(&spec.id)?;
    memory.save_at_last(store, spec)?;
    let mut record = store.get(&spec.id)?.unwrap_or_else(|| blank(spec));
    if record.version > memory.seen.swap(record.version, Ordering::Relaxed)
        && let Some(fresh) = fresh(&record, now)
    {
        return Ok(Prepared::Adopt(fresh));
    }
    if !spec.is_refreshed() {
        return Ok(Prepared::Ask { record: Box::new(record), lock, interrupted: false });
    }
    if record.refresh_token.is_none() {
        return Ok(Prepared::Wanting(not_given(spec)));
    }
    let interrupted = record.asked_at.is_some();
    record.asked_at.get_or_insert(now);
    let record = memory.write(store, spec, record)?;
    Ok(Prepared::Ask { record: Box::new(record), lock, interrupted })
}

/// The token of a record, where at least half of its life is left.
fn fresh(record: &Record, now: SystemTime) -> Option<Fresh> {
    let Kept { token, obtained_at, expires_at } = record.access.clone()?;
    let lifetime = expires_at.duration_since(obtained_at).ok()?;
    let age = now.duration_since(obtained_at).ok()?;
    let issued = Issued { token, lifetime };
    (age < lifetime / 2).then_some(Fresh { issued, obtained_at })
}

/// Writes what the authority has granted, and only then lets it be used.
fn conclude(
    store: &Store,
    memory: &Memory,
    spec: &Spec,
    record: Record,
    granted: Granted,
    asked_at: SystemTime,
) -> Result<Fresh, Unissued> {
    let identity = if spec.is_refreshed() {
        let checked = identity::check(spec, record.identity.as_ref(), &granted);
        checked.map_err(|why| Unissued::new(Refusal::explained(Failure::ConsentNeeded, why)))?
    } else {
        None
    };
    name_what_is_missing(spec, &granted);
    let issued = granted.issued.clone();
    let record = Record { identity, ..renewed(spec, record, granted, asked_at) };
    if let Err(error) = memory.write(store, spec, record) {
        if spec.is_refreshed() {
            return Err(unusable(&error));
        }
        // The app can ask for another whenever it likes.
        warn!(%error, "a token is not kept for the next start");
    }
    Ok(Fresh { issued, obtained_at: asked_at })
}

/// The record with what was granted in the place of what was there.
pub(super) fn renewed(spec: &Spec, record: Record, granted: Granted, asked_at: SystemTime) -> Record {
    let lifetime = granted.issued.lifetime.clamp(timing::SHORTEST_LIFETIME, timing::LONGEST_LIFETIME);
    let expires_at = asked_at + lifetime;
    let access = Kept { token: granted.issued.token, obtained_at: asked_at, expires_at };
    Record {
        app: spec.app.name.to_string(),
        account: spec.owner.clone(),
        refresh_token: granted.refresh_token.filter(|_| spec.is_refreshed()).or(record.refresh_token),
        access: Some(access),
        scopes: if record.scopes.is_empty() {
            spec.granted(granted.scopes.as_deref())
        } else {
            record.scopes
        },
        asked_at: None,
        consent: None,
        previous: None,
        unclaimed_since: None,
        ..record
    }
}

/// Keeps what a refusal means for the next start. The refresh token stays whatever was said.
fn refused(
    store: &Store,
    memory: &Memory,
    spec: &Spec,
    mut record: Record,
    mut unissued: Unissued,
    interrupted: bool,
) -> Unissued {
    if !spec.is_refreshed() || unissued.may_be_done {
        return unissued;
    }
    let wanting = unissued.refusal.failure == Failure::ConsentNeeded;
    if wanting && interrupted && unissued.unspecific {
        unissued.refusal = Refusal::explained(Failure::ConsentNeeded, consent::cut_off(&spec.login));
    }
    record.asked_at = None;
    if wanting && !unissued.doubtful {
        record.consent = Some(unissued.refusal.to_string());
    }
    if let Err(error) = memory.write(store, spec, record) {
        warn!(%error, "the authority's refusal is not kept for the next start");
    }
    unissued
}

impl Memory {
    /// The version of the record that was last read or written here.
    pub(super) fn saw(&self, version: u64) {
        self.seen.store(version, Ordering::Relaxed);
    }

    /// Writes a record as its next version; keeps it in memory where the disk will not have it.
    pub(super) fn write(&self, store: &Store, spec: &Spec, mut record: Record) -> Result<Record, StoreError> {
        if let Err(error) = store.put(&spec.id, &mut record) {
            error!(%error, owner = spec.owner, "tokens cannot be kept, trying again at the next occasion");
            *self.unsaved() = Some(record);
            return Err(error);
        }
        self.saw(record.version);
        Ok(record)
    }

    /// Writes what could not be written before, unless somebody else has written meanwhile: a consent,
    /// or what a later request has brought.
    pub(super) fn save_at_last(&self, store: &Store, spec: &Spec) -> Result<(), StoreError> {
        let Some(unsaved) = self.take_unsaved() else { return Ok(()) };
        match self.write(store, spec, unsaved) {
            Err(StoreError::Changed { .. }) => {
                self.forget_unsaved();
                Ok(())
            }
            written => written.map(drop),
        }
    }

    /// Whether something could not be written yet.
    pub(super) fn has_unsaved(&self) -> bool {
        self.unsaved().is_some()
    }

    /// Whether a record is newer than what was last read or written here.
    pub(super) fn has_not_seen(&self, record: &Record) -> bool {
        record.version > self.seen.load(Ordering::Relaxed)
    }

    /// What could not be written has been replaced by something else.
    pub(super) fn forget_unsaved(&self) {
        self.take_unsaved();
    }

    fn take_unsaved(&self) -> Option<Record> {
        self.unsaved().take()
    }

    fn unsaved(&self) -> std::sync::MutexGuard<'_, Option<Record>> {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A record of nothing yet.
pub(super) fn blank(spec: &Spec) -> Record {
    Record { app: spec.app.name.to_string(), account: spec.owner.clone(), ..Record::default() }
}

/// Nobody has consented yet.
pub(super) fn not_given(spec: &Spec) -> Refusal {
    Refusal::explained(
        Failure::ConsentNeeded,
        consent::not_given(&spec.login, spec.app.consent.page.as_deref()),
    )
}

fn unusable(error: &StoreError) -> Unissued {
    // The place is for the log alone: a mailbox's user has no business with it.
    error!(%error, "the token store cannot be used");
    let why = Explanation::new("the bridge cannot use its token store", "the bridge's log says why");
    Unissued::new(Refusal::explained(Failure::Internal, why))
}

/// What a token that can be read lacks is named now, and not at the first login that fails. Nothing is
/// refused because of it: access tokens are the upstream's to understand (RFC 6749 §1.4).
pub(super) fn name_what_is_missing(spec: &Spec, granted: &Granted) {
    let Some(claims) = Claims::read(&granted.issued.token) else { return };
    for kind in &spec.protocols {
        if let Some(Explanation { cause, cure, .. }) = claims.lacks(*kind) {
            warn!(
                protocol = kind.name(),
                owner = spec.owner,
                cause,
                cure,
                "the token will not open the mailbox"
            );
        }
    }
}
