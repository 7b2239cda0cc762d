//! The options of a product, such as its size: their values, how admins set them, and how variants select them.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::normalize::case_fold;
use crate::core::{
    error::{Error, Field, Result},
    id::{OptionId, OptionValueId, VariantId},
    text::short_texts,
};

/// The maximum number of options of a product.
const MAX_OPTIONS: usize = 3;

/// The maximum number of values of an option.
const MAX_VALUES: usize = 50;

/// The maximum number of values that a message names.
const MAX_NAMED: usize = 5;

short_texts! {
    /// The name of an option.
    OptionName,
    /// A value of an option.
    OptionText,
}

/// The values that a variant selects, by the names of the options.
pub type Selection = BTreeMap<String, String>;

/// An option of a product, for example its size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProductOption {
    pub id: OptionId,
    pub name: String,
    pub values: Vec<OptionValue>,
}

/// A value of an option, for example `M`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OptionValue {
    pub id: OptionValueId,
    pub value: String,
}

/// The options of a product in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProductOptions(Vec<ProductOption>);

/// An option of a variant, for example `M` of `Size`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VariantOption {
    pub name: String,
    pub value: String,
}

/// The options of a variant in the order of the product's options.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct VariantOptions(Vec<VariantOption>);

impl VariantOptions {
    /// Returns the values, joined by ` / `.
    pub fn title(&self) -> String {
        let values: Vec<&str> = self.0.iter().map(|option| option.value.as_str()).collect();
        values.join(" / ")
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn as_slice(&self) -> &[VariantOption] {
        &self.0
    }

    /// Parses the column that [`VariantOptions::to_json`] has written.
    pub fn from_json(column: &str) -> Result<VariantOptions> {
        if column == "[]" {
            return Ok(VariantOptions::default());
        }
        let options = serde_json::from_str(column).map_err(Error::internal)?;
        Ok(VariantOptions(options))
    }

    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(&self.0).map_err(Error::internal)
    }
}

impl FromIterator<VariantOption> for VariantOptions {
    fn from_iter<I: IntoIterator<Item = VariantOption>>(options: I) -> Self {
        VariantOptions(options.into_iter().collect())
    }
}

/// An option as an admin sets it.
#[derive(Debug, Clone)]
pub struct NewOption {
    /// An existing option to keep; without it, the one with the same name is kept.
    pub id: Option<OptionId>,
    pub name: OptionName,
    pub values: Vec<NewValue>,
}

/// A value of an option as an admin sets it.
#[derive(Debug, Clone)]
pub struct NewValue {
    /// An existing value to keep; without it, the same value is kept.
    pub id: Option<OptionValueId>,
    pub value: OptionText,
}

/// The value of each option of a product, in the order of the options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SelectedValues<'a>(Vec<(&'a ProductOption, &'a OptionValue)>);

impl ProductOption {
    fn has_name(&self, name: &str) -> bool {
        case_fold(&self.name) == case_fold(name)
    }

    fn value(&self, text: &str) -> Option<&OptionValue> {
        let key = case_fold(text);
        self.values
            .iter()
            .find(|value| case_fold(&value.value) == key)
    }
}

impl ProductOptions {
    /// Parses the column that [`ProductOptions::to_json`] has written.
    pub(super) fn from_json(column: &str) -> Result<ProductOptions> {
        let options = serde_json::from_str(column).map_err(Error::internal)?;
        Ok(ProductOptions(options))
    }

    pub(super) fn to_json(&self) -> Result<String> {
        serde_json::to_string(&self.0).map_err(Error::internal)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn as_slice(&self) -> &[ProductOption] {
        &self.0
    }

    /// Returns the options that an admin sets, with the ids of those that remain. `new_id` generates the others.
    ///
    /// Errors: a field error for each that is wrong.
    pub(super) fn replaced_by(
        &self,
        new: &[NewOption],
        mut new_id: impl FnMut() -> uuid::Uuid,
    ) -> Result<ProductOptions> {
        check_sizes(new)?;
        let mut wrong = Vec::new();
        let mut names = HashSet::new();
        let mut options = Vec::with_capacity(new.len());
        for (at, input) in new.iter().enumerate() {
            let field = |name: &str| format!("options[{at}].{name}");
            let name = input.name.as_str();
            if !names.insert(case_fold(name)) {
                let message = "another option has this name; case does not matter";
                wrong.push(Field::new(field("name"), "duplicate", message));
            }
            let is_named = |id: OptionId| new.iter().any(|other| other.id == Some(id));
            let current = self.0.iter().find(|option| match input.id {
                Some(id) => option.id == id,
                None => option.has_name(name) && !is_named(option.id),
            });
            if input.id.is_some() && current.is_none() {
                let message = "the product has no option with this id";
                wrong.push(Field::new(field("id"), "unknown-option", message));
            }
            let values = replaced_values(current, at, &input.values, &mut new_id, &mut wrong);
            options.push(ProductOption {
                id: current.map_or_else(|| OptionId(new_id()), |option| option.id),
                name: name.to_owned(),
                values,
            });
        }
        let mut ids = HashSet::new();
        for (at, option) in options.iter().enumerate() {
            if !ids.insert(option.id) {
                let message = "the option is in the list already";
                wrong.push(Field::new(format!("options[{at}]"), "duplicate", message));
            }
        }
        Error::unless_empty(wrong)?;
        Ok(ProductOptions(options))
    }

    /// Adds the values that a selection has and these options lack; if there are no options, adds these, too. The selection is
    /// pairs of the name of an option and its value.
    ///
    /// Errors: another option; too many values.
    pub(super) fn add_missing<'a>(
        &mut self,
        selection: impl Iterator<Item = (&'a str, &'a str)>,
        mut new_id: impl FnMut() -> uuid::Uuid,
    ) -> Result<(), String> {
        let is_first = self.0.is_empty();
        for (name, text) in selection {
            if is_first {
                self.0.push(ProductOption {
                    id: OptionId(new_id()),
                    name: name.to_owned(),
                    values: Vec::new(),
                });
            }
            let option = self.0.iter_mut().find(|option| option.has_name(name));
            let Some(option) = option else {
                let names = self.names();
                return Err(format!(
                    "the product has no option `{name}`; it has {names}"
                ));
            };
            if option.value(text).is_some() {
                continue;
            }
            if option.values.len() == MAX_VALUES {
                return Err(format!(
                    "the option `{name}` has at most {MAX_VALUES} values"
                ));
            }
            option.values.push(OptionValue {
                id: OptionValueId(new_id()),
                value: text.to_owned(),
            });
        }
        Ok(())
    }

