//! Filters of constants, which differ only in the types of their values.

/// Constants compared with constants: their texts differ only in the comparison.
pub(super) fn constants() -> Vec<String> {
    let of_a_type = [
        vec!["'a'", "'B'", "''", "null"],
        vec!["1", "-2", "null"],
        vec!["0.5", "2", "null"],
        vec!["2024-02-29", "1604-02-29", "null"],
        vec!["2024-02-29T10:00:00Z", "2024-02-29T10:00:00.5Z", "2024-02-29", "null"],
        vec!["10:00", "23:59:59.5", "null"],
    ];
    let mut conditions = Vec::new();
    for values in &of_a_type {
        for (a, b) in values.iter().flat_map(|a| values.iter().map(move |b| (a, b))) {
            conditions.extend(["eq", "ne", "gt", "ge", "lt", "le"].map(|op| format!("{a} {op} {b}")));
            if *a != "null" && (*a == "2024-02-29") == (*b == "2024-02-29") {
                conditions.push(format!("{a} in ({b},{b})"));
            }
        }
    }
    for (a, b) in [("true", "false"), ("false", "null"), ("null", "true"), ("true", "true")] {
        conditions.extend(["eq", "ne"].map(|op| format!("{a} {op} {b}")));
        conditions.extend(["and", "or"].map(|op| format!("{a} {op} not {b}")));
    }
    for function in ["contains", "startswith", "endswith"] {
        conditions.push(format!("{function}('ab','b')"));
        conditions.push(format!("{function}('ab',null)"));
    }
    let functions = [
        "concat('a','b') eq 'AB'",
        "substring('abc',1) eq 'bc'",
        "substring('abc',1,1) eq 'b'",
        "trim(' x ') eq 'x'",
        "length('abc') eq 3",
        "indexof('abc','c') eq 2",
        "1 add 2 eq 3",
        "-(1) eq -1",
        "7 div 0 eq null",
        "year(2024-02-29) eq 2024",
        "date(2024-02-29T10:00:00Z) eq 2024-02-29",
        "hour(10:00) eq 10",
        "time(2024-02-29T10:00:00.5Z) eq 10:00:00.5",
        "fractionalseconds(10:00:00.5) eq 0.5",
        "toupper('a') eq tolower('A')",
    ];
    conditions.extend(functions.map(str::to_owned));
    conditions
}

pub(super) mod both {
    use super::constants;
    use crate::odata::filter::Model;
    use crate::store::tests::awkward::filled;
    use crate::store::tests::filters::both::agree;

    #[actix_web::test]
    async fn constants_compare_with_constants_of_any_type_in_any_order() {
        let (o, contacts) = filled().await;
        let conditions = constants();
        for text in &conditions {
            agree(&o, &contacts, text, Model::Beta).await;
        }
        // And after those of other types.
        for text in conditions.iter().rev() {
            agree(&o, &contacts, text, Model::Beta).await;
        }
    }
}
