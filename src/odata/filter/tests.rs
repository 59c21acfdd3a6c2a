//! Tests of the grammar, and of the errors of the checker with their positions.

use proptest::prelude::*;

use crate::domain::error::Problem;
use crate::odata::filter::ast::{Binary, Expr, ExprNode, Literal};
use crate::odata::filter::*;

fn printed(text: &str) -> String {
    parse::expression(text).unwrap_or_else(|fault| panic!("{text}: {fault:?}")).to_string()
}

/// Prints every group in parentheses, to show precedence.
fn grouped(expr: &Expr) -> String {
    let chain =
        |word: &str, operands: &[Expr]| format!("({})", operands.iter().map(grouped).collect::<Vec<_>>().join(word));
    match &expr.node {
        ExprNode::And(operands) => chain(" and ", operands),
        ExprNode::Or(operands) => chain(" or ", operands),
        ExprNode::Not(operand) => format!("(not {})", grouped(operand)),
        ExprNode::Negate(operand) => format!("(-{})", grouped(operand)),
        ExprNode::Binary(op, left, right) => format!("({} {} {})", grouped(left), op.word(), grouped(right)),
        ExprNode::In(operand, values) => format!("({} in {})", grouped(operand), values.len()),
        ExprNode::Any(path, Some((v, body))) => format!("{}/any({v}:{})", path.join("/"), grouped(body)),
        ExprNode::All(path, v, body) => format!("{}/all({v}:{})", path.join("/"), grouped(body)),
        _ => expr.to_string(),
    }
}

#[test]
fn operators_have_the_precedence_of_odata() {
    let cases = [
        ("a and b or c", "((a and b) or c)"),
        ("a or b and c", "(a or (b and c))"),
        ("a and b and c", "(a and b and c)"),
        ("a and (b and c)", "(a and (b and c))"),
        ("not a and b", "((not a) and b)"),
        ("not a eq b", "((not a) eq b)"),
        ("not (a eq b)", "(not (a eq b))"),
        ("not(a)", "(not a)"),
        ("not not a", "(not (not a))"),
        ("a eq b ne c", "((a eq b) ne c)"),
        ("a gt b eq c lt d", "((a gt b) eq (c lt d))"),
        ("a add b mul c", "(a add (b mul c))"),
        ("a sub b sub c", "((a sub b) sub c)"),
        ("a add b eq c", "((a add b) eq c)"),
        ("-a add b", "((-a) add b)"),
        ("- a mul b", "((-a) mul b)"),
        ("-3 add -b", "(-3 add (-b))"),
        ("- 3", "(-3)"),
        ("a mul b div c mod d", "(((a mul b) div c) mod d)"),
        ("a in (1,2) and b", "((a in 2) and b)"),
        ("not a in (1 , 2)", "(not (a in 2))"),
        ("A EQ B AND NOT C", "((A eq B) and (not C))"),
        ("x/any( e : e/a eq 1 or b )", "x/any(e:((e/a eq 1) or b))"),
        ("x/all(e:e)", "x/all(e:e)"),
        ("x/any()", "x/any()"),
        ("$it/x/$count gt 1", "($it/x/$count gt 1)"),
        ("f(a, g(b),'c')", "f(a,g(b),'c')"),
        ("a\teq\t'x'", "(a eq 'x')"),
        ("@p eq @q1", "(@p eq @q1)"),
    ];
    for (text, expected) in cases {
        assert_eq!(grouped(&parse::expression(text).unwrap()), expected, "{text}");
    }
}

#[test]
fn literals_are_parsed() {
    let text = |text: &str| Literal::Text(text.to_owned());
    let cases = [
        ("'O''Neil'", text("O'Neil")),
        ("''", text("")),
        ("''''", text("'")),
        ("'%20 é \u{1f600} and or )'", text("%20 é \u{1f600} and or )")),
        ("null", Literal::Null),
        ("true", Literal::Bool(true)),
        ("-7", Literal::Int(-7)),
        ("9223372036854775807", Literal::Int(i64::MAX)),
        ("2.50", Literal::Decimal("2.50".into())),
        ("2024-02-29", Literal::Date("2024-02-29".into())),
        ("2024-02-29T10:00Z", Literal::DateTime("2024-02-29T10:00Z".into())),
        ("2024-02-29t10:00:00.123456789012+05:30", Literal::DateTime("2024-02-29t10:00:00.123456789012+05:30".into())),
        ("10:00", Literal::Time("10:00".into())),
        ("microsoft.graph.phoneType'home'", Literal::Enum("microsoft.graph.phoneType".into(), "home".into())),
    ];
    for (text, literal) in cases {
        assert_eq!(parse::expression(text).unwrap().node, ExprNode::Literal(literal), "{text}");
    }
}

