//! `/livez` and `/readyz`, as an orchestrator asks them.

use crate::app::TestApp;

#[test]
fn livez_and_readyz_answer_without_a_token_and_verbosely_on_request() {
    let app = TestApp::new();
    let stranger = app.user("");
    for path in ["/livez", "/readyz", "/readyz/", "/ReadyZ", "/readyz?x=verbose"] {
        let answer = stranger.get(path);
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"), "{path}");
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(stranger.send("HEAD", path, None).status, 200);
        let refused = stranger.post(path, "{}");
        assert_eq!((refused.status, refused.header("allow").as_str()), (405, "GET, HEAD"));
    }
    assert_eq!(stranger.get("/livez?verbose").text(), "[+]process ok\nlivez check passed\n");
    let report = stranger.get("/readyz?verbose").text();
    let lines: Vec<_> = report.lines().collect();
    let last = if app.is_sqlite() { "[+]disk " } else { "[+]primary ok" };
    assert!(lines[0].starts_with("[+]schema ") && lines[0].ends_with(" ok"), "{report}");
    assert_eq!((lines[1], lines[2]), ("[+]read ok", "[+]writer ok"));
    assert!(lines[3].starts_with(last), "{report}");
    assert_eq!(lines[4..], ["readyz check passed"]);
    for path in ["/readyz/x", "/livez/readyz", "/x/livez", "/v1.0/livez"] {
        assert_eq!(stranger.get(path).status, 404, "{path}");
    }
}

#[test]
fn a_schema_that_is_older_than_the_program_and_a_database_that_cannot_be_read_are_not_ready() {
    let app = TestApp::new();
    let stranger = app.user("");
    app.sql("delete from refinery_schema_history where version > 1");
    let answer = stranger.get("/readyz");
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("[-]schema 1, but this program needs "), "{}", answer.text());
    app.sql("alter table store rename to gone");
    // The result is cached for a second.
    crate::receiver::until(|| stranger.get("/readyz").text().contains("[-]read "));
    let report = stranger.get("/readyz").text();
    assert!(report.contains("[-]schema not known") && report.contains("[+]writer ok"), "{report}");
    assert!(report.ends_with("readyz check failed\n"), "{report}");
    assert_eq!(stranger.get("/livez").status, 200);
    app.sql("alter table gone rename to store");
}
