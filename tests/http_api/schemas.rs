//! The shop accepts what the schemas allow. Values are generated from the schema of each request, so a rule
//! that the code enforces but the schema omits fails a test.

use http::Method;
use proptest::{
    prelude::*,
    strategy::{BoxedStrategy, Union, ValueTree},
    string::string_regex,
    test_runner::TestRunner,
};
use serde_json::{Map, Value, json};

use crate::support::{Client, Form, Operation, TestResponse, TestShop, operations, storage_test};

/// The number of values for each schema.
const VALUES: usize = 40;

/// The maximum number of items beyond the minimum in a generated list.
const MAX_ITEMS: usize = 200;

/// The reasons for which a value that matches its schema may be rejected: the operation, the problem's code,
/// and the field's code if the problem names fields.
const REASONS: [(&str, &str, &str); 30] = [
    ("verifyEmail", "invalid-token", ""),
    ("resetPassword", "invalid-token", ""),
    ("verifyPhone", "invalid-code", ""),
    ("changePassword", "validation-failed", "wrong"),
    ("createGuestCart", "validation-failed", "unknown-currency"),
    ("createCollection", "validation-failed", "unknown-product"),
    ("createCollection", "validation-failed", "duplicate"),
    ("updateCollection", "validation-failed", "unknown-product"),
    ("updateCollection", "validation-failed", "duplicate"),
    ("createProduct", "validation-failed", "unknown-category"),
    ("createProduct", "validation-failed", "unknown-image"),
    // Options that the schema does not relate to their names and values.
    ("createProduct", "validation-failed", "duplicate"),
    ("createProduct", "validation-failed", "required"),
    ("createVariant", "validation-failed", "unknown-image"),
    ("createVariant", "validation-failed", "required"),
    ("updateVariant", "validation-failed", "required"),
    ("setProductOptions", "validation-failed", "duplicate"),
    ("setProductOptions", "validation-failed", "required"),
    ("setProductOptions", "validation-failed", "unknown-option"),
    (
        "setProductOptions",
        "validation-failed",
        "unknown-option-value",
    ),
    ("updateProduct", "validation-failed", "unknown-category"),
    ("updateProduct", "precondition-required", ""),
    ("updateVariant", "precondition-required", ""),
    ("updateVariant", "validation-failed", "unknown-image"),
    ("changeProductStock", "validation-failed", "out-of-range"),
    ("addProductImages", "unsupported-media-type", ""),
    // Parameters and fields that exclude each other.
    ("addToCart", "validation-failed", "required"),
    ("addToCart", "validation-failed", "mutually-exclusive"),
    ("listProducts", "invalid-query", ""),
    ("followInventory", "invalid-header", ""),
];

/// Generates values of one document's schemas.
struct Generator {
    document: Value,
    runner: TestRunner,
}

impl Generator {
    fn new() -> Generator {
        Generator {
            document: shop::server::document(),
            runner: TestRunner::deterministic(),
        }
    }

    fn values(&mut self, schema: &Value) -> Vec<Value> {
        let strategy = self.strategy(schema);
        let value = |_| strategy.new_tree(&mut self.runner).unwrap().current();
        (0..VALUES).map(value).collect()
    }

    /// A body of JSON for an operation; none where it takes none.
    fn body_of(&mut self, operation: &Operation) -> Value {
        let content = &operation.text["requestBody"]["content"]["application/json"];
        match content.get("schema") {
            Some(schema) => self.values(&schema.clone()).remove(0),
            None => Value::Null,
        }
    }

    /// The fields of an operation's JSON body, and whether each may be `null`.
    fn fields_of(&self, operation: &Operation) -> Vec<(String, bool)> {
        let content = &operation.text["requestBody"]["content"]["application/json"];
        let Some(reference) = content["schema"]["$ref"].as_str() else {
            return Vec::new();
        };
        let target = |reference: &str| self.document.pointer(&reference[1..]).unwrap();
        // Of several schemas, the first has the fields that are common.
        let schema = match target(reference) {
            schema if schema["oneOf"].is_array() => {
                target(schema["oneOf"][0]["$ref"].as_str().unwrap())
            }
            schema => schema,
        };
        let is_null = |kind: &Value| kind == "null" || kind["type"] == "null";
        let may_be_null = |schema: &Value| {
            let kinds = schema["type"].as_array().or(schema["oneOf"].as_array());
            kinds.is_some_and(|kinds| kinds.iter().any(is_null))
        };
        let fields = schema["properties"].as_object().into_iter().flatten();
        fields
            .map(|(name, schema)| (name.clone(), may_be_null(schema)))
            .collect()
    }

