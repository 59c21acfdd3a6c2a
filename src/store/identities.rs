//! Users whom an identity provider knows. Each has a mailbox of their own, which nobody comes to by a name.

use uuid::Uuid;

use super::engine::Session;
use super::statement::Statement;
use super::tx::Tx;
use super::{Store, users};
use crate::error::Error;
use crate::user::{self, Identity, User, UserName};

impl Store {
    /// The user of an identity, made with an empty mailbox if there is none; its name then becomes another one if it is
    /// `reserved` or a user has it. Later names of an identity change nothing.
    ///
    /// # Errors
    /// [`Error::Quota`] past 100,000 users, else those of the database.
    pub async fn user_of_identity(&self, identity: &Identity, reserved: bool) -> Result<User, Error> {
        // No name of a user's begins so, and no URL has such a character.
        let key = format!("\n{}\n{}", identity.issuer, identity.subject);
        let reign = self.shared.place.reign();
        // Who is looked up anew by id is by identity too.
        let known = |user: &User| self.remembered(reign, &user::key(&user.id)).as_ref() == Some(user);
        if let Some(user) = self.remembered(reign, &key).filter(known) {
            return Ok(user);
        }
        let found = self.read_vital(async |session: &mut Session| find(session, identity).await).await?;
        let user = if let Some(user) = found {
            user
        } else {
            let identity = identity.clone();
            self.write(None, async move |tx| ensure(tx, &identity, reserved).await).await?
        };
        self.remember(reign, user::key(&user.id), &user);
        self.remember(reign, key, &user);
        Ok(user)
    }
}

/// The user of an identity, if there is one.
async fn find(session: &mut Session, identity: &Identity) -> Result<Option<User>, Error> {
    let text = concat!(
        users::select!(),
        " from identities i join users c on c.mailbox = i.mailbox where i.issuer = $1 and i.subject = $2"
    );
    let row = session.row(Statement::new(text).bind(&identity.issuer).bind(&identity.subject)).await?;
    row.as_ref().map(|row| users::read(row, 0)).transpose()
}

async fn ensure(tx: &mut Tx, identity: &Identity, reserved: bool) -> Result<User, Error> {
    users::one_at_a_time(tx).await?;
    if let Some(user) = find(tx.reading().await?, identity).await? {
        return Ok(user);
    }
    let id = Tx::new_id();
    let wanted = identity.principal_name.as_deref().map_or_else(|| format!("{id}@identity"), user::shown);
    let name = if reserved || is_an_id(&wanted) || users::find(tx.reading().await?, &wanted).await?.is_some() {
        distinct(&wanted, id)
    } else {
        wanted
    };
    let new = User {
        id: id.to_string(),
        display_name: identity.display_name.clone().unwrap_or_else(|| name.clone()),
        user_principal_name: name.clone(),
        mail: name.clone(),
        mailbox: 0,
    };
    let user = users::insert(tx, new, &user::key(&name)).await?;
    let text = "insert into identities (issuer, subject, mailbox, created_date_time) values ($1, $2, $3, $4)";
    let statement = Statement::new(text).bind(&identity.issuer).bind(&identity.subject).bind(user.mailbox);
    tx.execute(statement.bind(tx.now())).await?;
    Ok(user)
}

/// Whether a name is, or could come to be, what somebody else is found by.
fn is_an_id(name: &str) -> bool {
    UserName::of_address(name).is_some_and(|name| Uuid::parse_str(name.as_str()).is_ok())
}

/// A name that nobody else has, made of one that somebody has: with the last digits of an id, which are random.
fn distinct(name: &str, id: Uuid) -> String {
    let id = id.simple().to_string();
    let digits = &id[id.len() - 8..];
    match name.rsplit_once('@') {
        Some((local, domain)) => format!("{local}.{digits}@{domain}"),
        None => format!("{name}.{digits}"),
    }
}
