//! Backup places: a directory and a bucket.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::support::{Moto, program_on, sqlite_test};

/// Runs a command on a shop with these environment variables.
fn run_with(shop: &TestShop, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = program_on(shop.database.as_deref());
    command.args(arguments).arg("--data-dir");
    command.arg(shop.directory.path());
    command.envs(variables.iter().copied()).output().unwrap()
}

/// Returns the names of the backups, newest first.
fn list(shop: &TestShop, variables: &[(&str, &str)]) -> Vec<String> {
    let listed = run_with(shop, variables, &["backup", "list", "--json"]);
    succeeds(&listed);
    let listed: Vec<Value> = serde_json::from_slice(&listed.stdout).unwrap();
    let names = listed
        .iter()
        .map(|backup| backup["name"].as_str().unwrap().to_owned());
    names.collect()
}

storage_test! {
    async fn a_damaged_image_in_a_place_is_reported(shop: TestShop) {
        shop.fill().await;
        let place = tempfile::tempdir().unwrap();
        let url = place.path().to_str().unwrap();
        let variables = [("SHOP_BACKUP_URL", url)];
        succeeds(&run_with(&shop, &variables, &["backup"]));
        let images = place.path().join("images");
        let image = images.join(&entries(&images)[0]);
        fs::write(&image, flipped(fs::read(&image).unwrap())).unwrap();

        let directory = tempfile::tempdir().unwrap();
        let verified = run(directory.path(), &["backup", "verify", url]);
        let said = String::from_utf8_lossy(&verified.stderr).into_owned();
        assert_eq!(verified.status.code(), Some(1), "{said}");
        assert!(said.contains(image.to_str().unwrap()), "{said}");
        // The shop is restored without it.
        let said = succeeds(&run(directory.path(), &["restore", url]));
        assert!(said.contains(image.to_str().unwrap()) && said.contains("lacks 1 image"), "{said}");
        assert!(entries(&directory.path().join("images")).is_empty());

        fs::remove_file(&image).unwrap();
        succeeds(&run_with(&shop, &variables, &["backup"]));
        succeeds(&run(directory.path(), &["backup", "verify", url]));
    }

    async fn images_that_an_earlier_version_stored_are_restored(shop: TestShop) {
        shop.fill().await;
        let place = tempfile::tempdir().unwrap();
        let url = place.path().to_str().unwrap();
        let variables = [("SHOP_BACKUP_URL", url)];
        succeeds(&run_with(&shop, &variables, &["backup"]));
        let images = place.path().join("images");
        let name = entries(&images).remove(0);
        let (without_checksum, _) = name.rsplit_once('.').unwrap();
        fs::rename(images.join(&name), images.join(without_checksum)).unwrap();
        succeeds(&run_with(&shop, &variables, &["backup"]));
        assert_eq!(entries(&images), [without_checksum], "it is not stored again");
        let directory = tempfile::tempdir().unwrap();
        succeeds(&run(directory.path(), &["restore", url]));
        succeeds(&run(directory.path(), &["verify"]));
    }

    async fn backups_in_a_place_share_their_images(shop: TestShop) {
        shop.fill().await;
        let place = tempfile::tempdir().unwrap();
        let url = format!("file://{}", place.path().display());
        let variables = [("SHOP_BACKUP_URL", url.as_str())];
        succeeds(&run_with(&shop, &variables, &["backup"]));
        let images = entries(&place.path().join("images"));
        assert_eq!(images.len(), 1, "variants are not copied: {images:?}");
        shop.product("Mug", 500, 3).await;
        succeeds(&run_with(&shop, &variables, &["backup"]));
        assert_eq!(entries(&place.path().join("images")), images);

        let names = list(&shop, &variables);
        assert!(names.len() == 2 && names[0] > names[1], "{names:?}");
        let kept: BTreeSet<String> = entries(place.path()).into_iter().collect();
        let expected = names.iter().cloned().chain(["images".to_owned()]);
        assert_eq!(kept, expected.collect());

        // The newest of the place, and a certain one.
        let older = place.path().join(&names[1]);
        let products = "SELECT count(*) FROM products WHERE name = 'Mug'";
        for (source, mugs) in [(place.path(), 1), (&older, 0)] {
            let source = source.to_str().unwrap();
            let directory = tempfile::tempdir().unwrap();
            succeeds(&run(directory.path(), &["backup", "verify", source]));
            succeeds(&run(directory.path(), &["restore", source]));
            succeeds(&run(directory.path(), &["verify"]));
            assert_eq!(RawDb::open(directory.path(), None).number(products), mugs);
        }
    }

    async fn the_default_place_is_in_the_data_directory(shop: TestShop) {
        shop.fill().await;
        assert_eq!(list(&shop, &[]), [""; 0]);
        succeeds(&shop.run(&["backup"]));
        let names = list(&shop, &[]);
        assert_eq!(names.len(), 1);
        assert!(shop.directory.path().join("backups").join(&names[0]).is_file());
    }
}

