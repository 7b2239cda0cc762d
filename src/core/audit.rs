//! Values of the audit log: who changed what, and how.

use std::{borrow::Cow, net::IpAddr};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use strum::{EnumString, IntoStaticStr, VariantArray};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Type, schema::Schema},
};

use super::{column::text_columns, id::UserId};

/// The maximum number of characters of a text in [`Changes`]. Longer ones are cut, and end with `…`.
pub const MAX_TEXT: usize = 200;

/// Whether a user, the command line or the program itself made a change.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema, EnumString, IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "UPPERCASE")]
#[strum(serialize_all = "UPPERCASE")]
#[schema(as = AuditActorType)]
pub enum ActorType {
    /// An account, by a request.
    User,
    /// A command, run by a user of the operating system.
    Cli,
    /// The program itself.
    System,
}

text_columns!(ActorType);

/// Who makes the changes of a transaction.
#[derive(Debug, Clone)]
pub struct Actor {
    pub kind: ActorType,
    /// The id of an account.
    pub id: Option<String>,
    pub name: String,
    pub origin: Origin,
}

/// The request that a change comes from.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    pub request_id: Option<String>,
    pub address: Option<IpAddr>,
}

impl Actor {
    pub fn user(id: UserId, name: String, origin: Origin) -> Actor {
        Actor {
            kind: ActorType::User,
            id: Some(id.to_string()),
            name,
            origin,
        }
    }

    /// `user` is the user of the operating system.
    pub fn cli(user: String) -> Actor {
        Actor {
            kind: ActorType::Cli,
            id: None,
            name: user,
            origin: Origin::default(),
        }
    }

    pub fn system() -> Actor {
        Actor {
            kind: ActorType::System,
            id: None,
            name: "shop".to_owned(),
            origin: Origin::default(),
        }
    }
}

/// What was done, as `<resource>.<verb>`. The resource is the type of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
pub enum Action {
    #[strum(serialize = "catalog.import")]
    CatalogImport,
    /// Repaired by `shop verify --repair`.
    #[strum(serialize = "catalog.repair")]
    CatalogRepair,
    #[strum(serialize = "category.create")]
    CategoryCreate,
    #[strum(serialize = "category.delete")]
    CategoryDelete,
    #[strum(serialize = "category.update")]
    CategoryUpdate,
    #[strum(serialize = "collection.create")]
    CollectionCreate,
    #[strum(serialize = "collection.delete")]
    CollectionDelete,
    #[strum(serialize = "collection.update")]
    CollectionUpdate,
    #[strum(serialize = "job.drop")]
    JobDrop,
    #[strum(serialize = "job.retry")]
    JobRetry,
    #[strum(serialize = "mail.drop")]
    MailDrop,
    #[strum(serialize = "mail.retry")]
    MailRetry,
    #[strum(serialize = "order.refund")]
    OrderRefund,
    /// A payment of an order at the simulated provider.
    #[strum(serialize = "order.simulate-payment")]
    OrderSimulatePayment,
    #[strum(serialize = "order.status")]
    OrderStatus,
    #[strum(serialize = "payment.reconcile")]
    PaymentReconcile,
    #[strum(serialize = "payment.resolve")]
    PaymentResolve,
    /// Stock was added or removed.
    #[strum(serialize = "product.adjust-stock")]
    ProductAdjustStock,
    #[strum(serialize = "product.create")]
    ProductCreate,
    #[strum(serialize = "product.delete")]
    ProductDelete,
    #[strum(serialize = "product.update")]
    ProductUpdate,
    #[strum(serialize = "setting.update")]
    SettingUpdate,
    #[strum(serialize = "shop.seed")]
    ShopSeed,
    #[strum(serialize = "user.create")]
    UserCreate,
    #[strum(serialize = "user.disable")]
    UserDisable,
    #[strum(serialize = "user.enable")]
    UserEnable,
    #[strum(serialize = "user.logout")]
    UserLogout,
    #[strum(serialize = "user.reset-password")]
    UserResetPassword,
    #[strum(serialize = "user.role")]
    UserRole,
    /// Stock was added or removed.
    #[strum(serialize = "variant.adjust-stock")]
    VariantAdjustStock,
    #[strum(serialize = "variant.create")]
    VariantCreate,
    #[strum(serialize = "variant.delete")]
    VariantDelete,
    #[strum(serialize = "variant.update")]
    VariantUpdate,
}

