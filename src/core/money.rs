//! Money and quantities as bounded integers with checked arithmetic. An out-of-range value cannot be
//! constructed.

use std::fmt;

use serde::{Deserializer, de};

use crate::core::error::{Error, Result};

pub use iso_currency::Currency;

/// The largest amount: 2^53 − 1, the largest integer that every JSON parser reads exactly (RFC 8259,
/// section 6).
pub const MAX_AMOUNT: i64 = (1 << 53) - 1;

/// Defines an integer type with an inclusive range.
macro_rules! bounded_integer {
    ($(#[$doc:meta])* $name:ident, $min:expr, $max:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
        pub struct $name(i64);

        impl $name {
            pub const MIN: i64 = $min;
            pub const MAX: i64 = $max;

            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl TryFrom<i64> for $name {
            type Error = $crate::core::money::OutOfRange;

            fn try_from(value: i64) -> Result<Self, Self::Error> {
                if ($min..=$max).contains(&value) {
                    Ok($name(value))
                } else {
                    Err($crate::core::money::OutOfRange { min: $min, max: $max })
                }
            }
        }

        impl<'a> $crate::core::column::Column<'a> for $name {
            fn from_cell(cell: $crate::core::column::Cell<'a>) -> Option<Self> {
                $name::try_from(<i64 as $crate::core::column::Column>::from_cell(cell)?).ok()
            }
        }

        impl From<$name> for $crate::core::column::Value<'_> {
            fn from(value: $name) -> Self {
                $crate::core::column::Value::Int(value.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                $crate::core::money::whole_number(from)
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                use utoipa::openapi::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
                ObjectBuilder::new()
                    .schema_type(Type::Integer)
                    .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
                    .minimum(Some($crate::core::money::bound($name::MIN)))
                    .maximum(Some($crate::core::money::bound($name::MAX)))
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}

pub(crate) use bounded_integer;

bounded_integer! {
    /// An amount in the currency's minor unit (paise, cents); may be zero.
    Money, 0, MAX_AMOUNT
}
bounded_integer! {
    /// A positive amount in the currency's minor unit.
    Amount, 1, MAX_AMOUNT
}
bounded_integer! {
    /// A unit price in the currency's minor unit.
    Price, 1, 100_000_000_000
}
bounded_integer! {
    /// A bound of a price filter; may exceed every valid price.
    PriceBound, 0, i64::MAX
}
bounded_integer! {
    /// The quantity of one cart item.
    Quantity, 1, 1000
}
bounded_integer! {
    /// The stock quantity of one product.
    Stock, 0, 1_000_000_000
}

/// The error of a number outside its type's range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfRange {
    pub(crate) min: i64,
    pub(crate) max: i64,
}

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "must be a whole number from {} to {}",
            self.min, self.max
        )
    }
}

impl std::error::Error for OutOfRange {}

impl Money {
    pub const ZERO: Money = Money(0);

    /// Returns the sum. Errors: `validation-failed` if it exceeds [`MAX_AMOUNT`].
    pub fn plus(self, other: Money) -> Result<Money> {
        self.0
            .checked_add(other.0)
            .and_then(|sum| Money::try_from(sum).ok())
            .ok_or_else(sum_out_of_range)
    }

    /// Returns the sum, or [`MAX_AMOUNT`] and `true` if the sum exceeds it. For totals that are displayed
    /// even when too large.
    pub fn capped_sum(amounts: impl IntoIterator<Item = Money>) -> (Money, bool) {
        Money::capped(amounts.into_iter().map(|amount| i128::from(amount.0)).sum())
    }

    /// Like [`Money::capped_sum`], for a sum that is already computed.
    pub fn capped(sum: i128) -> (Money, bool) {
        let max = i128::from(MAX_AMOUNT);
        let amount = i64::try_from(sum.clamp(0, max)).unwrap_or(MAX_AMOUNT);
        (Money(amount), sum > max)
    }

    /// Returns `self - other`, or zero if `other` is larger.
    #[must_use]
    pub fn saturating_sub(self, other: Money) -> Money {
        Money((self.0 - other.0).max(0))
    }

    /// Formats the amount for people: `INR 2,598.00`, with the currency's number of decimals (ISO 4217).
    pub fn format(self, currency: Currency) -> String {
        let digits = decimals(self.0, currency);
        let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
        let mut text = format!("{} ", currency.code());
        for (at, digit) in whole.char_indices() {
            if at > 0 && (whole.len() - at).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        if !fraction.is_empty() {
            text.push('.');
            text.push_str(fraction);
        }
        text
    }
}

impl From<Amount> for Money {
    fn from(amount: Amount) -> Money {
        Money(amount.0)
    }
}

impl From<Price> for Money {
    fn from(price: Price) -> Money {
        Money(price.0)
    }
}

impl Amount {
    /// Parses the value of a command-line flag.
    ///
    /// Errors: a message with the range and the unit.
    pub fn parse(text: &str, currency: Currency) -> Result<Amount, String> {
        parse(text).ok_or_else(|| rule(currency, Amount::MIN, Amount::MAX))
    }
}

impl Price {
    /// Parses the value of a command-line flag or a CSV field.
    ///
    /// Errors: the message of [`Price::rule`].
    pub fn parse(text: &str, currency: Currency) -> Result<Price, String> {
        parse(text).ok_or_else(|| Price::rule(currency))
    }

    /// Returns the error message for an invalid price, with the range and the unit.
    pub fn rule(currency: Currency) -> String {
        rule(currency, Price::MIN, Price::MAX)
    }

    /// Returns the price of `quantity` pieces. Errors: `validation-failed` if it exceeds [`MAX_AMOUNT`].
    pub fn times(self, quantity: Quantity) -> Result<Money> {
        self.0
            .checked_mul(quantity.0)
            .and_then(|product| Money::try_from(product).ok())
            .ok_or_else(sum_out_of_range)
    }
}

impl Quantity {
    pub const ONE: Quantity = Quantity(1);
}

impl Stock {
    pub const NONE: Stock = Stock(0);
}

fn parse<T: TryFrom<i64>>(text: &str) -> Option<T> {
    let number: i64 = text.trim().parse().ok()?;
    number.try_into().ok()
}

/// Returns a message such as `must be an integer in paise, e.g. 1299 for 12.99 INR, from 1 to 99`.
fn rule(currency: Currency, min: i64, max: i64) -> String {
    const EXAMPLE: i64 = 1299;
    let code = currency.code();
    let unit = match code {
        "INR" | "NPR" | "PKR" => "paise".to_owned(),
        "AUD" | "CAD" | "EUR" | "HKD" | "LKR" | "NZD" | "SGD" | "USD" | "ZAR" => "cents".to_owned(),
        "GBP" => "pence".to_owned(),
        "JPY" => "yen".to_owned(),
        _ => format!("the minor unit of {code}"),
    };
    let amount = decimals(EXAMPLE, currency);
    format!("must be an integer in {unit}, e.g. {EXAMPLE} for {amount} {code}, from {min} to {max}")
}

/// Returns the amount in the currency's major unit, with the currency's number of decimals (ISO 4217).
fn decimals(amount: i64, currency: Currency) -> String {
    let decimals = usize::from(currency.exponent().unwrap_or(0));
    let mut digits = format!("{amount:0>width$}", width = decimals + 1);
    if decimals > 0 {
        digits.insert(digits.len() - decimals, '.');
    }
    digits
}

fn sum_out_of_range() -> Error {
    Error::field(
        "totalAmount",
        "out-of-range",
        format!("the sum is more than {MAX_AMOUNT}"),
    )
}

/// Deserializes an integer within the range of its type. Accepts `70.0`, which JSON Schema counts as an
/// integer (2020-12, section 6.1.1).
pub fn whole_number<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: TryFrom<i64, Error: fmt::Display>,
    D: Deserializer<'de>,
{
    let number = deserializer.deserialize_i64(WholeNumber)?;
    T::try_from(number).map_err(de::Error::custom)
}

struct WholeNumber;

impl de::Visitor<'_> for WholeNumber {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<i64, E> {
        Ok(number)
    }

    /// A number that exceeds `i64` exceeds the range of every type.
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<i64, E> {
        Ok(i64::try_from(number).unwrap_or(i64::MAX))
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the fraction is zero and the cast saturates"
    )]
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<i64, E> {
        if number.fract() == 0.0 {
            Ok(number as i64)
        } else {
            Err(E::invalid_type(de::Unexpected::Float(number), &self))
        }
    }
}

/// Converts a bound for `utoipa`'s schema builder.
pub fn bound(value: i64) -> isize {
    isize::try_from(value).unwrap_or(isize::MAX)
}
