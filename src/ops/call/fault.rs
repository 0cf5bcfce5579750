//! Why a call is wrong, before anybody knows where it was written.

use super::super::dim::DimError;

/// Why a call is wrong.
#[derive(Debug, Clone)]
pub struct Fault {
    /// A stable name for the kind of fault.
    pub code: &'static str,
    /// What was found, then what was expected.
    pub message: String,
    /// The parameter at fault, if one is.
    pub parameter: Option<&'static str>,
    /// What to do.
    pub help: Option<String>,
}

impl Fault {
    /// A fault of the call as a whole.
    #[must_use]
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), parameter: None, help: None }
    }

    /// A mismatch of shapes.
    #[must_use]
    pub fn shape(message: impl Into<String>) -> Self {
        Self::new("shape-mismatch", message)
    }

    /// A value of the wrong kind or outside its range.
    #[must_use]
    pub fn value(message: impl Into<String>) -> Self {
        Self::new("wrong-value", message)
    }

    /// Points at one argument.
    #[must_use]
    pub fn of(mut self, parameter: &'static str) -> Self {
        self.parameter = Some(parameter);
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl From<DimError> for Fault {
    fn from(error: DimError) -> Self {
        Self::value(error.to_string())
    }
}
