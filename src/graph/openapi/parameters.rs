//! `components/parameters`: the parameters in paths, query strings and headers, with their limits.

use serde_json::{Map, Value, json};

use crate::domain::contact::MAX_FOLDER_ID;
use crate::domain::extension;
use crate::domain::user;
use crate::graph::idempotency::MAX_KEY;
use crate::odata::expand;
use crate::odata::filter::parse::MAX_LENGTH;
use crate::odata::page::{DEFAULT_SIZE, MAX_SIZE, MAX_TOKEN};
use crate::odata::search;

/// JSON with the metadata that OData names.
const JSON_NONE: &str = "application/json;odata.metadata=none";
const JSON_MINIMAL: &str = "application/json;odata.metadata=minimal";
const JSON_FULL: &str = "application/json;odata.metadata=full";

/// `*`, or a list of entity tags.
const TAGS: &str = "^(\\*|(W/)?\"[^\"]*\"(, *(W/)?\"[^\"]*\")*)$";

/// A reference to a parameter.
pub(super) fn parameter(key: &str) -> Value {
    json!({"$ref": format!("#/components/parameters/{key}")})
}

/// Adds a parameter: its key, its location, its name, its schema and its description.
fn add(all: &mut Map<String, Value>, key: &str, location: &str, name: &str, schema: Value, about: &str) {
    let mut parameter_json = json!({"name": name, "in": location, "description": about});
    parameter_json["schema"] = schema;
    if location == "path" {
        parameter_json["required"] = json!(true);
    }
    all.insert(key.to_owned(), parameter_json);
}

/// All parameters.
pub(super) fn all() -> Map<String, Value> {
    let mut all = Map::new();
    path_parameters(&mut all);
    list_options(&mut all);
    file_options(&mut all);
    headers(&mut all);
    all
}

fn path_parameters(all: &mut Map<String, Value>) {
    let id = || json!({"type": "string", "format": "uuid"});
    let text = |longest: usize| json!({"type": "string", "minLength": 1, "maxLength": longest});
    add(all, "user", "path", "user", text(user::MAX_NAME), "Id or principal name of a user.");
    add(
        all,
        "folder",
        "path",
        "folder",
        text(MAX_FOLDER_ID),
        "Id of a folder, case-sensitive. `contacts` is the default folder.",
    );
    add(all, "contactId", "path", "id", id(), "Id of a contact: a UUID in lower case.");
    add(all, "categoryId", "path", "id", id(), "Id of a category: a UUID in lower case.");
    add(all, "subscriptionId", "path", "id", id(), "Id of a subscription.");
    add(all, "permissionId", "path", "id", text(user::MAX_NAME), "Id of the user with whom the mailbox is shared.");
    let name = text(extension::MAX_NAME + "Microsoft.OutlookServices.OpenTypeExtension.".len());
    add(all, "extension", "path", "extension", name, "Name or id of an extension.");
}

/// The options of OData.
fn list_options(all: &mut Map<String, Value>) {
    let text = |longest: usize| json!({"type": "string", "maxLength": longest});
    let mut option =
        |name: &str, schema: Value, about: &str| add(all, name, "query", &format!("${name}"), schema, about);
    option(
        "top",
        json!({"type": "integer", "minimum": 1, "default": DEFAULT_SIZE}),
        &format!("Size of a page. A greater number than {MAX_SIZE} means {MAX_SIZE}."),
    );
    option("skip", json!({"type": "integer", "minimum": 0}), "Number of entries to skip at the start.");
    option("filter", text(MAX_LENGTH), "A condition in OData's syntax: `surname eq 'Lee'`.");
    option("orderby", text(MAX_LENGTH), "Up to 8 expressions with asc or desc: `displayName desc`.");
    option("search", text(search::MAX_BYTES), "Words to find: `ann smith`.");
    option(
        "select",
        json!({"type": "string"}),
        "Names of properties, at most 200, or paths to their members: `displayName,surname`.",
    );
    option(
        "expand",
        text(expand::MAX_TEXT),
        "Related resources to include: `extensions`, `childFolders($select=displayName)`.",
    );
    option("count", json!({"type": "boolean"}), "Whether to show the number of entries on all pages.");
    option("skiptoken", text(MAX_TOKEN), "Where a page begins. It comes in @odata.nextLink only.");
    option("deltatoken", text(MAX_TOKEN), "Returns the changes since this state: from @odata.deltaLink, or `latest`.");
    let forms = ["json", "application/json", JSON_NONE, JSON_MINIMAL, JSON_FULL];
    let about =
        "The format of the response, as in Accept; OData's other parameters of the media type are accepted too.";
    option("format", json!({"type": "string", "enum": forms}), about);
    add(
        all,
        "formatXml",
        "query",
        "$format",
        json!({"type": "string", "enum": ["xml", "application/xml"]}),
        "The format.",
    );
}

/// The options of imports and exports.
fn file_options(all: &mut Map<String, Value>) {
    let choice = |values: &[&str]| json!({"type": "string", "enum": values});
    let formats = crate::formats::detect::FileFormat::NAMES.iter().map(|(_, names)| names[0]).collect::<Vec<_>>();
    add(all, "importFormat", "query", "format", choice(&formats), "The format of the file, if it cannot be detected.");
    add(all, "dateOrder", "query", "dateOrder", choice(&["dmy", "mdy"]), "The order of day and month in CSV.");
    let map = json!({"type": "string", "examples": ["Surname=surname,Cell=phone/mobile"]});
    add(all, "map", "query", "map", map, "The properties of columns.");
    add(all, "match", "query", "match", choice(&["email"]), "Also find existing contacts by their e-mail address.");
    add(all, "dryRun", "query", "dryRun", json!({"type": "boolean"}), "Whether to only report, and write nothing.");
    let formats = crate::transfer::encode::ExportFormat::ALL.map(crate::transfer::encode::ExportFormat::name);
    add(
        all,
        "exportFormat",
        "query",
        "format",
        choice(&formats),
        "The format of the file; by default, Accept selects it.",
    );
    add(all, "photos", "query", "photos", choice(&["none", "small", "all"]), "The photos that the file contains.");
    let guard = "Whether cells that a spreadsheet would run get an apostrophe in front.";
    add(all, "guard", "query", "guard", json!({"type": "boolean", "default": true}), guard);
    let aside = "Whether data that was kept aside from imported files is written too.";
    add(all, "aside", "query", "aside", json!({"type": "boolean", "default": false}), aside);
}

fn headers(all: &mut Map<String, Value>) {
    let text = || json!({"type": "string"});
    let tags = || json!({"type": "string", "pattern": TAGS});
    let mut header = |name: &str, schema: Value, about: &str| add(all, name, "header", name, schema, about);
    header("client-request-id", text(), "Returned in the response, if it has at most 128 characters.");
    let prefer = "`handling=strict` or `lenient`, `return=minimal` or `representation`, `odata.maxpagesize=N`, \
                  `IdType=\"ImmutableId\"` (RFC 7240).";
    header("Prefer", text(), prefer);
    header("If-Match", tags(), "`*` or versions: the write succeeds only on one of these, else 412.");
    header("If-None-Match", tags(), "`*` or versions: the response is 304 if the current version is one of these.");
    let key = json!({"type": "string", "minLength": 1, "maxLength": MAX_KEY, "pattern": "^[!-~]+$"});
    header(
        "Idempotency-Key",
        key,
        "A key for safe retries: for 24 hours, the same request with the same key creates nothing again.",
    );
    let position = json!({"type": "integer", "format": "int64", "minimum": 0});
    header("Contactd-Position", position, "From an earlier answer: what is read is not older than that.");
}
