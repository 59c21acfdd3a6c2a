//! The sources of settings, and what is reloaded while the server runs.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::program::{Place, Program, contactd, fails};
use crate::receiver::until;

const STOP: Duration = Duration::from_mins(1);

/// The output of `--print-config`: the value and the origin of each setting.
fn printed(mut command: Command) -> BTreeMap<String, (String, String)> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter_map(|line| line.split_once(" = "));
    let settings = lines.map(|(name, rest)| (name, rest.rsplit_once(" # ").unwrap()));
    settings.map(|(name, (value, origin))| (name.to_owned(), (value.to_owned(), origin.to_owned()))).collect()
}

/// A value for a flag that differs between layers, by the name of the value in the help.
fn value(layer: i32, name: &str) -> String {
    match name {
        "handling" => ["lenient", "strict", "strict"][usize::try_from(layer).unwrap()].to_owned(),
        "wal_checkpoint" => ["auto", "off", "auto"][usize::try_from(layer).unwrap()].to_owned(),
        "throttle" => ["off", "graph", "graph"][usize::try_from(layer).unwrap()].to_owned(),
        "log_format" => ["auto", "text", "json"][usize::try_from(layer).unwrap()].to_owned(),
        "log_level" => ["warn", "error", "debug"][usize::try_from(layer).unwrap()].to_owned(),
        "log_requests" => ["all", "errors", "none"][usize::try_from(layer).unwrap()].to_owned(),
        "slow_query" => format!("{}ms", 60 + layer),
        "log_addresses" => ["on", "off", "off"][usize::try_from(layer).unwrap()].to_owned(),
        "phone_region" => ["DE", "FR", "US"][usize::try_from(layer).unwrap()].to_owned(),
        name if name.starts_with("keep_") && name != "keep_alive" => format!("{}d", 40 + layer),
        "listen" | "metrics_listen" => format!("127.0.0.1:{}", 8100 + layer),
        "cors_origin" | "public_url" | "oidc_issuer" => format!("https://layer{layer}.example"),
        "database_read" => format!("postgres://layer{layer}.example:5432/x"),
        "allow_notification_target" => format!("layer{layer}.example"),
        name if name.starts_with("max_") || name.starts_with("rate_") || name.ends_with("_timeout") => {
            (60 + layer).to_string()
        }
        "database_connections" | "batch_limit" | "keep_alive" | "drain_delay" | "deterministic" => {
            (60 + layer).to_string()
        }
        _ => format!("layer{layer}"),
    }
}

#[test]
fn a_setting_comes_from_its_flag_then_variable_then_file_then_default() {
    let place = Place::new();
    let defaults = printed(contactd(&["serve", "--print-config"]));
    assert_eq!(defaults["max_folders"], ("1000".to_owned(), "default".to_owned()));
    let help = String::from_utf8(contactd(&["serve", "--help"]).output().unwrap().stdout).unwrap();
    let flags = help.lines().filter_map(|line| line.trim_start().strip_prefix("--"));
    let names: Vec<_> = flags
        .map(|line| (line.split(' ').next().unwrap().replace('-', "_"), line.contains('<')))
        .filter(|(name, _)| !["help", "config", "print_config"].contains(&name.as_str()))
        .collect();
    assert!(names.len() > 40, "{names:?}");
    let lines = names.iter().map(|(name, takes_value)| match takes_value {
        true => format!("{name} = \"{}\"", value(0, name)),
        false => format!("{name} = true"),
    });
    let file = place.file("contactd.toml");
    fs::write(&file, lines.collect::<Vec<_>>().join("\n")).unwrap();
    let serve = ["serve", "--config", file.to_str().unwrap(), "--print-config"];
    let of_file = printed(contactd(&serve));
    let mut with_variables = contactd(&serve);
    for (name, takes_value) in &names {
        let text = if *takes_value { value(1, name) } else { "false".to_owned() };
        with_variables.env(format!("CONTACTD_{}", name.to_uppercase()), text);
    }
    let mut with_flags = contactd(&serve);
    for (name, takes_value) in &names {
        with_flags.env(
            format!("CONTACTD_{}", name.to_uppercase()),
            if *takes_value { value(1, name) } else { String::new() },
        );
        with_flags.arg(format!("--{}", name.replace('_', "-")));
        if *takes_value {
            with_flags.arg(value(2, name));
        }
    }
    let (of_variables, of_flags) = (printed(with_variables), printed(with_flags));
    for (i, (name, takes_value)) in names.iter().enumerate() {
        let (in_file, file_origin) = &of_file[name];
        assert_eq!(file_origin, &format!("file {}:{}", file.display(), i + 1), "{name}");
        let (in_variable, origin) = &of_variables[name];
        assert_eq!(origin, &format!("variable CONTACTD_{}", name.to_uppercase()), "{name}");
        let (in_flag, origin) = &of_flags[name];
        assert_eq!(origin, "flag", "{name}");
        let expected = if *takes_value {
            [value(0, name), value(1, name), value(2, name)]
        } else {
            ["true", "false", "true"].map(str::to_owned)
        };
        for (told, expected) in [in_file, in_variable, in_flag].into_iter().zip(&expected) {
            assert_eq!(told.trim_matches('"'), expected, "{name}");
        }
    }
}

