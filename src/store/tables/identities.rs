//! Users of identity providers. A user is found by the provider's URL and subject, and by the id. No other name from a
//! token finds a user, except a name that the operator has bound, or one from a claim that the operator trusts.

use crate::domain::error::{Error, Kind};
use crate::domain::user::{self, Identity, Trusted, User};
use crate::store::Store;
use crate::store::db::engine::{Row, Session};
use crate::store::db::statement::Statement;
use crate::store::tables::{audit, quota, users};
use crate::store::write::tx::Tx;

/// An identity at an identity provider, as the operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownIdentity {
    /// The provider.
    pub issuer: String,
    /// The provider's id of the user.
    pub subject: String,
    /// The name in the provider's claim.
    pub claimed_name: Option<String>,
    /// Whether the operator has bound the user's name.
    pub bound: bool,
}

/// A stored identity, with its user.
struct StoredIdentity {
    user: User,
    known: KnownIdentity,
    trusted: Option<Trusted>,
    /// Time of the token that it was last read from, in UTC microseconds.
    issued: i64,
}

impl StoredIdentity {
    /// Whether a token's identity has nothing new.
    fn is_current(&self, identity: &Identity) -> bool {
        let has_same_display_name = identity.display_name.as_ref().is_none_or(|name| *name == self.user.display_name);
        let has_same_claims = self.known.claimed_name == identity.claimed_name && self.trusted == identity.trusted;
        // An older token must not change a name back.
        identity.issued < self.issued || has_same_claims && (has_same_display_name || !self.user.is_of_provider())
    }
}

macro_rules! select {
    () => {
        concat!(
            users::select!(),
            ", i.issuer, i.subject, i.claimed_name, i.bound, i.claim, i.name, i.said_date_time
from identities i join users c on c.mailbox = i.mailbox"
        )
    };
}

impl Store {
    /// The user of an identity, with the current name. A new user is created with an empty mailbox.
    ///
    /// # Errors
    /// [`Error::Quota`] above 100,000 users, else those of the database.
    pub async fn user_of_identity(&self, identity: &Identity) -> Result<User, Error> {
        // This is not cached, because another process may bind a name at any time.
        let found = self
            .read_essential(async |session: &mut Session| find(session, &identity.issuer, &identity.subject).await)
            .await?;
        if let Some(found) = found.filter(|found| found.is_current(identity)) {
            return Ok(found.user);
        }
        let identity = identity.clone();
        self.write(None, async move |tx| ensure(tx, &identity).await).await
    }

    /// Removes the names that came from any other claim or issuer: the operator trusts only this one.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn trust_claim(&self, trusted: Option<(String, String)>) -> Result<(), Error> {
        let (issuer, claim) = trusted.unzip();
        let text = "
select distinct name_key from identities
where name_key is not null and (issuer is distinct from $1 or claim is distinct from $2)";
        let statement = Statement::new(text).bind(issuer.clone()).bind(claim.clone());
        let keys = self.read(async |session: &mut Session| session.rows(statement.clone()).await).await?;
        let keys = keys.iter().map(|row| row.get(0)).collect::<Result<Vec<String>, _>>()?;
        if keys.is_empty() {
            return Ok(());
        }
        let work = async move |tx: &mut Tx| {
            quota::lock_counts(tx).await?;
            let text = "
update identities set claim = null, name = null, name_key = null
where name_key is not null and (issuer is distinct from $1 or claim is distinct from $2)";
            tx.execute(Statement::new(text).bind(issuer).bind(claim)).await?;
            for key in keys {
                assign_name(tx, &key).await?;
            }
            Ok(())
        };
        self.write(None, work).await
    }

    /// Binds a name to a subject of a provider, so that the name finds that user and no claim changes it. If the name
    /// is that of a user of contactd's own, the subject gets that user. Without an issuer, the provider that has sent
    /// the subject before is meant.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the conflict.
    pub async fn bind_name(&self, name: &str, issuer: Option<String>, subject: &str) -> Result<User, Error> {
        let (name, subject) = (user::displayable(name), subject.to_owned());
        self.write(None, async move |tx| bind(tx, &name, issuer, &subject).await).await
    }

    /// Removes the binding of a name.
    ///
    /// # Errors
    /// [`Error::UnknownUser`], [`Error::Invalid`] if the name is not bound.
    pub async fn unbind_name(&self, name: &str) -> Result<User, Error> {
        let name = name.to_owned();
        let work = async move |tx: &mut Tx| {
            quota::lock_counts(tx).await?;
            let found = users::find(tx.reader().await?, &name).await?;
            let user = found.ok_or_else(|| Error::UnknownUser(name.clone()))?;
            if !is_bound(tx.reader().await?, user.mailbox).await? {
                return Err(refused(format!("'{name}' is not bound")));
            }
            unbind(tx, &user).await?;
            audit::by_operator(tx, user.mailbox, "user unbind", Some(&user.id), None).await?;
            Ok(user)
        };
        self.write(None, work).await
    }
}

