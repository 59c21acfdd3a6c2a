//! How input that Graph would refuse is treated.

/// How to treat input that Graph would refuse (docs/graph.md, "Handling").
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Handling {
    /// Accept it.
    #[default]
    Lenient,
    /// Refuse it with Graph's code.
    Strict,
}