    /// Returns the values that a variant selects. `prefix` is the path of the field, for the errors.
    pub(super) fn select(
        &self,
        selection: &Selection,
        prefix: &str,
    ) -> Result<SelectedValues<'_>, Vec<Field>> {
        let mut wrong = Vec::new();
        if selection.len() > MAX_OPTIONS {
            let message = format!("a product has at most {MAX_OPTIONS} options");
            return Err(vec![Field::new(prefix, "too-many", message)]);
        }
        for name in selection.keys() {
            if !self.0.iter().any(|option| option.has_name(name)) {
                let message = match self.names() {
                    names if names.is_empty() => "the product has no options".to_owned(),
                    names => format!("is not an option of the product, which has {names}"),
                };
                wrong.push(Field::new(path(prefix, name), "unknown-option", message));
            }
        }
        let values = select_values(&self.0, selection, prefix, &mut wrong);
        if wrong.is_empty() {
            Ok(SelectedValues(values))
        } else {
            Err(wrong)
        }
    }

    /// Returns the values that a variant of the product has. Returns `None` if it does not have exactly one of each
    /// option, which `shop verify` reports.
    pub(super) fn selected_by(&self, variant: &VariantOptions) -> Option<SelectedValues<'_>> {
        if variant.0.len() != self.0.len() {
            return None;
        }
        let pairs = self.0.iter().zip(&variant.0);
        let values = pairs.map(|(option, selected)| {
            let value = option.values.iter().find(|it| it.value == selected.value)?;
            (option.name == selected.name).then_some((option, value))
        });
        values.collect::<Option<_>>().map(SelectedValues)
    }

    /// Like [`ProductOptions::selected_by`]. Errors: `internal` if the variant is inconsistent.
    pub(super) fn of_variant(
        &self,
        id: VariantId,
        variant: &VariantOptions,
    ) -> Result<SelectedValues<'_>> {
        self.selected_by(variant)
            .ok_or_else(|| Error::internal(format!("variant {id} lacks an option of its product")))
    }

    /// Returns the values in `assign` of new options, which others do not have.
    ///
    /// Errors: a field error for each that is missing, or does not belong to a new option.
    pub(super) fn assigned(
        &self,
        others: &ProductOptions,
        assign: &Selection,
    ) -> Result<SelectedValues<'_>> {
        let is_new = |option: &ProductOption| others.0.iter().all(|it| it.id != option.id);
        let new: Vec<&ProductOption> = self.0.iter().filter(|option| is_new(option)).collect();
        let unknown = assign
            .keys()
            .filter(|name| !new.iter().any(|it| it.has_name(name)));
        let mut wrong: Vec<Field> = unknown
            .take(MAX_NAMED)
            .map(|name| {
                let message = "is not a new option of the list";
                Field::new(path("assign", name), "unknown-option", message)
            })
            .collect();
        let values = select_values(new, assign, "assign", &mut wrong);
        Error::unless_empty(wrong)?;
        Ok(SelectedValues(values))
    }

    /// Returns the values of a variant after these options have replaced others: those it has, and those of the new
    /// options. Returns `None` if one that it has is not among these options.
    pub(super) fn reselect<'a>(
        &'a self,
        current: &SelectedValues<'_>,
        assigned: &SelectedValues<'a>,
    ) -> Option<SelectedValues<'a>> {
        let kept = current.0.iter().map(|(option, value)| {
            let option = self.0.iter().find(|it| it.id == option.id)?;
            let value = option.values.iter().find(|it| it.id == value.id)?;
            Some((option, value))
        });
        let mut values: Vec<_> = kept.collect::<Option<_>>()?;
        values.extend_from_slice(&assigned.0);
        let position = |id: OptionId| self.0.iter().position(|option| option.id == id);
        values.sort_by_key(|(option, _)| position(option.id));
        Some(SelectedValues(values))
    }

    fn names(&self) -> String {
        let names: Vec<String> = self.0.iter().map(|it| format!("`{}`", it.name)).collect();
        names.join(", ")
    }
}

