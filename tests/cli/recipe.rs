//! Runs the recipe of the operations guide.

use super::{shop_not_found::files_in, *};

/// Returns the commands of the recipe in `docs/operations.md`, without their prompt.
fn recipe() -> Vec<String> {
    let document = include_str!("../../docs/operations.md");
    let (_, rest) = document.split_once("<!-- recipe: ").unwrap();
    let (recipe, _) = rest.split_once("<!-- end of recipe -->").unwrap();
    let lines = recipe.lines().filter_map(|line| line.strip_prefix("$ "));
    lines.map(str::to_owned).collect()
}

#[test]
fn the_recipe_of_the_operations_guide_uses_one_shop() {
    let here = tempfile::tempdir().unwrap();
    let data_dir = here.path().join("var/lib/shop");
    let bin = Path::new(env!("CARGO_BIN_EXE_shop")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    fs::write(here.path().join("k.jpg"), images::png()).unwrap();
    let mut exports = String::new();
    let (mut server, mut done) = (None, 0);
    for line in recipe() {
        let line = line
            .replace("/var/lib/shop", data_dir.to_str().unwrap())
            .replace("0.0.0.0:8080", "127.0.0.1:0");
        if line.starts_with("export ") {
            exports.push_str(&line);
            exports.push('\n');
            continue;
        }
        let mut command = Command::new("bash");
        command.args(["-euc", &format!("{exports}exec {line}")]);
        command.env("PATH", &path).current_dir(here.path());
        if line.starts_with("shop serve") {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            server = Some(Process::listening(command));
            continue;
        }
        let output = command.stdin(Stdio::null()).output().unwrap();
        let (out, err) = streams(&output);
        // Some commands name an order or a product that does not exist here.
        let is_example = ["01a2", "7K3M", "mallory"]
            .iter()
            .any(|name| line.contains(name));
        assert!(output.status.success() || is_example, "{line}: {out}{err}");
        assert!(!err.contains("shop not found"), "{line}: {err}");
        done += u32::from(output.status.success());
    }
    assert!(server.is_some() && done >= 8, "{done} commands");
    let shops: Vec<_> = files_in(here.path())
        .into_iter()
        .filter(|path| path.ends_with("shop.db"))
        .collect();
    assert_eq!(shops, [Path::new("var/lib/shop/shop.db")]);
}
