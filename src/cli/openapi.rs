//! `contactd openapi`: the document that a server answers at `/openapi.json`, for those who make clients of it.

use std::io::{self, Write as _};

use clap::Args;

use crate::graph::openapi::{Shape, file};

/// Options of `contactd openapi`.
#[derive(Debug, Args)]
pub struct OpenapiArgs {
    /// Describe the older beta shape instead of v1.0
    #[arg(long)]
    beta: bool,
}

/// Prints the document.
pub fn print(config: &OpenapiArgs) {
    let text = file(if config.beta { Shape::Beta } else { Shape::V1 });
    // A closed output is not an error.
    let _ = io::stdout().write_all(text.as_bytes());
}
