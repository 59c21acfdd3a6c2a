//! `:memory:`, which uses the same code on a hidden temporary file.

use proptest::prelude::*;

use crate::app::{Place, SEED_REQUEST, Setup, TestApp};
use crate::both::contacts_ref::assert_is_the_page;
use crate::both::model;

fn app() -> TestApp {
    TestApp::with(Setup { place: Place::Temporary, ..Setup::default() })
}

#[test]
fn the_pages_example_is_answered_the_same() {
    let app = app();
    let ann = app.user("ann");
    let id = assert_is_the_page(&ann.post("/me/contacts/$ref", SEED_REQUEST), 201);
    assert_is_the_page(&ann.get(&format!("/me/contacts/{id}")), 200);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn random_calls_agree_with_a_model(steps in proptest::collection::vec((any::<bool>(), model::step()), 1..40)) {
        let app = app();
        let models = model::run(&app, &steps);
        for (name, model) in ["ann", "bob"].iter().zip(&models) {
            model.compare(&app.user(name), 7);
        }
    }
}
