//! The HTTP server. It is assembled from the same parts as actix-web's `HttpServer`, which accepts only plain streams:
//! here a `Wire` wraps each stream.

use std::any::Any;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{Extensions, HttpService, Protocol};
use actix_server::{GracefulShutdownSignal, ServerBuilder};
use actix_service::{IntoServiceFactory as _, ServiceFactory, ServiceFactoryExt as _, fn_service, map_config};
use actix_tls::accept::TlsError;
use actix_tls::accept::rustls_0_23::{Acceptor, TlsStream};
use actix_web::dev::AppConfig;
use actix_web::rt::net::{TcpStream, UnixStream};
use actix_web::{App, Error, HttpRequest};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::rustls::ServerConfig;

use crate::clock::Clock;
use crate::http::Api;
use crate::http::connections::Connections;
use crate::http::wire::Wire;
use crate::metrics::list::{HANDSHAKES, Handshake};

/// How long a client may take to close its end after the server has: the default of `HttpServer`.
const DISCONNECT: Duration = Duration::from_secs(1);

/// The API to serve, and timeouts. Cheap to clone.
#[derive(Clone)]
pub struct Serving {
    /// Answers requests.
    pub api: Api,
    /// Limits connections.
    pub connections: Connections,
    /// Time limit for the first request head.
    pub request_timeout: Duration,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// Time limit for the TLS handshake.
    pub handshake_timeout: Duration,
}

/// The listener of a connection. Absent in the framework's own server, which has it in its configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) address: SocketAddr,
    pub(crate) is_secure: bool,
}

/// Whether this server decrypted the request's TLS.
pub(crate) fn is_secure(request: &HttpRequest) -> bool {
    request.conn_data::<Arrival>().map_or_else(|| request.app_config().secure(), |arrival| arrival.is_secure)
}

impl Serving {
    /// Serves plain HTTP on a TCP socket.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn listen(self, server: ServerBuilder, listener: TcpListener) -> io::Result<ServerBuilder> {
        let arrival = Arrival { address: listener.local_addr()?, is_secure: false };
        let stopping = server.graceful_shutdown_signal();
        let clock = Clock::current();
        server.listen("http", listener, move || {
            clock.enter();
            let accept = |stream: TcpStream| async move {
                let peer = stream.peer_addr().ok();
                Ok((Wire::new(stream), Protocol::Http1, peer))
            };
            fn_service(accept).and_then(self.service(arrival, &stopping))
        })
    }

    /// Serves HTTPS on a TCP socket.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn listen_tls(
        self,
        server: ServerBuilder,
        listener: TcpListener,
        mut tls: ServerConfig,
    ) -> io::Result<ServerBuilder> {
        let arrival = Arrival { address: listener.local_addr()?, is_secure: true };
        let stopping = server.graceful_shutdown_signal();
        tls.alpn_protocols.insert(0, b"http/1.1".to_vec());
        server.listen("https", listener, move || {
            let mut acceptor = Acceptor::new(tls.clone());
            acceptor.set_handshake_timeout(self.handshake_timeout);
            let accept = |stream: TlsStream<TcpStream>| {
                HANDSHAKES.increment(Handshake::Ok);
                let peer = stream.get_ref().0.peer_addr().ok();
                (Wire::new(stream), Protocol::Http1, peer)
            };
            let service = self.service(arrival, &stopping).map_err(TlsError::Service);
            let refused = |error: TlsError<_, Infallible>| {
                HANDSHAKES.increment(Handshake::Failed);
                error.into_service_error()
            };
            acceptor.map_err(refused).map(accept).and_then(service)
        })
    }

    /// Serves plain HTTP on a Unix socket.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn listen_unix(self, server: ServerBuilder, listener: UnixListener) -> io::Result<ServerBuilder> {
        // The origin of links for a client that sends no host.
        let arrival = Arrival { address: (Ipv4Addr::LOCALHOST, 8080).into(), is_secure: false };
        let stopping = server.graceful_shutdown_signal();
        server.listen_uds("unix", listener, move || {
            let accept = |stream: UnixStream| async { Ok((Wire::new(stream), Protocol::Http1, None)) };
            fn_service(accept).and_then(self.service(arrival, &stopping))
        })
    }

    /// The service of one connection.
    fn service<T>(
        &self,
        arrival: Arrival,
        stopping: &GracefulShutdownSignal,
    ) -> impl ServiceFactory<
        (Wire<T>, Protocol, Option<SocketAddr>),
        Config = (),
        Response = (),
        Error = DispatchError,
        InitError = (),
    > + use<T>
    where
        T: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let (on_connect, stopping) = (self.connections.on_connect(), stopping.clone());
        let app =
            App::new().service(self.api.service("")).into_factory().map_err(|error: Error| error.error_response());
        HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .keep_alive(self.keep_alive)
            .client_request_timeout(self.request_timeout)
            .client_disconnect_timeout(DISCONNECT)
            .local_addr(arrival.address)
            .on_connect_ext(move |wire: &Wire<T>, data: &mut Extensions| {
                data.insert(arrival);
                on_connect(wire.below() as &dyn Any, data);
            })
            .finish(map_config(app, |()| AppConfig::default()))
    }
}
