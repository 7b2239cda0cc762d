//! A JSON value that is validated and discarded.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Any JSON value. Reading it allocates nothing and, unlike `serde::de::IgnoredAny`, respects the parser's
/// recursion limit.
pub(super) struct IgnoredJson;

impl<'de> Deserialize<'de> for IgnoredJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IgnoredJson)
    }
}

impl<'de> Visitor<'de> for IgnoredJson {
    type Value = IgnoredJson;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<IgnoredJson, E> {
        Ok(IgnoredJson)
    }

    fn visit_i64<E>(self, _: i64) -> Result<IgnoredJson, E> {
        Ok(IgnoredJson)
    }

    fn visit_u64<E>(self, _: u64) -> Result<IgnoredJson, E> {
        Ok(IgnoredJson)
    }

    fn visit_f64<E>(self, _: f64) -> Result<IgnoredJson, E> {
        Ok(IgnoredJson)
    }

    fn visit_str<E>(self, _: &str) -> Result<IgnoredJson, E> {
        Ok(IgnoredJson)
    }

    fn visit_unit<E>(self) -> Result<IgnoredJson, E> {
        Ok(IgnoredJson)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<IgnoredJson, A::Error> {
        while items.next_element::<IgnoredJson>()?.is_some() {}
        Ok(IgnoredJson)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<IgnoredJson, A::Error> {
        while entries.next_entry::<IgnoredJson, IgnoredJson>()?.is_some() {}
        Ok(IgnoredJson)
    }
}
