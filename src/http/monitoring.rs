//! The listener for monitoring: `/metrics`, `/livez` and `/readyz`. It has its own address and thread, so that it
//! answers before the database is open and while the server is full, and clients cannot reach it.

use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::{Method, header};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};

use crate::http::listen::{BoundAddress, ListenAddress, Listener};
use crate::http::probes::{Probe, Readiness};
use crate::metrics;

/// Maximum number of connections: Prometheus, an orchestrator, and a few people.
const CONNECTIONS: usize = 64;
/// Time limit for reading figures from the database. Figures that were not read by then keep their last value.
const MEASURE: Duration = Duration::from_secs(5);
/// Seconds in which a request must end when the server stops.
const STOP_SECONDS: u64 = 1;

/// Serves the metrics and probes on a bound address. Returns the server and its address.
///
/// # Errors
/// Those of the socket.
pub(crate) fn serve(bound: BoundAddress, readiness: Readiness) -> std::io::Result<(Monitoring, ListenAddress)> {
    let app = move || App::new().app_data(web::Data::new(readiness.clone())).default_service(web::to(answer));
    let server =
        HttpServer::new(app).workers(1).max_connections(CONNECTIONS).disable_signals().shutdown_timeout(STOP_SECONDS);
    let (listener, at) = bound.listen()?;
    let server = match listener {
        Listener::Tcp(listener) => server.listen(listener)?,
        Listener::Unix(listener) => server.listen_uds(listener)?,
    };
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    Ok((Monitoring(handle), at))
}

/// The running listener.
pub(crate) struct Monitoring(ServerHandle);

impl Monitoring {
    /// Ends it.
    pub(crate) async fn stop(self) {
        self.0.stop(false).await;
    }
}

async fn answer(request: HttpRequest, readiness: web::Data<Readiness>) -> HttpResponse {
    match request.path() {
        "/livez" => Probe::Livez.answer(&request, &readiness).await,
        "/readyz" => Probe::Readyz.answer(&request, &readiness).await,
        "/metrics" if matches!(*request.method(), Method::GET | Method::HEAD) => measured(&readiness).await,
        "/metrics" => HttpResponse::MethodNotAllowed().insert_header((header::ALLOW, "GET, HEAD")).finish(),
        _ => {
            HttpResponse::NotFound().content_type("text/plain").body("The addresses are /metrics, /livez and /readyz\n")
        }
    }
}

async fn measured(readiness: &Readiness) -> HttpResponse {
    let engine = match readiness.store() {
        None => "none",
        Some(store) => {
            if tokio::time::timeout(MEASURE, store.measure()).await.is_err() {
                tracing::debug!("the database does not respond in time for the metrics");
            }
            store.engine()
        }
    };
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(metrics::render(engine))
}
