//! Checks that the tables in `docs/configuration.md` and the example file are what the declaration of the settings
//! says. `UPDATE_DOCS=1 cargo test settings` regenerates both.

use std::process::Command;

use shop::infra::config::{DefaultValue, SETTINGS, Setting, TRANSFER_URLS};

use crate::support::generated::{check, read};

const DOCUMENT: &str = "docs/configuration.md";
const EXAMPLE: &str = "packaging/shop.example.toml";

/// The length of a line in the example file, without `# `.
const WIDTH: usize = 118;

fn sections() -> Vec<&'static str> {
    let mut sections: Vec<_> = SETTINGS.iter().map(|setting| setting.section).collect();
    sections.dedup();
    sections
}

fn settings_of(section: &str) -> impl Iterator<Item = &'static Setting> {
    SETTINGS
        .iter()
        .filter(move |setting| setting.section == section)
}

fn table(section: &str) -> String {
    let head = "| setting | variable | default | meaning |\n|---|---|---|---|";
    let rows = settings_of(section).map(|setting| {
        let (name, variable) = (setting.name, setting.variable());
        let default = match setting.default {
            DefaultValue::Value("") => "none".to_owned(),
            DefaultValue::Value(text) => format!("`{text}`"),
            DefaultValue::Unset(text) => text.to_owned(),
        };
        let secret = if setting.is_secret { "*Secret.* " } else { "" };
        let help = setting.paragraphs().join(" ");
        format!("| `{name}` | `{variable}` | {default} | {secret}{help} |")
    });
    let lines: Vec<_> = std::iter::once(head.to_owned()).chain(rows).collect();
    lines.join("\n")
}

/// Returns the document with the table of every section replaced: what follows its heading up to an empty line.
fn with_tables(document: String) -> String {
    sections().into_iter().fold(document, |document, section| {
        let heading = format!("\n## {section}\n\n");
        let (before, after) = document
            .split_once(&heading)
            .unwrap_or_else(|| panic!("{DOCUMENT} has no section {section}"));
        let (_, after) = after.split_once("\n\n").unwrap();
        format!("{before}{heading}{}\n\n{after}", table(section))
    })
}

/// Breaks a text into lines of a comment.
fn comment(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().unwrap();
        if !line.is_empty() && line.len() + 1 + word.len() > WIDTH {
            lines.push(word.to_owned());
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    format!("# {}\n", lines.join("\n# "))
}

/// Returns the entry of a setting in the example file: its help, and the key with its default or an example.
fn entry(setting: &Setting) -> String {
    let mut help = setting.paragraphs();
    if setting.is_secret {
        help.push("A secret: make this file readable only for the shop's user.".to_owned());
    }
    match setting.default {
        DefaultValue::Unset("none") | DefaultValue::Value(_) => {}
        DefaultValue::Unset(text) => help.push(format!("Default: {text}.")),
    }
    if setting.example.is_some() {
        help.push("Example:".to_owned());
    }
    let value = match setting.example.or(setting.default_value()) {
        None | Some("") => "[]".to_owned(),
        Some(number) if number.bytes().all(|byte| byte.is_ascii_digit()) => number.to_owned(),
        Some(text) => format!("{text:?}"),
    };
    format!("{}#{} = {value}\n", comment(&help.join(" ")), setting.name)
}

#[test]
fn the_documented_tables_are_current() {
    check(DOCUMENT, &with_tables(read(DOCUMENT)), "settings");
}

#[test]
fn every_flag_is_documented() {
    let document = read(DOCUMENT);
    for flag in SETTINGS.iter().filter_map(|setting| setting.flag.as_ref()) {
        let name = format!("`--{}`", flag.name);
        assert!(document.contains(&name), "{name}");
    }
}

#[test]
fn the_help_of_a_flag_shows_its_variable_and_default() {
    for setting in SETTINGS.iter().chain(TRANSFER_URLS) {
        let Some(flag) = &setting.flag else {
            continue;
        };
        let command = flag.command.unwrap_or("verify");
        let output = Command::new(env!("CARGO_BIN_EXE_shop"))
            .args([command, "--help"])
            .output()
            .unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        let help: Vec<_> = help.split_whitespace().collect();
        let help = help.join(" ");
        let summary = setting.paragraphs()[0].replace('`', "");
        let summary = summary.trim_end_matches('.');
        let flag = format!("--{} <{}> {summary}", flag.name, flag.value_name);
        let (_, help) = help
            .split_once(&flag)
            .unwrap_or_else(|| panic!("{flag}: {help}"));
        let default = setting.default_value();
        let default = default.map_or_else(String::new, |text| format!(" [default: {text}]"));
        let expected = format!("[env: {}]{default} ", setting.variable());
        let (_, shown) = help.split_once("[env: ").unwrap();
        assert!(
            format!("[env: {shown}").starts_with(&expected),
            "{expected}: {help}"
        );
    }
}

#[test]
fn the_example_file_is_current() {
    let heading = |section: &str| format!("# --- {section} ---\n\n");
    let example = read(EXAMPLE);
    let (introduction, _) = example.split_once(&heading(sections()[0])).unwrap();
    let mut expected = introduction.to_owned();
    for section in sections() {
        let entries: Vec<_> = settings_of(section).map(entry).collect();
        expected.push_str(&heading(section));
        expected.push_str(&entries.join("\n"));
        expected.push('\n');
    }
    check(EXAMPLE, &format!("{}\n", expected.trim_end()), "settings");
}
