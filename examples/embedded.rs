//! contactd inside another actix application, below `/graph`, on a temporary database: `cargo run --example embedded`.

use actix_web::{App, HttpServer, web};
use contactd::http::authenticate::Access;
use contactd::http::{Api, Settings};
use contactd::store::{Database, Options, Store};

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = Store::open(&Database::Temporary, Options::default()).await?;
    let api = Api::new(store.clone(), Access::development(), Settings::default());
    let app = move || App::new().route("/", web::get().to(async || "my own page")).service(api.service("/graph"));
    let server = HttpServer::new(app).bind("127.0.0.1:0")?;
    println!("curl -H 'Authorization: Bearer ann' http://{}/graph/me/contacts", server.addrs()[0]);
    server.run().await?;
    store.close().await;
    Ok(())
}
