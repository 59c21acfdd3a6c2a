//! JSON of the Graph API: request bodies read into patches of the domain, and stored things written.

pub mod contact;
