//! JSON of the user.

use serde::Serialize;

use crate::domain::user::User;

/// The properties of the type.
pub(crate) const PROPERTIES: [&str; 4] = ["id", "displayName", "userPrincipalName", "mail"];

/// A user to be written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserJson<'a> {
    #[serde(rename = "@odata.context", skip_serializing_if = "Option::is_none")]
    context: Option<String>,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_principal_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mail: Option<&'a str>,
}

impl<'a> UserJson<'a> {
    /// Writes the properties in `select`, or all; `id` is always included.
    pub(crate) fn new(user: &'a User, select: Option<&[&'static str]>, context: Option<String>) -> Self {
        let is_selected = |name| select.is_none_or(|names| names.contains(&name));
        Self {
            context,
            id: &user.id,
            display_name: is_selected("displayName").then_some(&user.display_name),
            user_principal_name: is_selected("userPrincipalName").then_some(&user.user_principal_name),
            mail: is_selected("mail").then_some(&user.mail),
        }
    }
}
