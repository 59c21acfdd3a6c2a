# What one does here; each recipe is a line somebody could type by hand.

# List the recipes.
default:
    @just --list

# Serve on 127.0.0.1:8080 for development.
run:
    cargo run -- serve --dev

# Pass all the tests.
test:
    tests/run

# Formatting, lints and documentation.
lint:
    cargo fmt --all --check
    cargo clippy --locked --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

# The invariants a search can check.
forbid:
    tests/forbid

# Speed and cost beside their limits, on both engines: a table, docs/bench.json and docs/bench.svg (Linux; half an hour).
bench:
    cargo bench --bench cost --bench creates --bench engines --bench start --bench suite --bench sync
    CONTACTD_BENCH_MILLION=1 cargo bench --bench lists
    cargo bench --bench lists -- postgres
    cargo bench --bench report

# How the work of each reader grows with its input (Linux).
growth:
    cargo bench --bench growth

# Licences, bans and sources of the dependencies (needs cargo-deny: `cargo install --locked cargo-deny`).
deny:
    cargo deny check licenses bans sources

# Known faults of the dependencies. Not in CI: the database is fetched from GitHub and is not reachable everywhere.
advisories:
    cargo deny check advisories

# Build the container and try it (needs root and Debian's packages).
container:
    docker/verify

# Exactly what CI does.
ci:
    .ci/run