    fn strategy(&self, schema: &Value) -> BoxedStrategy<Value> {
        if let Some(reference) = schema["$ref"].as_str() {
            let target = reference.strip_prefix('#').unwrap();
            return self.strategy(self.document.pointer(target).unwrap());
        }
        if let Some(either) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
            return Union::new(either.iter().map(|it| self.strategy(it))).boxed();
        }
        if let Some(values) = schema["enum"].as_array() {
            return prop::sample::select(values.clone()).boxed();
        }
        if let Some(kinds) = schema["type"].as_array() {
            let of_kind = |kind: &Value| {
                let mut schema = schema.clone();
                schema["type"] = kind.clone();
                self.strategy(&schema)
            };
            return Union::new(kinds.iter().map(of_kind)).boxed();
        }
        match schema["type"].as_str().unwrap() {
            "null" => Just(Value::Null).boxed(),
            "boolean" => any::<bool>().prop_map(Value::from).boxed(),
            "integer" => integer(schema),
            "string" => text(schema).prop_map(Value::from).boxed(),
            "array" => {
                let bound = |name: &str| usize::try_from(schema[name].as_u64().unwrap()).unwrap();
                let (min, max) = (bound("minItems"), bound("maxItems"));
                let max = max.min(min + MAX_ITEMS);
                let items = prop::collection::vec(self.strategy(&schema["items"]), min..=max);
                items.prop_map(Value::from).boxed()
            }
            "object" => self.object(schema),
            other => panic!("a schema of type {other}: {schema}"),
        }
    }

    fn object(&self, schema: &Value) -> BoxedStrategy<Value> {
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let mut object = Just(Map::new()).boxed();
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            let (name, value) = (name.clone(), self.strategy(schema));
            let is_required = required.contains(&json!(name));
            object = (object, value, any::<bool>())
                .prop_map(move |(mut object, value, is_sent)| {
                    if is_required || is_sent {
                        object.insert(name.clone(), value);
                    }
                    object
                })
                .boxed();
        }
        object.prop_map(Value::Object).boxed()
    }
}

/// Generates integers, often the bounds.
fn integer(schema: &Value) -> BoxedStrategy<Value> {
    let bound = |name: &str, otherwise| schema[name].as_i64().unwrap_or(otherwise);
    let (min, max) = (bound("minimum", i64::MIN), bound("maximum", i64::MAX));
    prop_oneof![
        Just(json!(min)),
        Just(json!(max)),
        (min..=max).prop_map(Value::from),
    ]
    .boxed()
}

fn text(schema: &Value) -> BoxedStrategy<String> {
    let length = |name: &str, otherwise| {
        let length = schema[name].as_u64();
        length.map_or(otherwise, |length| usize::try_from(length).unwrap())
    };
    let (min, max) = (length("minLength", 0), length("maxLength", 64));
    let pattern = match schema["format"].as_str() {
        Some("idn-email") => {
            r"[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,16}(\.[A-Z]{1,8})?@[a-zäß0-9]{1,20}(\.[a-z]{2,9}){1,3}"
        }
        // The length counts after Unicode normalisation, which does not change ASCII.
        Some("password") => &format!("[ -~]{{{min},{max}}}"),
        Some("date-time") => {
            r"[12][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,12})?(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])"
        }
        Some("binary") => "[ -~]{0,64}",
        Some("uuid") | None => schema["pattern"].as_str().unwrap_or("(?s:.){0,64}"),
        Some(other) => panic!("unknown format {other}"),
    };
    let pattern = pattern.strip_prefix('^').unwrap_or(pattern);
    let pattern = pattern.strip_suffix('$').unwrap_or(pattern);
    let fits = move |text: &String| (min..=max).contains(&text.chars().count());
    let texts = string_regex(pattern).unwrap().prop_filter("length", fits);
    if schema["format"].is_string() || schema["maxLength"].is_null() {
        return texts.boxed();
    }
    let edges = [min, max].map(|length| "x".repeat(length));
    prop_oneof![texts, prop::sample::select(edges.to_vec())].boxed()
}

