//! The purposes of links in emails.

use std::time::Duration;

/// The purpose of a link in an email.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkPurpose {
    /// Verifies the email address of the account.
    Verify,
    /// Sets a new password.
    Reset,
}

impl LinkPurpose {
    pub(super) const ALL: [LinkPurpose; 2] = [LinkPurpose::Verify, LinkPurpose::Reset];

    pub fn parse(text: &str) -> Option<LinkPurpose> {
        let mut all = LinkPurpose::ALL.into_iter();
        all.find(|purpose| purpose.as_str() == text)
    }

    /// Returns the stored form, which is also the name of the email template.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            LinkPurpose::Verify => "verify",
            LinkPurpose::Reset => "reset",
        }
    }

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
