//! The purposes of links in emails.

use std::time::Duration;

use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::core::column::text_columns;

/// The purpose of a link in an email. The stored text is also the name of the email template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum LinkPurpose {
    /// Verifies the email address of the account.
    Verify,
    /// Sets a new password.
    Reset,
}

text_columns!(LinkPurpose);

impl LinkPurpose {
    /// Returns the path of the page that the link opens.
    pub(super) fn page(self) -> &'static str {
        match self {
            LinkPurpose::Verify => "verify-email",
            LinkPurpose::Reset => "reset-password",
        }
    }

    /// Returns how long a link is valid.
    pub(super) fn lifetime(self) -> Duration {
        match self {
            LinkPurpose::Verify => Duration::from_hours(24),
            LinkPurpose::Reset => Duration::from_hours(1),
        }
    }
}
