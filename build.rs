//! A new migration is compiled in even when no Rust file changed with it.
fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
