# Recipes for development. Each is a command that you can also type.

# List the recipes.
default:
    @just --list

# Serve on 127.0.0.1:8080 for development.
run:
    cargo run -- serve --dev

# Run all tests.
test:
    tests/run

# Formatting, lints and documentation.
lint:
    cargo fmt --all --check
    cargo clippy --locked --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

# Check the invariants that a search can check.
forbid:
    tests/forbid

# Measure speed and cost against their limits, on both engines: a table, docs/bench.json and docs/bench.svg (Linux; half an hour).
bench:
    cargo bench --bench carddav --bench cost --bench creates --bench engines --bench start --bench suite --bench sync
    CONTACTD_BENCH_MILLION=1 cargo bench --bench lists
    cargo bench --bench lists -- postgres
    cargo bench --bench report

# Measure how the work of each parser grows with its input (Linux).
growth:
    cargo bench --bench growth

# Check licences, bans and sources of the dependencies (needs cargo-deny: `cargo install --locked cargo-deny`).
deny:
    cargo deny check licenses bans sources

# Check for known vulnerabilities of the dependencies. Not in CI, because the database is on GitHub and is not reachable everywhere.
advisories:
    cargo deny check advisories

# Build and test the container (needs root and Debian's packages).
container:
    docker/verify

# Run all checks of CI.
ci:
    .ci/run
