//! The guides in `docs/` show only commands that exist.

use super::*;

/// Returns the part of an example that runs the program, or `None` if it runs another one.
fn shop_command(example: &str) -> Option<&str> {
    let marks = [" > ", " | ", " #"].map(|mark| example.find(mark));
    let end = marks.into_iter().flatten().min().unwrap_or(example.len());
    let mut command = example[..end].trim();
    for prefix in [
        "sudo -u shop ",
        "sudo ",
        "docker exec shop ",
        "target/dist/",
    ] {
        command = command.strip_prefix(prefix).unwrap_or(command);
    }
    command.starts_with("shop ").then_some(command)
}

#[test]
fn commands_in_the_guides_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let bin = Path::new(env!("CARGO_BIN_EXE_shop")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let here = tempfile::tempdir().unwrap();
    let entries = fs::read_dir(root.join("docs")).unwrap();
    let guides = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let mut commands = 0;
    for document in guides {
        let text = fs::read_to_string(&document).unwrap();
        let text = text.replace("\\\n", " ");
        let examples = text.lines().filter_map(|line| line.strip_prefix("$ "));
        for command in examples.filter_map(shop_command) {
            // The program parses the arguments in order, so the ones before `--help` must be valid.
            let output = Command::new("bash")
                .args(["-euc", &format!("{command} --help")])
                .env("PATH", &path)
                .current_dir(here.path())
                .stdin(Stdio::null())
                .output()
                .unwrap();
            let (_, error) = streams(&output);
            assert!(
                output.status.success(),
                "{}: {command}: {error}",
                document.display()
            );
            commands += 1;
        }
    }
    assert!(commands >= 30, "{commands} commands");
}