/// All identities, by mailbox.
pub(in crate::store) async fn all(session: &mut Session) -> Result<Vec<(i64, KnownIdentity)>, Error> {
    let text = concat!(select!(), " order by i.mailbox, i.issuer, i.subject");
    let rows = session.rows(Statement::new(text)).await?;
    rows.iter().map(|row| read(row).map(|stored| (stored.user.mailbox, stored.known))).collect()
}

/// Removes the identities of a user who is removed. Others who claim their names get them.
pub(in crate::store) async fn forget(tx: &mut Tx, mailbox: i64) -> Result<(), Error> {
    let text = "
select user_principal_name_key from users where mailbox = $1
union select name_key from identities where mailbox = $1 and name_key is not null";
    let keys = tx.reader().await?.rows(Statement::new(text).bind(mailbox)).await?;
    tx.execute(Statement::new("delete from identities where mailbox = $1").bind(mailbox)).await?;
    tx.execute(Statement::new("delete from users where mailbox = $1").bind(mailbox)).await?;
    for key in keys.iter().map(|row| row.get::<String>(0)) {
        assign_name(tx, &key?).await?;
    }
    Ok(())
}

async fn find(session: &mut Session, issuer: &str, subject: &str) -> Result<Option<StoredIdentity>, Error> {
    let text = concat!(select!(), " where i.issuer = $1 and i.subject = $2");
    session.row(Statement::new(text).bind(issuer).bind(subject)).await?.as_ref().map(read).transpose()
}

fn read(row: &Row) -> Result<StoredIdentity, Error> {
    let (claim, name): (Option<String>, Option<String>) = (row.get(9)?, row.get(10)?);
    Ok(StoredIdentity {
        user: users::read(row, 0)?,
        known: KnownIdentity {
            issuer: row.get(5)?,
            subject: row.get(6)?,
            claimed_name: row.get(7)?,
            bound: row.get(8)?,
        },
        trusted: claim.zip(name).map(|(claim, name)| Trusted { claim, name }),
        issued: row.get(11)?,
    })
}

async fn ensure(tx: &mut Tx, identity: &Identity) -> Result<User, Error> {
    let Identity { issuer, subject, .. } = identity;
    quota::lock_counts(tx).await?;
    let stored = match find(tx.reader().await?, issuer, subject).await? {
        Some(stored) if stored.is_current(identity) => return Ok(stored.user),
        Some(stored) => Some(stored),
        None => {
            create(tx, issuer, subject, identity.display_name.as_deref().or(identity.claimed_name.as_deref())).await?;
            None
        }
    };
    let trusted = identity.trusted.as_ref();
    let key = trusted.map(|trusted| user::key(&trusted.name));
    let text = "
update identities set claimed_name = $3, claim = $4, name = $5, name_key = $6, said_date_time = $7
where issuer = $1 and subject = $2";
    let statement = Statement::new(text).bind(issuer).bind(subject).bind(identity.claimed_name.as_ref());
    let statement = statement.bind(trusted.map(|trusted| &trusted.claim)).bind(trusted.map(|trusted| &trusted.name));
    tx.execute(statement.bind(key.as_ref()).bind(identity.issued)).await?;
    if let (Some(name), Some(user)) = (&identity.display_name, stored.as_ref().map(|stored| &stored.user))
        && user.is_of_provider()
    {
        let text = "update users set display_name = $2 where mailbox = $1";
        tx.execute(Statement::new(text).bind(user.mailbox).bind(name)).await?;
    }
    let before = stored.and_then(|stored| stored.trusted).map(|trusted| user::key(&trusted.name));
    // The new name first, because a user who gets it releases the old one.
    for key in key.iter().chain(before.iter().filter(|before| Some(*before) != key.as_ref())) {
        assign_name(tx, key).await?;
    }
    let found = find(tx.reader().await?, issuer, subject).await?;
    found.map(|found| found.user).ok_or_else(|| Error::internal("an identity was not kept"))
}

