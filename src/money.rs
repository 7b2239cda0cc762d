//! Money and counts of things, by checked arithmetic only: an amount that cannot be right cannot be made.

use std::fmt;

use serde::{Deserializer, de};

use crate::error::{Error, Result};

pub use iso_currency::Currency;

/// The largest amount: 2^53 − 1, which every JSON reader holds exactly (RFC 8259, section 6).
pub const MAX_AMOUNT: i64 = (1 << 53) - 1;

/// Defines types of whole numbers within bounds.
macro_rules! whole {
    ($(#[$doc:meta])* $name:ident, $least:expr, $most:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
        pub struct $name(i64);

        impl $name {
            pub const LEAST: i64 = $least;
            pub const MOST: i64 = $most;

            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl TryFrom<i64> for $name {
            type Error = $crate::money::OutOfRange;

            fn try_from(value: i64) -> Result<Self, Self::Error> {
                if ($least..=$most).contains(&value) {
                    Ok($name(value))
                } else {
                    Err($crate::money::OutOfRange { least: $least, most: $most })
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                $crate::money::whole_number(from)
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                use utoipa::openapi::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
                ObjectBuilder::new()
                    .schema_type(Type::Integer)
                    .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
                    .minimum(Some($crate::money::bound($name::LEAST)))
                    .maximum(Some($crate::money::bound($name::MOST)))
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}

pub(crate) use whole;

whole! {
    /// A sum in the currency's minor unit (paise, cents).
    Money, 0, MAX_AMOUNT
}
whole! {
    /// As [`Money`], and not nothing.
    Amount, 1, MAX_AMOUNT
}
whole! {
    /// What one piece costs, in the currency's minor unit.
    Price, 1, 100_000_000_000
}
whole! {
    /// A bound of a range of prices, which no price has to reach.
    PriceBound, 0, i64::MAX
}
whole! {
    /// How many pieces of one product a cart's line holds.
    Quantity, 1, 1000
}
whole! {
    /// How many pieces there are to sell.
    Stock, 0, 1_000_000_000
}

/// Why a number was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfRange {
    pub(crate) least: i64,
    pub(crate) most: i64,
}

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "must be a whole number from {} to {}",
            self.least, self.most
        )
    }
}

impl std::error::Error for OutOfRange {}

impl Money {
    pub const ZERO: Money = Money(0);

    pub fn plus(self, other: Money) -> Result<Money> {
        self.0
            .checked_add(other.0)
            .and_then(|sum| Money::try_from(sum).ok())
            .ok_or_else(too_much)
    }

    /// What is left after `other`; nothing where that is more.
    #[must_use]
    pub fn less(self, other: Money) -> Money {
        Money((self.0 - other.0).max(0))
    }

    /// For people: `INR 2,598.00`, with as many decimals as the currency has (ISO 4217).
    pub fn written(self, currency: Currency) -> String {
        let decimals = usize::from(currency.exponent().unwrap_or(0));
        let digits = format!("{:0>1$}", self.0, decimals + 1);
        let (whole, fraction) = digits.split_at(digits.len() - decimals);
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

impl Price {
    pub fn times(self, quantity: Quantity) -> Result<Money> {
        self.0
            .checked_mul(quantity.0)
            .and_then(|product| Money::try_from(product).ok())
            .ok_or_else(too_much)
    }
}

impl Quantity {
    pub const ONE: Quantity = Quantity(1);
}

impl Stock {
    pub const NONE: Stock = Stock(0);
}

fn too_much() -> Error {
    Error::field(
        "totalAmount",
        "out-of-range",
        format!("the sum is more than {MAX_AMOUNT}"),
    )
}

/// Reads a whole number within the bounds of its type. JSON Schema takes `70.0` for a whole number
/// (2020-12, section 6.1.1), so this does too.
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

    /// What is beyond `i64` is beyond every type's bounds.
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<i64, E> {
        Ok(i64::try_from(number).unwrap_or(i64::MAX))
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is whole, and the cast saturates"
    )]
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<i64, E> {
        if number.fract() == 0.0 {
            Ok(number as i64)
        } else {
            Err(E::invalid_type(de::Unexpected::Float(number), &self))
        }
    }
}

/// A bound as schemas take it.
pub fn bound(value: i64) -> isize {
    isize::try_from(value).unwrap_or(isize::MAX)
}
