//! contactd: an embedded, persistent contact store with front ends over HTTP. The first one serves the contacts part of the
//! Microsoft Graph API.
//!
//! A program embeds it in three steps: open a [store], make the [API](http::Api) over it, and mount that in an actix-web
//! application. Here it is seeded by a request, as a test would do:
//!
//! ```
//! use actix_web::{App, test};
//! use contactd::http::authenticate::Access;
//! use contactd::http::{Api, Settings};
//! use contactd::store::{Database, Options, Store};
//!
//! # actix_web::rt::System::new().block_on(async {
//! let store = Store::open(&Database::Temporary, Options::default()).await?;
//! // Every token NAME is the user NAME: for tests only.
//! let api = Api::new(store.clone(), Access::development(), Settings::default());
//! let app = test::init_service(App::new().service(api.service("/graph"))).await;
//!
//! let contact = serde_json::json!({"givenName": "Grace", "surname": "Hopper"});
//! let request = test::TestRequest::post().uri("/graph/v1.0/me/contacts");
//! let request = request.insert_header(("Authorization", "Bearer ann")).set_json(contact).to_request();
//! assert_eq!(test::call_service(&app, request).await.status(), 201);
//! store.close().await;
//! # Ok::<_, contactd::store::OpenError>(())
//! # }).unwrap();
//! ```
//!
//! `examples/embedded.rs` serves the same on a port. docs/graph.md describes the API and ARCHITECTURE.md maps the source.

#[doc(hidden)]
pub mod cli;
mod client;
mod clock;
mod dav;
pub mod domain;
#[doc(hidden)]
pub mod formats;
mod front_ends;
#[doc(hidden)]
pub mod graph;
pub mod http;
#[doc(hidden)]
pub mod json;
mod metrics;
pub mod notify;
#[doc(hidden)]
pub mod odata;
#[doc(hidden)]
pub mod oidc;
pub mod percent;
mod permission;
#[doc(hidden)]
pub mod seed;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod testkit;
mod trace;
#[doc(hidden)]
pub mod transfer;
#[doc(hidden)]
pub mod vcard;

pub use dav::front_end::DavSettings;
pub use front_ends::FrontEndSettings;
pub use graph::settings::GraphSettings;
pub use graph::throttle::MailboxLimits;