/// Creates a user without a name, and the user's identity.
async fn create(tx: &mut Tx, issuer: &str, subject: &str, display_name: Option<&str>) -> Result<User, Error> {
    let id = Tx::internal_id().to_string();
    let name = user::nameless(&id);
    let new = User {
        id,
        display_name: display_name.unwrap_or(&name).to_owned(),
        user_principal_name: name.clone(),
        mail: name.clone(),
        mailbox: 0,
    };
    let user = users::insert(tx, new, &user::key(&name)).await?;
    add(tx, issuer, subject, &user).await?;
    Ok(user)
}

async fn add(tx: &mut Tx, issuer: &str, subject: &str, user: &User) -> Result<(), Error> {
    let text = "insert into identities (issuer, subject, mailbox, created_date_time) values ($1, $2, $3, $4)";
    tx.execute(Statement::new(text).bind(issuer).bind(subject).bind(user.mailbox).bind(tx.now())).await
}

/// Assigns a name that a provider vouches for to the one user who claims it. If two claim it, neither gets it, in
/// either order. A user of contactd's own keeps it, and so does one to whom the operator has bound it.
async fn assign_name(tx: &mut Tx, key: &str) -> Result<(), Error> {
    let text = concat!(select!(), " where i.name_key = $1 limit 2");
    let claimants = tx.reader().await?.rows(Statement::new(text).bind(key)).await?;
    let claimants = claimants.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let claimant = match claimants.as_slice() {
        [only] if !only.known.bound && only.user.is_of_provider() => Some(only),
        _ => None,
    };
    if claimants.len() > 1 {
        tracing::warn!("the identity provider gives one name to two users: the name finds neither until it is bound");
    }
    if let Some(holder) = holder(tx.reader().await?, key).await? {
        if !holder.is_of_provider() || is_bound(tx.reader().await?, holder.mailbox).await? {
            return Ok(());
        }
        if claimant.is_none_or(|claimant| claimant.user.mailbox != holder.mailbox) {
            rename_user(tx, &holder, &user::nameless(&holder.id)).await?;
        }
    }
    match claimant.and_then(|claimant| claimant.trusted.as_ref().map(|trusted| (&claimant.user, &trusted.name))) {
        Some((user, name)) => rename_user(tx, user, &user::displayable(name)).await,
        None => Ok(()),
    }
}

/// The user whom a name finds.
async fn holder(session: &mut Session, key: &str) -> Result<Option<User>, Error> {
    let text = concat!(users::select!(), " from users c where c.user_principal_name_key = $1");
    session.row(Statement::new(text).bind(key)).await?.map(|row| users::read(&row, 0)).transpose()
}

async fn is_bound(session: &mut Session, mailbox: i64) -> Result<bool, Error> {
    let text = "select 1 from identities where mailbox = $1 and bound limit 1";
    Ok(session.row(Statement::new(text).bind(mailbox)).await?.is_some())
}

/// Renames a user.
async fn rename_user(tx: &mut Tx, user: &User, name: &str) -> Result<(), Error> {
    let text = "update users set user_principal_name = $2, user_principal_name_key = $3, mail = $2 where mailbox = $1";
    tx.execute(Statement::new(text).bind(user.mailbox).bind(name).bind(user::key(name))).await
}

fn refused(why: impl Into<String>) -> Error {
    Error::invalid(Kind::Request, "", why)
}

