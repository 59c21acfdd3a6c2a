//! Hints in error messages about accepted values.

use serde_json::json;

use crate::app::TestApp;

#[test]
fn the_error_for_a_date_shows_a_valid_date() {
    let app = TestApp::new();
    let ann = app.user("ann");
    let strict = ann.with("Prefer", "handling=strict");
    for prefix in ["", "/v1.0"] {
        let contact_path =
            format!("{prefix}/me/contacts/{}", ann.post("/me/contacts", json!({"givenName": "Born"})).id());
        let before = ann.get(&contact_path).json(200);
        for text in ["31.01.2001", "05/06/1980", "", "--05-06", "1980-05-06T00:00:00", "1980-05-06 00:00:00"] {
            let refused = ann.patch(&contact_path, json!({"birthday": text}));
            assert_eq!(refused.error(), (400, "RequestBodyRead".to_owned(), "birthday".to_owned()));
            let message = refused.message();
            assert!(
                message.contains("a date like 1980-05-31") && message.contains("1980-05-31T00:00:00Z"),
                "{message}"
            );
        }
        assert_eq!(ann.get(&contact_path).json(200), before, "nothing is stored");
    }
    let refused = strict.post("/me/contacts", json!({"weddingAnniversary": "31.01.2001"}));
    assert_eq!(refused.error(), (400, "RequestBodyRead".to_owned(), "weddingAnniversary".to_owned()));
    assert!(refused.message().contains("a date like 1980-05-31"), "{}", refused.message());
    assert_eq!(app.count("select count(*) from contacts"), 2);
}

#[test]
fn the_error_for_a_photo_in_a_contact_names_the_photo_path() {
    let app = TestApp::new();
    let ann = app.user("ann");
    for prefix in ["", "/beta", "/v1.0"] {
        for path in ["/me/contacts", "/me/contacts/$ref"] {
            let refused = ann.post(&format!("{prefix}{path}"), json!({"givenName": "Ann", "Photo": {"width": 1}}));
            assert_eq!(refused.error(), (400, "RequestBodyRead".to_owned(), "Photo".to_owned()));
            let message = refused.message();
            assert!(message.contains("PUT to …/contacts/{id}/photo/$value"), "{message}");
        }
    }
    assert_eq!(app.count("select count(*) from contacts"), 0);
}

#[test]
fn the_error_for_an_option_out_of_range_names_the_range() {
    let app = TestApp::new();
    let ann = app.user("ann");
    for (option, least) in [("$top", "1 or more; a page has at most 1,000"), ("$skip", "0 or more")] {
        for value in ["-1", "x", "1.5", ""] {
            let refused = ann.get(&format!("/me/contacts?{option}={value}"));
            assert_eq!(refused.error(), (400, "BadRequest".to_owned(), option.to_owned()));
            let expected = format!("'{option}' must be a whole number of {least}");
            assert!(refused.message().starts_with(&expected), "{}", refused.message());
        }
    }
    assert!(ann.get("/me/contacts?$top=0").message().contains("1 or more"));
    assert_eq!(ann.get("/me/contacts?$top=5000&$skip=0").status, 200);
    let unknown = ann.get("/me/contacts?$limit=5").message();
    assert!(unknown.contains("'$limit' is not recognized") && unknown.contains("$top"), "{unknown}");
}
