//! `--metrics-listen`: the listener for monitoring.

use std::io::Write as _;

use crate::cli::arguments::{self, ListArg};
use crate::http::Readiness;
use crate::http::listen::{self, ListenAddress};
use crate::http::monitoring::{self, Monitoring};

/// The running listener, if there is one.
pub(crate) struct Monitored {
    server: Option<Monitoring>,
    /// Its addresses. Dropping a socket's file removes it.
    _addresses: Vec<ListenAddress>,
}

/// Starts the listener and prints its address.
///
/// # Errors
/// One line: the address cannot be used.
pub(crate) fn start(place: Option<&ListArg<String>>, readiness: &Readiness) -> Result<Monitored, String> {
    let Some(place) = place else { return Ok(Monitored { server: None, _addresses: Vec::new() }) };
    let name = |error: String| error.replacen("--listen", "--metrics-listen", 1);
    let places = arguments::listen(std::slice::from_ref(place)).map_err(name)?;
    let mut bound = listen::bind(&places).map_err(name)?.into_iter();
    let (Some(bound), None) = (bound.next(), bound.next()) else {
        return Err("--metrics-listen: expected one address".to_owned());
    };
    let (server, at) =
        monitoring::serve(bound, readiness.clone()).map_err(|error| format!("--metrics-listen: {error}"))?;
    let line = match &at {
        ListenAddress::Address(address) => format!("contactd metrics on http://{address}/metrics\n"),
        ListenAddress::File(file) => format!("contactd metrics on unix:{}\n", file.path.display()),
    };
    // A closed output is not an error.
    let _ = std::io::stderr().write_all(line.as_bytes());
    Ok(Monitored { server: Some(server), _addresses: vec![at] })
}

impl Monitored {
    /// Ends it.
    pub(crate) async fn stop(self) {
        if let Some(server) = self.server {
            server.stop().await;
        }
    }
}
