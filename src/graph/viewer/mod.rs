//! `/docs`, with `--docs`: Swagger UI, which shows the OpenAPI documents and makes calls. All of it is in the program,
//! and the page loads nothing from other hosts.

use std::io::Read as _;
use std::sync::OnceLock;

use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use flate2::bufread::GzDecoder;

use crate::domain::error::{Error, Kind};
use crate::graph::error;
use crate::http::answer::{Answer, Body};
use crate::http::authenticate::{Caller, Scheme};
use crate::http::body::BodyUse;
use crate::http::front_end::{Counted, FrontEnd, RequestHead};
use crate::http::limits::{Permit, RequestClass};
use crate::http::{Api, RequestIds, compression};

/// The first segment of its paths.
pub(crate) const SEGMENT: &str = "docs";

/// The page may run and show files of the program, and call this server. Swagger UI's icons are in its styles.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file below `/docs`: its name and type, and its bytes, compressed if they are long.
pub(crate) struct Asset {
    name: &'static str,
    kind: &'static str,
    body: AssetContent,
}

enum AssetContent {
    Plain(&'static str),
    /// Compressed; decompressed once for clients that do not accept gzip.
    Compressed(&'static [u8], OnceLock<Vec<u8>>),
}

const TEXT: &str = "text/plain; charset=utf-8";

/// Swagger UI's files are those of its package, see `swagger-ui/README.md`.
static ASSETS: [Asset; 6] = [
    Asset { name: "start.js", kind: "text/javascript", body: AssetContent::Plain(include_str!("start.js")) },
    Asset {
        name: "swagger-ui-bundle.js",
        kind: "text/javascript",
        body: AssetContent::Compressed(include_bytes!("swagger-ui/swagger-ui-bundle.js.gz"), OnceLock::new()),
    },
    Asset {
        name: "swagger-ui.css",
        kind: "text/css",
        body: AssetContent::Compressed(include_bytes!("swagger-ui/swagger-ui.css.gz"), OnceLock::new()),
    },
    Asset { name: "LICENSE", kind: TEXT, body: AssetContent::Plain(include_str!("swagger-ui/LICENSE")) },
    Asset { name: "NOTICE", kind: TEXT, body: AssetContent::Plain(include_str!("swagger-ui/NOTICE")) },
    Asset {
        name: "swagger-ui-bundle.js.LICENSE.txt",
        kind: TEXT,
        body: AssetContent::Plain(include_str!("swagger-ui/swagger-ui-bundle.js.LICENSE.txt")),
    },
];
static PAGE: Asset =
    Asset { name: "", kind: "text/html; charset=utf-8", body: AssetContent::Plain(include_str!("page.html")) };

/// The front end.
pub(crate) struct Viewer;

/// The resource of a path.
pub(crate) enum Place {
    Page,
    /// The page's path with a final slash, from which its relative links would be wrong.
    Slash,
    File(&'static Asset),
}

fn place(path: &str) -> Option<Place> {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    match (segments.next().is_some(), segments.next(), segments.next()) {
        (true, None, _) if path.ends_with('/') => Some(Place::Slash),
        (true, None, _) => Some(Place::Page),
        (true, Some(name), None) => ASSETS.iter().find(|asset| asset.name == name).map(Place::File),
        _ => None,
    }
}

impl FrontEnd for Viewer {
    type Routed<'a> = (RequestHead<'a>, Place);

    const SCHEMES: &'static [Scheme] = &[Scheme::Bearer];
    const HEADERS: &'static [(&'static str, &'static str)] = &[];

    fn has_path(&self, path: &str) -> bool {
        place(path).is_some()
    }

    fn read<'a>(&'a self, _: &'a Api, head: RequestHead<'a>) -> Result<Self::Routed<'a>, Error> {
        let last = head.path.rsplit('/').next().unwrap_or_default();
        let place = place(head.path).ok_or_else(|| Error::NoSegment(last.to_owned()))?;
        Ok((head, place))
    }

    fn route((_, place): &Self::Routed<'_>) -> &'static str {
        if matches!(place, Place::File(_)) { "/docs/{file}" } else { "/docs" }
    }

    fn calls() -> Vec<(&'static str, &'static str)> {
        vec![("GET", "/docs"), ("GET", "/docs/{file}")]
    }

    fn class(_: &Self::Routed<'_>) -> RequestClass {
        RequestClass::Request
    }

    fn body((head, _): &Self::Routed<'_>) -> Result<BodyUse, Error> {
        let reads = *head.method == Method::GET || *head.method == Method::HEAD;
        if reads { Ok(BodyUse::Not) } else { Err(Error::MethodNotAllowed(vec!["GET"])) }
    }

    fn answer_without_caller((head, place): &Self::Routed<'_>) -> Option<Result<Answer, Error>> {
        Some(match place {
            Place::Page => {
                asset_answer(head.headers, &PAGE).and_then(|page| page.header("Content-Security-Policy", POLICY))
            }
            Place::Slash => Answer::empty(308).and_then(|answer| answer.header("Location", "../docs")),
            Place::File(asset) => asset_answer(head.headers, asset),
        })
    }

    fn count_call(&self, _: &Self::Routed<'_>, _: &Caller, _: &Permit) -> Result<Counted, Error> {
        Ok(None)
    }

    fn count_body(&self, _: &Self::Routed<'_>, _: &Caller, _: &Permit, _: usize) -> Result<(), Error> {
        Ok(())
    }

    async fn perform(_: &Self::Routed<'_>, _: &Caller, _: &Permit, _: &[u8]) -> Result<Answer, Error> {
        Err(Error::invalid(Kind::Request, "", "The page needs no token."))
    }

    fn error(error: &Error, ids: &RequestIds) -> Answer {
        error::answer(error, ids)
    }

    fn code(error: &Error) -> &'static str {
        error::code(error)
    }

    fn media_type(_: &str, _: &str, _: &HeaderMap) -> &'static str {
        "application/json"
    }
}

fn asset_answer(request_headers: &HeaderMap, asset: &'static Asset) -> Result<Answer, Error> {
    let answer = match &asset.body {
        AssetContent::Plain(text) => Answer { body: Some((*text).as_bytes().to_vec().into()), ..Answer::empty(200)? },
        AssetContent::Compressed(compressed, plain) => precompressed_answer(request_headers, compressed, plain)?,
    };
    // The same until the program is updated.
    answer
        .header("Content-Type", asset.kind)?
        .header("Cache-Control", "public, max-age=300")?
        .header("Referrer-Policy", "no-referrer")
}

/// An answer whose body is in the program, compressed. It is decompressed once for clients that do not accept gzip.
///
/// # Errors
/// [`Error::Internal`] if it is not gzip.
fn precompressed_answer(
    request_headers: &HeaderMap,
    compressed: &'static [u8],
    plain: &'static OnceLock<Vec<u8>>,
) -> Result<Answer, Error> {
    let answer = Answer::empty(200)?.header("Vary", "Accept-Encoding")?;
    if compression::wants_gzip(request_headers) {
        return Answer { body: Some(Body::Static(compressed)), ..answer }.header("Content-Encoding", "gzip");
    }
    let bytes = if let Some(bytes) = plain.get() {
        bytes
    } else {
        let mut bytes = Vec::new();
        GzDecoder::new(compressed).read_to_end(&mut bytes).map_err(Error::internal)?;
        plain.get_or_init(|| bytes)
    };
    Ok(Answer { body: Some(Body::Static(bytes)), ..answer })
}