/// The issuer: the given one, or the only one that has sent the subject.
async fn issuer(session: &mut Session, given_issuer: Option<String>, subject: &str) -> Result<String, Error> {
    if let Some(issuer) = given_issuer {
        return Ok(issuer);
    }
    let text = "select issuer from identities where subject = $1 order by issuer limit 2";
    let rows = session.rows(Statement::new(text).bind(subject)).await?;
    match rows.as_slice() {
        [one] => one.get(0),
        [] => Err(refused("nobody with this subject has signed in yet: name the provider with --issuer")),
        _ => Err(refused("two providers have this subject: name one with --issuer")),
    }
}

async fn bind(tx: &mut Tx, name: &str, given_issuer: Option<String>, subject: &str) -> Result<User, Error> {
    quota::lock_counts(tx).await?;
    if !user::is_assignable(name) {
        return Err(refused(format!(
            "'{name}' cannot be bound: a name is one line, and not of the form of users' ids"
        )));
    }
    let issuer = issuer(tx.reader().await?, given_issuer, subject).await?;
    let stored = find(tx.reader().await?, &issuer, subject).await?;
    let key = user::key(name);
    let holder = holder(tx.reader().await?, &key).await?;
    let own_mailbox = stored.as_ref().map(|stored| stored.user.mailbox);
    if let Some(holder) = holder.as_ref().filter(|holder| Some(holder.mailbox) != own_mailbox) {
        if is_bound(tx.reader().await?, holder.mailbox).await? {
            return Err(refused(format!("'{name}' is bound to another subject: contactd user unbind frees it")));
        }
        if let Some(stored) = stored.as_ref().filter(|_| !holder.is_of_provider()) {
            let id = &stored.user.id;
            return Err(refused(format!(
                "'{name}' is already a user, and so is the subject, as {id}: remove one of them, or bind another name"
            )));
        }
    }
    if let Some(stored) = stored.as_ref().filter(|stored| !stored.user.is_of_provider()) {
        let id = &stored.user.id;
        return if holder.is_some_and(|holder| holder.mailbox == stored.user.mailbox) {
            Ok(stored.user.clone())
        } else {
            Err(refused(format!("the subject is bound to the user '{id}': contactd user unbind frees it")))
        };
    }
    let user = match (stored, holder) {
        (None, Some(local)) if !local.is_of_provider() => {
            add(tx, &issuer, subject, &local).await?;
            local
        }
        (stored, holder) => {
            let user = match stored {
                Some(stored) => stored.user,
                None => create(tx, &issuer, subject, Some(name)).await?,
            };
            if let Some(other) = holder.filter(|holder| holder.mailbox != user.mailbox) {
                rename_user(tx, &other, &user::nameless(&other.id)).await?;
            }
            rename_user(tx, &user, name).await?;
            user
        }
    };
    let text = "update identities set bound = true where issuer = $1 and subject = $2";
    tx.execute(Statement::new(text).bind(&issuer).bind(subject)).await?;
    // The earlier name is free now.
    assign_name(tx, &user::key(&user.user_principal_name)).await?;
    audit::by_operator(tx, user.mailbox, "user bind", Some(&user.id), None).await?;
    let user = users::find(tx.reader().await?, &user.id).await?;
    user.ok_or_else(|| Error::internal("a user who was bound is gone"))
}

/// Lets the claims decide the name again.
async fn unbind(tx: &mut Tx, user: &User) -> Result<(), Error> {
    if !user.is_of_provider() {
        // From now on the subject is a different user.
        let text = "delete from identities where mailbox = $1";
        return tx.execute(Statement::new(text).bind(user.mailbox)).await;
    }
    let text = "update identities set bound = false where mailbox = $1";
    tx.execute(Statement::new(text).bind(user.mailbox)).await?;
    rename_user(tx, user, &user::nameless(&user.id)).await?;
    let text = "select name_key from identities where mailbox = $1 and name_key is not null";
    let claimed_keys = tx.reader().await?.rows(Statement::new(text).bind(user.mailbox)).await?;
    for key in claimed_keys.iter().map(|row| row.get::<String>(0)) {
        assign_name(tx, &key?).await?;
    }
    assign_name(tx, &user::key(&user.user_principal_name)).await
}