/// Asserts that the value was accepted, or rejected for a reason that a schema cannot express.
#[track_caller]
fn is_accepted(operation: &Operation, answer: &TestResponse, value: &Value) {
    if ![400, 412, 413, 415, 422, 428].contains(&answer.status) && answer.status < 500 {
        return;
    }
    let id = operation.text["operationId"].as_str().unwrap();
    let problem = answer.json();
    let fields = problem["errors"].as_array().cloned().unwrap_or_default();
    let is_reason = |field: &str| REASONS.contains(&(id, problem["code"].as_str().unwrap(), field));
    let is_expected = if fields.is_empty() {
        is_reason("")
    } else {
        fields
            .iter()
            .all(|it| is_reason(it["code"].as_str().unwrap()))
    };
    assert!(is_expected, "{id} rejects {value}: {problem}");
}

/// Returns the path of an operation, with the id of an existing product for its placeholder.
async fn path_of(shop: &TestShop, operation: &Operation) -> String {
    if operation.path.contains("/products/{id}") {
        return operation.path_of(&shop.product("Kettle", 2_000, 9).await);
    }
    operation.path_of(super::NO_ID)
}

async fn send_json(
    client: &Client<'_>,
    operation: &Operation,
    path: &str,
    value: &Value,
) -> TestResponse {
    client
        .call(operation.method.clone(), path, &[], value.clone())
        .await
}

async fn send_form(
    client: &Client<'_>,
    operation: &Operation,
    path: &str,
    value: &Value,
) -> TestResponse {
    let mut form = Form::default();
    for (name, value) in value.as_object().unwrap() {
        form = match value {
            Value::Array(files) => files.iter().fold(form, |form, file| {
                form.image(file.as_str().unwrap().as_bytes())
            }),
            Value::String(text) => form.text(name, text),
            other => form.text(name, &other.to_string()),
        };
    }
    client
        .upload(operation.method.clone(), path, &[], form)
        .await
}