#[test]
fn a_file_that_cannot_be_used_is_refused_with_its_line_and_the_nearest_name() {
    let place = Place::new();
    let file = place.file("contactd.toml");
    let shown = file.display().to_string();
    for (text, why) in [
        ("# x\nmax_folder = 1\n", format!("{shown}:2: unknown setting 'max_folder'; did you mean 'max_folders'?")),
        ("nonsense = 1\n", format!("{shown}:1: unknown setting 'nonsense'")),
        ("\nmax_folders = 0\n", format!("{shown}:2: invalid value '0' for '--max-folders <N>'")),
        ("handling = \"rough\"\n", format!("{shown}:1: invalid value 'rough' for '--handling")),
        ("listen = 1.5\n", format!("{shown}:1: listen: expected a string, an integer")),
        ("listen = \"a\"\nlisten =", format!("{shown}:2: ")),
        ("config = \"x\"\n", format!("{shown}:1: unknown setting 'config'")),
    ] {
        fs::write(&file, text).unwrap();
        let (status, message) = fails(contactd(&["serve", "--config", &shown]));
        assert!(status == 2 && message.starts_with(&format!("contactd: {why}")), "{text}: {status} {message}");
    }
    let (status, message) = fails(contactd(&["serve", "--config", "/nonexistent/x.toml"]));
    assert!(status == 2 && message.starts_with("contactd: /nonexistent/x.toml: "), "{message}");
}

#[test]
fn a_secret_can_be_in_a_file_that_a_variable_names_and_is_never_shown() {
    let place = Place::new();
    let secret = place.file("url");
    fs::write(&secret, "postgres://ann:hunter2@db.example/book\n").unwrap();
    let with = |name: &str, value: &str| {
        let mut command = contactd(&["serve", "--print-config"]);
        command.env(name, value);
        command
    };
    let settings = printed(with("CONTACTD_DATABASE_FILE", secret.to_str().unwrap()));
    let expected = ("\"postgres://db.example:5432/book\"".to_owned(), "variable CONTACTD_DATABASE_FILE".to_owned());
    assert_eq!(settings["database"], expected);
    let mut command = with("CONTACTD_DATABASE_FILE", secret.to_str().unwrap());
    command.env("CONTACTD_DATABASE", "x.db");
    let refused = "contactd: CONTACTD_DATABASE and CONTACTD_DATABASE_FILE are both set: remove one\n";
    assert_eq!(fails(command), (2, refused.to_owned()));
    let (status, why) = fails(with("CONTACTD_DATABASE_FILE", "/nonexistent/x"));
    assert!(status == 2 && why.starts_with("contactd: CONTACTD_DATABASE_FILE: /nonexistent/x: "), "{why}");
    let mut tokens = contactd(&["serve", "--listen", "127.0.0.1:0", "--database", ":memory:"]);
    tokens.env("CONTACTD_TOKENS", "ann=x").env("CONTACTD_TOKENS_FILE", &secret);
    let refused = "contactd: CONTACTD_TOKENS and CONTACTD_TOKENS_FILE are both set: remove one\n";
    assert_eq!(fails(tokens), (1, refused.to_owned()));
}

