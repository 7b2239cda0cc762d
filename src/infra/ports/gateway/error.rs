//! Errors of the payment provider.

/// An error of the provider, described for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GatewayError {
    /// A retry may succeed.
    Transient(String),
    /// A retry cannot succeed.
    Permanent(String),
}

impl GatewayError {
    pub fn is_permanent(&self) -> bool {
        matches!(self, GatewayError::Permanent(_))
    }

    /// Returns the description.
    pub fn reason(&self) -> &str {
        match self {
            GatewayError::Transient(reason) | GatewayError::Permanent(reason) => reason,
        }
    }

    /// Returns the description.
    pub fn into_reason(self) -> String {
        match self {
            GatewayError::Transient(reason) | GatewayError::Permanent(reason) => reason,
        }
    }
}