text_columns!(Action);

impl Action {
    pub const ALL: &[Action] = Action::VARIANTS;

    /// Returns the type of the target.
    pub fn target_type(self) -> &'static str {
        let name = self.as_str();
        name.split_once('.').map_or(name, |(resource, _)| resource)
    }

    /// Returns whether a call that changes no field has done nothing.
    pub fn is_update(self) -> bool {
        matches!(
            self,
            Action::CategoryUpdate
                | Action::CollectionUpdate
                | Action::ProductUpdate
                | Action::VariantUpdate
        )
    }
}

impl PartialSchema for Action {
    fn schema() -> RefOr<Schema> {
        let names = Action::ALL.iter().map(|action| action.as_str());
        ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(names))
            .into()
    }
}

impl ToSchema for Action {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("AuditAction")
    }
}

/// A changed field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AuditChange)]
pub struct Change {
    /// The name of the field in the API.
    #[schema(value_type = String)]
    pub field: Cow<'static, str>,
    /// The value before; `null` if there was none.
    pub from: Value,
    /// The value after; `null` if there is none.
    pub to: Value,
}

/// The changed fields of an action. Never put secrets into them.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(transparent)]
pub struct Changes(Vec<Change>);

/// Fields of a resource that are never listed, because they follow from others: from the id of the target, the
/// time of the entry, the currency of the shop, and `categoryId`.
const IMPLIED: [&str; 5] = ["id", "createdAt", "updatedAt", "currency", "category"];

impl Changes {
    pub fn none() -> Changes {
        Changes::default()
    }

    /// Returns the fields that differ between two versions of a resource. `None` means that it does not
    /// exist in that version.
    pub fn between<T: Serialize>(before: Option<&T>, after: Option<&T>) -> Changes {
        let [before, mut after] = [before, after].map(|version| match to_value(version) {
            Value::Object(fields) => fields,
            _ => serde_json::Map::new(),
        });
        let mut changes = Changes::none();
        for (name, from) in before {
            let to = after.remove(&name).unwrap_or_default();
            changes.push(name.into(), from, to);
        }
        for (name, to) in after {
            changes.push(name.into(), Value::Null, to);
        }
        changes
            .0
            .retain(|change| !IMPLIED.contains(&&*change.field));
        changes
    }

    /// Adds a field, if it has changed.
    #[must_use]
    pub fn field(
        mut self,
        name: &'static str,
        from: impl Serialize,
        to: impl Serialize,
    ) -> Changes {
        self.push(name.into(), to_value(from), to_value(to));
        self
    }

    /// Adds a value that belongs to the action and was not there before.
    #[must_use]
    pub fn with(self, name: &'static str, value: impl Serialize) -> Changes {
        self.field(name, Value::Null, value)
    }

    fn push(&mut self, field: Cow<'static, str>, mut from: Value, mut to: Value) {
        if from == to {
            return;
        }
        cut(&mut from);
        cut(&mut to);
        self.0.push(Change { field, from, to });
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Values of the API always have a JSON form.
fn to_value(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// Cuts the texts in a value.
fn cut(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some((end, _)) = text.char_indices().nth(MAX_TEXT) {
                text.truncate(end);
                text.push('…');
            }
        }
        Value::Array(values) => values.iter_mut().for_each(cut),
        Value::Object(fields) => fields.values_mut().for_each(cut),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