/// The status of a request with this token.
fn status(server: &Program, token: &str) -> u16 {
    server.user(token).get("/me").status
}

#[test]
fn sighup_reloads_the_tokens_and_the_log_level() {
    let place = Place::new();
    let (file, tokens) = (place.file("contactd.toml"), place.file("tokens"));
    fs::write(&tokens, "ann=first\n").unwrap();
    let settings =
        |level: &str| fs::write(&file, format!("token_file = {tokens:?}\nlog_level = \"{level}\"\n")).unwrap();
    settings("info");
    let database = place.database();
    let serve = ["serve", "--config", file.to_str().unwrap(), "--listen", "127.0.0.1:0", "--log-format", "json"];
    let mut server = Program::start(contactd(&[&serve[..], &["--database", database.to_str().unwrap()]].concat()));
    assert_eq!((status(&server, "first"), status(&server, "second")), (200, 401));
    fs::write(&tokens, "ann=second\nbob=third\n").unwrap();
    settings("debug");
    server.signal("HUP");
    until(|| status(&server, "second") == 200);
    assert_eq!((status(&server, "first"), status(&server, "third")), (401, 200));
    until(|| server.log().contains("read again"));
    server.user("").get("/healthz");
    until(|| server.log().contains("\"DEBUG\""));
    // A file that cannot be read changes nothing.
    fs::write(&tokens, "no secret\n").unwrap();
    server.signal("HUP");
    until(|| server.log().contains("the tokens stay as they were"));
    fs::write(&file, "nonsense = 1\n").unwrap();
    server.signal("HUP");
    until(|| server.log().contains("the settings stay as they were"));
    assert_eq!(status(&server, "second"), 200);
    server.signal("TERM");
    assert_eq!(server.ended(STOP).code(), Some(0));
}

#[test]
fn systemd_gets_ready_watchdog_and_stopping_messages_and_passes_credentials() {
    let place = Place::new();
    let socket = UnixDatagram::bind(place.file("notify")).unwrap();
    socket.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    fs::create_dir(place.file("credentials")).unwrap();
    let tokens = place.file("credentials/tokens");
    fs::write(&tokens, "ann=secret\n").unwrap();
    fs::set_permissions(&tokens, fs::Permissions::from_mode(0o600)).unwrap();
    let database = place.database();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--log-format", "text", "--database", database.to_str().unwrap()];
    let mut command = journalled(&serve);
    command.env("NOTIFY_SOCKET", place.file("notify")).env("WATCHDOG_USEC", "300000");
    command.env("CREDENTIALS_DIRECTORY", place.file("credentials"));
    let mut server = Program::start(command);
    let wait_for_message = |wanted: &str| {
        let mut bytes = [0; 512];
        loop {
            let read = socket.recv(&mut bytes).unwrap();
            if std::str::from_utf8(&bytes[..read]).unwrap().lines().any(|line| line == wanted) {
                return;
            }
        }
    };
    wait_for_message("READY=1");
    wait_for_message("WATCHDOG=1");
    assert_eq!((status(&server, "secret"), status(&server, "other")), (200, 401));
    server.signal("TERM");
    wait_for_message("STOPPING=1");
    assert_eq!(server.ended(STOP).code(), Some(0));
    // Each line of the log has a priority.
    let log = server.log();
    let lines: Vec<_> = log.lines().filter(|line| !line.starts_with("contactd listening on ")).collect();
    assert!(lines.iter().all(|line| line.starts_with("<6>") || line.starts_with("<4>")), "{log}");
    // The reason of a failed start has one too.
    let (status, message) = fails(journalled(&["serve", "--database", "/nonexistent/x.db", "--listen", "127.0.0.1:0"]));
    assert!(status == 1 && message.lines().last().unwrap().starts_with("<3>contactd: /nonexistent/"), "{message}");
    // If standard error was redirected, nothing reads priorities.
    let mut elsewhere = contactd(&["serve", "--database", "/nonexistent/x.db", "--listen", "127.0.0.1:0"]);
    elsewhere.env("JOURNAL_STREAM", "8:1");
    assert!(fails(elsewhere).1.starts_with("contactd: /nonexistent/"));
}