sqlite_test! {
    async fn a_bucket_is_a_place(shop: TestShop) {
        let Some(moto) = Moto::start().await else {
            return;
        };
        shop.fill().await;
        let mut variables = moto.variables().to_vec();
        variables.push(("SHOP_BACKUP_URL", "s3://pictures/backups"));
        for _ in 0..2 {
            succeeds(&run_with(&shop, &variables, &["backup"]));
        }
        let names = list(&shop, &variables);
        assert_eq!(names.len(), 2);
        let objects = moto.names().await;
        assert_eq!(objects.len(), 3, "two backups and an image: {objects:?}");
        assert!(objects.iter().all(|name| name.starts_with("backups/")));
        for source in ["s3://pictures/backups", &format!("s3://pictures/backups/{}", names[1])] {
            let directory = tempfile::tempdir().unwrap();
            let mut command = program_on(None);
            command.args(["restore", source, "--data-dir"]).arg(directory.path());
            succeeds(&command.envs(variables.iter().copied()).output().unwrap());
            succeeds(&run(directory.path(), &["verify"]));
        }
    }

    async fn the_keys_of_a_bucket_can_be_in_files(shop: TestShop) {
        let Some(moto) = Moto::start().await else {
            return;
        };
        shop.fill().await;
        let files = tempfile::tempdir().unwrap();
        let mut variables = vec![("SHOP_BACKUP_URL".to_owned(), "s3://pictures/backups".to_owned())];
        for (name, value) in moto.variables() {
            if name.contains("KEY") {
                let file = files.path().join(name);
                fs::write(&file, format!("{value}\n")).unwrap();
                variables.push((format!("{name}_FILE"), file.to_str().unwrap().to_owned()));
            } else {
                variables.push((name.to_owned(), value.to_owned()));
            }
        }
        let variables: Vec<_> = variables.iter().map(|(name, value)| (&**name, &**value)).collect();
        succeeds(&run_with(&shop, &variables, &["backup"]));
        assert_eq!(list(&shop, &variables).len(), 1);

        fs::remove_file(files.path().join("AWS_SECRET_ACCESS_KEY")).unwrap();
        let refused = run_with(&shop, &variables, &["backup"]);
        let why = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{why}");
        assert!(why.contains("AWS_SECRET_ACCESS_KEY_FILE"), "{why}");
    }

    async fn an_invalid_place_is_a_configuration_error(shop: TestShop) {
        for url in ["ftp://example.com", "s3://", "file://relative"] {
            for arguments in [&["backup"][..], &["backup", "list"], &["serve"]] {
                let refused = run_with(&shop, &[("SHOP_BACKUP_URL", url)], arguments);
                let why = String::from_utf8_lossy(&refused.stderr).into_owned();
                assert_eq!(refused.status.code(), Some(2), "{url}: {arguments:?}: {why}");
                assert!(why.contains("s3://bucket/prefix"), "{why}");
            }
        }
    }
}
