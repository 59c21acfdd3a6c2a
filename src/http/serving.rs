//! The server in front of the API. It is put together as actix-web's `HttpServer` is, out of the same parts, since that one
//! takes bare streams only: here the requests on each are read by a `Wire`.

use std::any::Any;
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

use crate::http::Api;
use crate::http::connections::Connections;
use crate::http::wire::Wire;

/// How long a client may take to close its end once ours is closed: as long as `HttpServer` has it.
const DISCONNECT: Duration = Duration::from_secs(1);

/// What is served, and how long clients may take. Cheap to clone.
#[derive(Clone)]
pub struct Serving {
    /// What answers.
    pub api: Api,
    /// Who looks after connections.
    pub connections: Connections,
    /// How long the first head may take.
    pub request_timeout: Duration,
    /// How long a connection is kept without a request.
    pub keep_alive: Duration,
    /// How long the handshake of TLS may take.
    pub handshake_timeout: Duration,
}

/// By what a connection came. On the framework's own server its configuration tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    pub(crate) address: SocketAddr,
    pub(crate) is_secure: bool,
}

/// Whether a request came by TLS of ours.
pub(crate) fn is_secure(request: &HttpRequest) -> bool {
    request.conn_data::<Way>().map_or_else(|| request.app_config().secure(), |way| way.is_secure)
}

impl Serving {
    /// Serves on a socket.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn listen(self, server: ServerBuilder, listener: TcpListener) -> io::Result<ServerBuilder> {
        let way = Way { address: listener.local_addr()?, is_secure: false };
        let stopping = server.graceful_shutdown_signal();
        server.listen("http", listener, move || {
            let accept = |stream: TcpStream| async move {
                let peer = stream.peer_addr().ok();
                Ok((Wire::new(stream), Protocol::Http1, peer))
            };
            fn_service(accept).and_then(self.service(way, &stopping))
        })
    }

    /// Serves on a socket by TLS.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn listen_tls(
        self,
        server: ServerBuilder,
        listener: TcpListener,
        mut tls: ServerConfig,
    ) -> io::Result<ServerBuilder> {
        let way = Way { address: listener.local_addr()?, is_secure: true };
        let stopping = server.graceful_shutdown_signal();
        tls.alpn_protocols.insert(0, b"http/1.1".to_vec());
        server.listen("https", listener, move || {
            let mut acceptor = Acceptor::new(tls.clone());
            acceptor.set_handshake_timeout(self.handshake_timeout);
            let accept = |stream: TlsStream<TcpStream>| {
                let peer = stream.get_ref().0.peer_addr().ok();
                (Wire::new(stream), Protocol::Http1, peer)
            };
            let service = self.service(way, &stopping).map_err(TlsError::Service);
            acceptor.map_err(TlsError::into_service_error).map(accept).and_then(service)
        })
    }

    /// Serves on a socket that is a file.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn listen_unix(self, server: ServerBuilder, listener: UnixListener) -> io::Result<ServerBuilder> {
        // What a client that names no host is told of itself.
        let way = Way { address: (Ipv4Addr::LOCALHOST, 8080).into(), is_secure: false };
        let stopping = server.graceful_shutdown_signal();
        server.listen_uds("unix", listener, move || {
            let accept = |stream: UnixStream| async { Ok((Wire::new(stream), Protocol::Http1, None)) };
            fn_service(accept).and_then(self.service(way, &stopping))
        })
    }

    /// What serves one connection.
    fn service<T>(
        &self,
        way: Way,
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
            .local_addr(way.address)
            .on_connect_ext(move |wire: &Wire<T>, data: &mut Extensions| {
                data.insert(way);
                on_connect(wire.below() as &dyn Any, data);
            })
            .finish(map_config(app, |()| AppConfig::default()))
    }
}