/// The program as a service whose standard error is the journal.
fn journalled(arguments: &[&str]) -> Command {
    let program = contactd(arguments);
    let mut command = Command::new("sh");
    command.args(["-c", "JOURNAL_STREAM=$(stat -L -c %d:%i /dev/stderr) exec \"$0\" \"$@\""]);
    command.arg(program.get_program()).args(program.get_args());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in program.get_envs() {
        command.env_remove(name);
    }
    command
}

#[test]
fn a_readable_secrets_file_causes_a_warning_and_a_failed_start_prints_one_line() {
    let place = Place::new();
    let tokens = place.file("tokens");
    fs::write(&tokens, "ann=secret\n").unwrap();
    let database = place.database();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--database", database.to_str().unwrap(), "--token-file"];
    let command = || contactd(&[&serve[..], &[tokens.to_str().unwrap()]].concat());
    for (mode, warned) in [(0o600, false), (0o644, true)] {
        fs::set_permissions(&tokens, fs::Permissions::from_mode(mode)).unwrap();
        let mut server = Program::start(command());
        server.signal("TERM");
        server.ended(STOP);
        assert_eq!(server.log().contains("other users of this machine may read this file"), warned, "{}", server.log());
    }
    fs::write(&tokens, "no secret\n").unwrap();
    let (status, message) = fails(command());
    assert!(
        status == 1 && message.starts_with("contactd: token 1: no '='") && message.lines().count() == 1,
        "{message}"
    );
}

#[test]
fn the_manual_has_a_page_for_each_command_and_each_shell_loads_its_completions() {
    let place = Place::new();
    let output = contactd(&["man", "--dir", place.file("man").to_str().unwrap()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for page in ["contactd", "contactd-serve", "contactd-token", "contactd-token-create", "contactd-check"] {
        let text = fs::read_to_string(place.file("man").join(format!("{page}.1"))).unwrap();
        assert!(text.contains(".SH \"EXIT STATUS\"") || text.contains(".SH EXIT STATUS"), "{page}: {text}");
    }
    let first = String::from_utf8(contactd(&["man"]).output().unwrap().stdout).unwrap();
    for title in ["ENVIRONMENT", "FILES", "EXAMPLES"] {
        assert!(first.contains(&format!(".SH {title}")), "{first}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = contactd(&["completions", shell]).output().unwrap().stdout;
        assert!(String::from_utf8(text).unwrap().contains("metrics-listen"), "{shell}");
    }
    let program = Path::new(env!("CARGO_BIN_EXE_contactd"));
    let script = format!("source <('{}' completions bash) && complete -p contactd", program.display());
    let loaded = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert!(loaded.status.success() && loaded.stderr.is_empty(), "{}", String::from_utf8_lossy(&loaded.stderr));
    let version = String::from_utf8(contactd(&["--version", "--verbose"]).output().unwrap().stdout).unwrap();
    let lines: Vec<_> = version.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(lines, ["contactd", "schema", "revision"]);
}