storage_test! {
    async fn bodies_that_match_their_schemas_are_accepted(shop: TestShop) {
        let admin = shop.admin().await;
        let mut generator = Generator::new();
        let mut schemas = 0;
        for operation in operations() {
            let path = path_of(&shop, &operation).await;
            let content = operation.text["requestBody"]["content"].as_object();
            for (kind, content) in content.into_iter().flatten() {
                if operation.path.ends_with("/webhook") || kind == "text/csv" {
                    continue;
                }
                schemas += 1;
                for value in generator.values(&content["schema"]) {
                    let is_form = kind == "multipart/form-data";
                    let answer = if is_form {
                        // This tests only the fields; images have their own tests.
                        let mut fields = value.clone();
                        if operation.text["operationId"] != "addProductImages" {
                            fields.as_object_mut().unwrap().remove("images");
                        }
                        send_form(&admin, &operation, &path, &fields).await
                    } else {
                        send_json(&admin, &operation, &path, &value).await
                    };
                    is_accepted(&operation, &answer, &value);
                }
            }
        }
        assert!(schemas >= 22, "{schemas}");
    }

    async fn parameters_that_match_their_schemas_are_accepted(shop: TestShop) {
        let admin = shop.admin().await;
        let mut generator = Generator::new();
        let mut parameters = 0;
        for operation in operations().into_iter().filter(|operation| !operation.is_stream()) {
            let path = path_of(&shop, &operation).await;
            for parameter in operation.text["parameters"].as_array().into_iter().flatten() {
                let name = parameter["name"].as_str().unwrap();
                // Opaque values from earlier responses, and signatures.
                if ["cursor", "X-Razorpay-Signature", "X-Razorpay-Event-Id"].contains(&name)
                    || name.starts_with("If-")
                {
                    continue;
                }
                parameters += 1;
                for value in generator.values(&parameter["schema"]) {
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    let (path, header) = match parameter["in"].as_str().unwrap() {
                        "path" => (operation.path_of(&text), None),
                        "query" => {
                            let query = form_urlencoded::Serializer::new(String::new())
                                .append_pair(name, &text)
                                .finish();
                            (format!("{path}?{query}"), None)
                        }
                        _ => (path.clone(), Some((name, text.as_str()))),
                    };
                    let body = match operation.method {
                        Method::GET | Method::DELETE => Value::Null,
                        _ => generator.body_of(&operation),
                    };
                    let answer = admin
                        .call(operation.method.clone(), &path, header.as_slice(), body)
                        .await;
                    is_accepted(&operation, &answer, &value);
                }
            }
        }
        assert!(parameters >= 30, "{parameters}");
    }

    async fn null_is_accepted_only_where_the_schema_allows_it(shop: TestShop) {
        let admin = shop.admin().await;
        let mut generator = Generator::new();
        let mut nullable = Vec::new();
        let mut fields = 0;
        for operation in operations() {
            let path = path_of(&shop, &operation).await;
            for (name, may_be_null) in generator.fields_of(&operation) {
                let mut body = generator.body_of(&operation);
                body[&name] = Value::Null;
                let answer = send_json(&admin, &operation, &path, &body).await;
                if may_be_null {
                    is_accepted(&operation, &answer, &body);
                    nullable.push(name);
                } else {
                    fields += 1;
                    answer.assert_problem(422, "validation-failed");
                    let blamed = answer.invalid_fields();
                    assert!(blamed.contains(&name), "{name} of {path}: {answer:?}");
                }
            }
        }
        let (codes, more) = (["barcode", "compareAtPrice", "imageId"], ["sku", "weightGrams"]);
        let of_variants = [&codes[..], &["position"], &more, &codes, &more].concat();
        let of_products = ["categoryId", "categoryId"];
        assert_eq!(nullable, [&["cartToken", "cartToken"][..], &of_products, &of_variants].concat());
        assert!(fields >= 25, "{fields}");
        // A rejected change is not applied in part.
        let product = shop.product("Kettle", 2_000, 9).await;
        let change = json!({ "name": "Pot", "price": null });
        admin.patch(&format!("/products/{product}"), change).await.assert_invalid_field("price");
        assert_eq!(shop.anonymous().get(&format!("/products/{product}")).await.text("/name"), "Kettle");
    }

    async fn json_may_begin_with_a_byte_order_mark(shop: TestShop) {
        let admin = shop.admin().await;
        let mut generator = Generator::new();
        let kind = [("content-type", "application/json")];
        for operation in operations().into_iter().filter(|operation| operation.takes_json) {
            let path = path_of(&shop, &operation).await;
            let body = format!("\u{feff}{}", generator.body_of(&operation));
            let answer = admin.raw(operation.method.clone(), &path, &kind, body).await;
            let is_malformed = answer.status == 400 && answer.text("/code") == "malformed-json";
            assert!(!is_malformed, "{path}: {answer:?}");
        }
        let marked = "\u{feff} {\"name\":\"Pan\",\"price\":5}";
        let made = admin.raw(Method::POST, "/products", &kind, marked).await;
        assert_eq!((made.status, made.text("/name")), (201, "Pan".to_owned()));
        for body in ["\u{feff}", "\u{feff}\u{feff}{}", "{\u{feff}}"] {
            let answer = admin.raw(Method::POST, "/categories", &kind, body).await;
            answer.assert_problem(400, "malformed-json");
        }
    }

    async fn time_ranges_accept_the_earliest_and_latest_timestamps(shop: TestShop) {
        let product = shop.product("Kettle", 500, 5).await;
        shop.customer("ada").await.place_order(&product, 1).await;
        let admin = shop.admin().await;
        let early = ["0000-01-01T00:00:00Z", "0000-01-01T00:00:00+23:59", "0001-01-01T00:00:00.000Z", "1969-12-31T23:59:59Z"];
        let late = ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59-23:59", "9999-12-31T23:59:60Z"];
        for (from, to, count) in early.iter().zip(late).map(|(early, late)| (*early, late, 1))
            .chain(early.iter().zip(late).map(|(early, late)| (late, *early, 0)))
            .chain([("2026-06-30T23:59:60Z", "9999-12-31T00:00:00Z", 0)])
        {
            let period = form_urlencoded::Serializer::new(String::new())
                .append_pair("from", from)
                .append_pair("to", to)
                .finish();
            for part in ["", "&cursor="] {
                let listed = admin.get(&format!("/admin/orders?{period}{part}")).await;
                assert_eq!(listed.status, 200, "{period}: {listed:?}");
                let orders = listed.json()["data"].as_array().unwrap().len();
                assert_eq!(orders, count, "{period}");
            }
        }
        for wrong in ["9999-12-31", "9999-12-31T23:59:59", "9999-13-31T23:59:59Z", "10000-01-01T00:00:00Z"] {
            admin.get(&format!("/admin/orders?to={wrong}")).await.assert_problem(400, "invalid-query");
        }
    }
}
