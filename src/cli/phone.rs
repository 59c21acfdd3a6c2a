//! The data for signing in to CardDAV on a phone: server, user and password, as text, as QR codes, and as a set-up
//! profile for Apple devices.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

use crate::cli::arguments::public_url;
use crate::clock;

/// Options of `contactd token create` for a phone.
#[derive(Debug, Args)]
pub struct PhoneArgs {
    /// Address of the server as phones reach it (`https://host:port/prefix`)
    #[arg(long, env = "CONTACTD_PUBLIC_URL", value_name = "URL", value_parser = public_url)]
    server: Option<String>,
    /// Print QR codes too: a link that `DAVx5` opens, and the password
    #[arg(long, requires = "server")]
    qr: bool,
    /// Write a configuration profile for iPhone, iPad and Mac, which contains the password
    #[arg(long, value_name = "FILE", requires = "server")]
    apple_profile: Option<PathBuf>,
}

/// The account.
pub(crate) struct SignIn<'a> {
    pub(crate) user: &'a str,
    pub(crate) password: &'a str,
    /// The name of the token.
    pub(crate) name: Option<&'a str>,
}

impl PhoneArgs {
    /// Whether a QR code or a profile is requested.
    pub(crate) fn wants_more(&self) -> bool {
        self.qr || self.apple_profile.is_some()
    }

    /// Prints the data for a phone on standard error, and writes the profile. The password itself is on standard
    /// output.
    ///
    /// # Errors
    /// One line: the profile cannot be written.
    pub(crate) fn print(&self, sign_in: &SignIn<'_>) -> Result<(), String> {
        let SignIn { user, password, .. } = sign_in;
        let address = self.server.as_ref().map_or_else(
            || "the address of this server, like https://contacts.example.org/dav/".to_owned(),
            |server| format!("{server}/dav/"),
        );
        let mut stderr = std::io::stderr().lock();
        let _ = writeln!(
            stderr,
            "For CardDAV (docs/carddav.md) a phone asks for\n  server    {address}\n  user      {user}\n  password  the token"
        );
        let Some(server) = &self.server else { return Ok(()) };
        if self.qr {
            for (what, content) in
                [("DAVx5 opens this link:", link(server, user)), ("The password:", (*password).to_owned())]
            {
                let code = QrCode::new(content.as_bytes()).map_err(|error| format!("--qr: {error}"))?;
                let _ = writeln!(stderr, "{what}\n{}", code.render::<Dense1x2>().build());
            }
        }
        if let Some(path) = &self.apple_profile {
            write(path, &profile(server, sign_in))
                .map_err(|error| format!("--apple-profile {}: {error}", path.display()))?;
            let _ = writeln!(
                stderr,
                "The profile is in {}. It contains the password: remove it once it is installed.",
                path.display()
            );
        }
        Ok(())
    }
}

/// Creates a file that only its owner can read.
fn write(path: &Path, content: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content.as_bytes())
}

/// The link that `DAVx5` opens.
fn link(server: &str, user: &str) -> String {
    let (scheme, rest) = server.split_once("://").unwrap_or(("https", server));
    let scheme = if scheme == "http" { "carddav" } else { "carddavs" };
    format!("{scheme}://{}@{rest}/dav/", crate::percent::percent_encode(user))
}

/// An Apple configuration profile with one CardDAV account.
fn profile(server: &str, SignIn { user, password, name }: &SignIn<'_>) -> String {
    let (scheme, rest) = server.split_once("://").unwrap_or(("https", server));
    let (authority, prefix) =
        rest.split_once('/').map_or((rest, String::new()), |(host, path)| (host, format!("/{path}")));
    let is_secure = scheme != "http";
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !port.is_empty() => (host, port),
        _ => (authority, if is_secure { "443" } else { "80" }),
    };
    let principal = format!("{prefix}/dav/principals/{}/", crate::percent::percent_encode(user));
    let description = name.unwrap_or("contactd");
    let text = |key: &str, value: &str| format!("      <key>{key}</key>\n      <string>{}</string>\n", escaped(value));
    let account = [
        text("CardDAVAccountDescription", description),
        text("CardDAVHostName", host),
        format!("      <key>CardDAVPort</key>\n      <integer>{port}</integer>\n"),
        format!("      <key>CardDAVUseSSL</key>\n      <{is_secure}/>\n"),
        text("CardDAVUsername", user),
        text("CardDAVPassword", password),
        text("CardDAVPrincipalURL", &principal),
        text("PayloadType", "com.apple.carddav.account"),
        text("PayloadIdentifier", &format!("contactd.{user}.carddav")),
        text("PayloadUUID", &clock::new_id(clock::IdOwner::Nobody).to_string()),
        "      <key>PayloadVersion</key>\n      <integer>1</integer>\n".to_owned(),
    ]
    .concat();
    let whole = [
        text("PayloadDisplayName", description),
        text("PayloadType", "Configuration"),
        text("PayloadIdentifier", &format!("contactd.{user}")),
        text("PayloadUUID", &clock::new_id(clock::IdOwner::Nobody).to_string()),
    ]
    .concat()
    .replace("      <", "  <");
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
<plist version=\"1.0\">\n<dict>\n  <key>PayloadContent</key>\n  <array>\n    <dict>\n{account}    </dict>\n  </array>\n{whole}  \
<key>PayloadVersion</key>\n  <integer>1</integer>\n</dict>\n</plist>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: SignIn<'_> = SignIn { user: "ann@example.org", password: "s&cret", name: Some("Ann's <phone>") };

    #[test]
    fn a_link_has_the_user_and_not_the_password() {
        assert_eq!(link("https://a.example:8443/x", ANN.user), "carddavs://ann%40example.org@a.example:8443/x/dav/");
        assert_eq!(link("http://a.example", "ann"), "carddav://ann@a.example/dav/");
    }

    #[test]
    fn a_profile_has_an_account_with_all_that_it_needs() {
        let profile = profile("https://a.example:8443/x", &ANN);
        for line in [
            "<key>CardDAVHostName</key>\n      <string>a.example</string>",
            "<key>CardDAVPort</key>\n      <integer>8443</integer>",
            "<key>CardDAVUseSSL</key>\n      <true/>",
            "<key>CardDAVUsername</key>\n      <string>ann@example.org</string>",
            "<key>CardDAVPassword</key>\n      <string>s&amp;cret</string>",
            "<key>CardDAVPrincipalURL</key>\n      <string>/x/dav/principals/ann%40example.org/</string>",
            "<key>PayloadType</key>\n      <string>com.apple.carddav.account</string>",
            "  <key>PayloadDisplayName</key>\n  <string>Ann's &lt;phone&gt;</string>",
        ] {
            assert!(profile.contains(line), "{line}\n{profile}");
        }
        assert!(super::profile("http://a.example", &ANN).contains("<integer>80</integer>"));
    }

    #[test]
    fn a_profile_is_for_its_owner_only_and_replaces_nothing() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mobileconfig");
        write(&path, "x").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(write(&path, "y").is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "x");
    }
}