#[test]
fn syntax_errors_have_a_position() {
    let cases = [
        ("", 0),
        ("surname eq", 10),
        ("surname eq 'x", 11),
        ("surname 'x'", 8),
        ("(surname eq 'x'", 15),
        ("surname eq 'x')", 14),
        ("surname eq 'x' and", 18),
        ("é eq \"x\"", 5),
        ("a in ()", 6),
        ("a in (b)", 6),
        ("a in 'x'", 5),
        ("a/", 2),
        ("a/b(x:y)", 2),
        ("a/any(x y)", 8),
        ("a/any(x/y:1)", 7),
        ("a/all()", 6),
        ("f(a,)", 4),
        ("a eq 2024-02-30", 5),
        ("a eq 2024-02-29T10:00:00 02:00", 5),
        ("a eq 99999999999999999999", 5),
        ("a eq 1.1234567", 5),
        ("a eq 12e3", 5),
        ("a eq 1 # b", 7),
        ("a; drop table contacts", 1),
        ("\u{0}", 0),
    ];
    for (text, at) in cases {
        let fault = parse::expression(text).unwrap_err();
        assert_eq!(fault.at, at, "{text}: {}", fault.message);
    }
    assert_eq!(parse::order("surname asc desc").unwrap_err().at, 12);
    assert_eq!(parse::order("surname,").unwrap_err().at, 8);
    assert_eq!(parse::order(&"a,".repeat(9)).unwrap_err().at, 16);
    let keys = parse::order("surname desc , givenName ASC,length(title)").unwrap();
    assert_eq!(keys.iter().map(|(_, descending)| *descending).collect::<Vec<_>>(), [true, false, false]);
}

#[test]
fn hostile_texts_are_refused_quickly() {
    let limit = parse::MAX_LENGTH;
    let deep = parse::MAX_DEPTH;
    let hostile = [
        "(".repeat(limit),
        "not ".repeat(limit / 4),
        "-".repeat(limit),
        "f(".repeat(limit / 2),
        "a/any(b:".repeat(limit / 8),
        "a/".repeat(limit / 2),
        "'".repeat(limit - 1),
        "1 add ".repeat(limit / 6) + "1",
        "a eq ".repeat(limit / 5) + "a",
        format!("{}a{}", "(".repeat(deep + 1), ")".repeat(deep + 1)),
        format!("{}a", "not ".repeat(deep + 1)),
        vec!["a"; parse::MAX_NODES + 1].join(" or "),
        "x".repeat(limit + 1),
    ];
    for text in hostile {
        assert!(parse::expression(&text).is_err(), "{}", &text[..20]);
    }
    assert!(parse::expression(&format!("{}a{}", "(".repeat(deep - 1), ")".repeat(deep - 1))).is_ok());
    assert!(parse::expression(&vec!["a"; parse::MAX_NODES - 1].join(" or ")).is_ok());
}