/// Errors: a field error if there are too many options, or if an option has too many values or none.
pub(super) fn check_sizes(new: &[NewOption]) -> Result<()> {
    let mut wrong = Vec::new();
    if new.len() > MAX_OPTIONS {
        let message = format!("a product has at most {MAX_OPTIONS} options");
        wrong.push(Field::new("options", "too-many", message));
    }
    for (at, option) in new.iter().enumerate() {
        let field = format!("options[{at}].values");
        if option.values.is_empty() {
            let message = "an option needs at least one value";
            wrong.push(Field::new(field, "required", message));
        } else if option.values.len() > MAX_VALUES {
            let message = format!("an option has at most {MAX_VALUES} values");
            wrong.push(Field::new(field, "too-many", message));
        }
    }
    Error::unless_empty(wrong)
}

/// Returns the values that an admin sets for the option at `at`, of which `current` are the present ones.
fn replaced_values(
    current: Option<&ProductOption>,
    at: usize,
    new: &[NewValue],
    new_id: &mut impl FnMut() -> uuid::Uuid,
    wrong: &mut Vec<Field>,
) -> Vec<OptionValue> {
    let list = format!("options[{at}].values");
    let (mut ids, mut texts) = (HashSet::new(), HashSet::new());
    let mut values = Vec::with_capacity(new.len());
    for (index, input) in new.iter().enumerate() {
        let text = input.value.as_str();
        let is_named = |id: OptionValueId| new.iter().any(|other| other.id == Some(id));
        let existing = current.and_then(|option| match input.id {
            Some(id) => option.values.iter().find(|value| value.id == id),
            None => option.value(text).filter(|value| !is_named(value.id)),
        });
        if input.id.is_some() && existing.is_none() {
            let field = format!("{list}[{index}].id");
            let message = "the option has no value with this id";
            wrong.push(Field::new(field, "unknown-option-value", message));
        }
        let id = existing.map_or_else(|| OptionValueId(new_id()), |value| value.id);
        if !texts.insert(case_fold(text)) || !ids.insert(id) {
            let message = "the option has this value already; case does not matter";
            wrong.push(Field::new(format!("{list}[{index}]"), "duplicate", message));
        }
        let value = text.to_owned();
        values.push(OptionValue { id, value });
    }
    values
}

/// Returns the values that a selection has for options, and adds what is wrong with it.
fn select_values<'a>(
    options: impl IntoIterator<Item = &'a ProductOption>,
    selection: &Selection,
    prefix: &str,
    wrong: &mut Vec<Field>,
) -> Vec<(&'a ProductOption, &'a OptionValue)> {
    let values = options.into_iter().filter_map(|option| {
        let value = select_value(option, selection, prefix, wrong)?;
        Some((option, value))
    });
    values.collect()
}

/// Returns the value that a selection has for an option, or adds what is wrong with it.
fn select_value<'a>(
    option: &'a ProductOption,
    selection: &Selection,
    prefix: &str,
    wrong: &mut Vec<Field>,
) -> Option<&'a OptionValue> {
    let mut selected = selection.iter().filter(|(name, _)| option.has_name(name));
    let field = path(prefix, &option.name);
    let error = match (selected.next(), selected.next()) {
        (None, _) => Field::new(field, "required", "is required"),
        (Some(_), Some(_)) => Field::new(field, "duplicate", "was sent more than once"),
        (Some((_, text)), None) => match option.value(text) {
            Some(value) => return Some(value),
            None => unknown_value(field, option),
        },
    };
    wrong.push(error);
    None
}

fn path(prefix: &str, name: &str) -> String {
    format!("{prefix}.{name}")
}

fn unknown_value(field: String, option: &ProductOption) -> Field {
    let values = option.values.iter().take(MAX_NAMED);
    let values: Vec<String> = values.map(|it| format!("`{}`", it.value)).collect();
    let more = if option.values.len() > MAX_NAMED {
        " and others"
    } else {
        ""
    };
    let message = format!("must be one of {}{more}", values.join(", "));
    Field::new(field, "unknown-option-value", message)
}

impl SelectedValues<'_> {
    /// Returns the key that no other variant of the product may have: the ids of the values.
    pub(super) fn key(&self) -> String {
        let ids: Vec<String> = self
            .0
            .iter()
            .map(|(_, value)| value.id.to_string())
            .collect();
        ids.join(",")
    }

    /// Returns the names and values, as the variant shows them.
    pub(super) fn to_options(&self) -> VariantOptions {
        let options = self.0.iter().map(|(option, value)| VariantOption {
            name: option.name.clone(),
            value: value.value.clone(),
        });
        options.collect()
    }
}
