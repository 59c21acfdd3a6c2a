//! One binary for all integration tests. Most drive the API over a real socket, served from this process on a fresh
//! database (`app`); those about running drive the real program (`program`). A module is named after what it is about.

mod app;
mod expected;
mod program;

mod access;
mod concurrency;
mod conditions;
mod contacts;
mod contacts_ref;
mod crash;
mod embedding;
mod faults;
mod folders;
mod limits;
mod model;
mod paging;
mod paths;
mod refusals;
mod running;