fn problem(text: &str, model: Model, handling: Handling) -> Problem {
    match filter(text, &Aliases::default(), model, handling) {
        Err(Error::Invalid(mut problems)) => problems.remove(0),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn type_errors_have_a_position_and_a_hint() {
    let cases = [
        ("surnam eq 'x'", 0, "Did you mean 'surname'"),
        ("not surname eq 'x'", 4, "not (a eq b)"),
        ("surname eq 1", 0, "'eq' cannot compare a String (like 'text') with a number"),
        ("birthday gt '2024-01-01'", 0, "without quotes"),
        ("surname", 0, "Expected a condition, found a String"),
        ("true and givenName", 9, "Expected a condition"),
        ("emailAddresses eq 'x'", 0, "emailAddresses/any(x:…)"),
        ("flag eq null", 0, "flag/{completedDateTime, dueDateTime, startDateTime, flagStatus}"),
        ("flag/nothing eq 'x'", 0, "'nothing'"),
        ("surname/length eq 1", 0, "'length'"),
        ("surname/any(x:x eq 'a')", 0, "is not a collection"),
        ("homePhones/any()", 0, "The other version"),
        ("emailAddresses/any(e:e eq 'x')", 21, "e/{name, address, type, otherLabel}"),
        ("emailAddresses/any(e:e/adress eq 'x')", 21, "Did you mean 'address'"),
        ("emailAddresses/any(e:phones/any(e:true))", 34, "range variable 'e'"),
        ("children/any(a:children/any(b:children/any(c:children/any(d:children/any(e:true)))))", 75, "4 deep"),
        ("contains(surname)", 0, "takes 2 arguments, not 1"),
        ("contains(surname,1)", 17, "takes a String"),
        ("substring(surname,'x') eq 'a'", 18, "whole number"),
        ("year(surname) eq 1", 5, "a Date or DateTimeOffset"),
        ("now() gt birthday", 0, "There is no function 'now'"),
        ("contains(id,'x')", 9, "takes a String"),
        ("id gt 'x'", 0, "an identifier"),
        ("surname add 1 eq 2", 0, "takes whole numbers"),
        ("9223372036854775807 add 1 gt 0", 0, "64 bits"),
        ("surname in ('a',1)", 16, "same type"),
        ("isFavorite in (true)", 0, "compare them with 'eq'"),
        ("isFavorite gt true", 0, "cannot compare"),
        ("phones/any(p:p/type eq microsoft.graph.phoneTyp'home')", 23, "There is no enumeration"),
        ("phones/any(p:p/type eq microsoft.graph.phoneType'hom')", 23, "The members of"),
        ("$it eq 'x'", 0, "$it/displayName"),
    ];
    for (text, at, what) in cases {
        let Problem { kind, target, message } = problem(text, Model::Beta, Handling::Lenient);
        assert_eq!((kind, target.as_str()), (Kind::Query, "$filter"), "{text}");
        assert!(message.contains(&format!("at position {at} ")) && message.contains(what), "{text}: {message}");
    }
}

#[test]
fn each_shape_has_its_own_names_in_any_letter_case() {
    let is_accepted = |text: &str, model| filter(text, &Aliases::default(), model, Handling::Lenient).is_ok();
    for (text, beta, v1) in [
        ("SURNAME eq 'x' and $IT/displayname ne null", true, true),
        ("gender eq 'x'", true, false),
        ("isFavorite", true, false),
        ("phones/any(p:p/NUMBER eq '1' and p/type eq 'home')", true, false),
        ("homePhones/any(p:p eq '1') or mobilePhone eq '1'", false, true),
        ("homeAddress/city eq 'Oslo' and businessHomePage eq null", false, true),
        ("emailAddresses/any(e:e/type eq 'work')", true, false),
        ("primaryEmailAddress/address eq 'x'", false, true),
        ("homeAddress/postOfficeBox eq 'x'", false, false),
        ("weddingAnniversary eq 2001-06-30", true, false),
    ] {
        assert_eq!((is_accepted(text, Model::Beta), is_accepted(text, Model::V1)), (beta, v1), "{text}");
    }
    assert!(is_accepted("displayName eq 'x' and parentFolderId eq 'contacts'", Model::Folder));
    assert!(!is_accepted("surname eq 'x'", Model::Folder));
}

#[test]
fn strict_handling_refuses_what_graph_refuses_with_its_codes() {
    let (filtering, property) = (Kind::Filter, Kind::Property);
    for (text, kind, what) in [
        ("contains(displayName,'x')", filtering, "Use Search instead"),
        ("endswith(displayName,'x')", filtering, "invalid nodes"),
        ("emailAddresses/any(a:startswith(a/address,'x'))", filtering, "invalid nodes"),
        ("surname in ('a')", filtering, "invalid nodes"),
        ("not (surname eq 'a')", filtering, "invalid nodes"),
        ("children/all(c:c eq 'a')", filtering, "invalid nodes"),
        ("emailAddresses/$count gt 1", filtering, "invalid nodes"),
        ("flag/flagStatus eq 'other'", filtering, "notFlagged, complete, flagged"),
        ("changeKey eq 'x'", property, "The property 'ChangeKey' does not support filtering."),
        ("categories/any(c:c eq 'VIP')", property, "'Categories'"),
        ("parentFolderId eq 'x'", property, "'ParentFolderId'"),
    ] {
        let found = problem(text, Model::Beta, Handling::Strict);
        assert!(found.kind == kind && found.message.contains(what), "{text}: {found:?}");
        let lenient = filter(text, &Aliases::default(), Model::Beta, Handling::Lenient);
        assert!(lenient.is_ok(), "{text}: {lenient:?}");
    }
    for text in [
        "emailAddresses/any(a:a/address eq 'x@y')",
        "startswith(displayName,'A') and (surname eq 'x' or surname ge 'y')",
        "lastModifiedDateTime ge 2014-09-01T00:00:00Z",
        "flag/flagStatus eq 'Flagged'",
    ] {
        assert!(filter(text, &Aliases::default(), Model::Beta, Handling::Strict).is_ok(), "{text}");
    }
    let refused = order("length(surname)", &Aliases::default(), Model::Beta, Handling::Strict);
    assert!(matches!(refused, Err(Error::Invalid(problems)) if problems[0].kind == Kind::Filter));
    assert!(order("surname desc,title", &Aliases::default(), Model::Beta, Handling::Strict).is_ok());
}

#[test]
fn an_alias_stands_for_a_literal() {
    let aliases = Aliases(vec![("p".into(), "'O''Neil'".into()), ("bad".into(), "surname".into())]);
    let read = |text: &str| filter(text, &aliases, Model::Beta, Handling::Lenient);
    let plain = filter("surname eq 'O''Neil'", &Aliases::default(), Model::Beta, Handling::Lenient).unwrap();
    assert_eq!(read("surname eq @p").unwrap(), plain);
    assert_eq!(read("surname eq @P").unwrap(), plain);
    assert_eq!(read("surname eq @none").unwrap(), read("surname eq null").unwrap());
    assert!(read("surname eq @bad").unwrap_err().to_string().contains("not a literal"));
    assert!(read("birthday gt @p").is_err());
}

fn literal() -> impl Strategy<Value = Literal> {
    prop_oneof![
        Just(Literal::Null),
        any::<bool>().prop_map(Literal::Bool),
        "\\PC{0,8}".prop_map(Literal::Text),
        (-i64::MAX..i64::MAX).prop_map(Literal::Int),
        "-?[0-9]{1,12}\\.[0-9]{1,6}".prop_map(Literal::Decimal),
        "[a-z]\\.[a-z]".prop_flat_map(|name| "\\PC{0,4}".prop_map(move |text| Literal::Enum(name.clone(), text))),
        Just(Literal::Date("2024-02-29".into())),
        Just(Literal::DateTime("2024-02-29T10:00:00.5+05:30".into())),
        Just(Literal::Time("10:00:00.25".into())),
    ]
}

fn expr() -> impl Strategy<Value = Expr> {
    let expr_of = |node| Expr { at: 0, node };
    let names = || proptest::collection::vec("x[a-z]{0,3}", 1..3);
    let leaf = prop_oneof![
        literal().prop_map(ExprNode::Literal),
        "[a-z]{1,4}".prop_map(ExprNode::Alias),
        names().prop_map(ExprNode::Path),
        names().prop_map(ExprNode::Count),
        names().prop_map(|names| ExprNode::Any(names, None)),
    ];
    let leaf = leaf.prop_map(expr_of);
    leaf.prop_recursive(5, 40, 4, move |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        let many = |least| proptest::collection::vec(inner.clone(), least..4);
        let literals =
            proptest::collection::vec(literal().prop_map(move |literal| expr_of(ExprNode::Literal(literal))), 1..4);
        prop_oneof![
            boxed().prop_map(ExprNode::Not),
            boxed().prop_map(ExprNode::Negate),
            (proptest::sample::select(Binary::ALL.to_vec()), boxed(), boxed())
                .prop_map(|(op, left, right)| ExprNode::Binary(op, left, right)),
            many(2).prop_map(ExprNode::And),
            many(2).prop_map(ExprNode::Or),
            (boxed(), literals).prop_map(|(operand, values)| ExprNode::In(operand, values)),
            ("f[a-z]{0,3}", many(0)).prop_map(|(name, arguments)| ExprNode::Call(name, arguments)),
            (names(), boxed()).prop_map(|(names, body)| ExprNode::Any(names, Some(("v".into(), body)))),
            (names(), boxed()).prop_map(|(names, body)| ExprNode::All(names, "v".into(), body)),
        ]
        .prop_map(expr_of)
    })
}

proptest! {
    #[test]
    fn printed_expressions_parse_to_the_same_expression(expr in expr()) {
        let text = expr.to_string();
        prop_assert_eq!(parse::expression(&text).map_err(|fault| (fault, text.clone())), Ok(expr));
        prop_assert_eq!(printed(&text), text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(\\(|\\)|'|/|,|:|-|@|\\$it| |and|or|not|eq|in|any|all|surname|null|[0-9]{1,4}|\\PC){0,60}") {
        for handling in [Handling::Lenient, Handling::Strict] {
            let _ = filter(&text, &Aliases::default(), Model::Beta, handling);
            let _ = order(&text, &Aliases::default(), Model::V1, handling);
        }
    }
}
