//! A device as a person names it: text to choice and back.

use std::fmt;
use std::str::FromStr;

use crate::diag::did_you_mean;

/// Which device to run on: `auto | cpu | cuda[:N] | wgpu[:N]`.
///
/// ```
/// use omni::model::device::DeviceChoice;
///
/// assert_eq!("cuda".parse(), Ok(DeviceChoice::Cuda(0)));
/// assert_eq!(DeviceChoice::Wgpu(1).to_string(), "wgpu:1");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DeviceChoice {
    /// CUDA if a driver and a device answer, else a real GPU through WGPU, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The CUDA device of this number, as the driver counts.
    Cuda(usize),
    /// The WGPU adapter of this number, real GPUs before renderers in software.
    Wgpu(usize),
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Wgpu(number) => write!(f, "wgpu:{number}"),
        }
    }
}

/// A text that names no device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// The word is none of the four.
    #[error("`{found}` is not a device, expected auto, cpu, cuda, cuda:N, wgpu or wgpu:N{}", hint(.found))]
    Unknown {
        /// The text found.
        found: String,
    },
    /// What stands behind the colon is no number.
    #[error("`{found}` has `{number}` behind the colon, expected the number of a device, as in `{kind}:0`")]
    Number {
        /// The text found.
        found: String,
        /// `cuda` or `wgpu`.
        kind: String,
        /// What stands behind the colon.
        number: String,
    },
    /// A number where there is only one.
    #[error("`{found}` has a number, expected `{kind}` alone")]
    Numbered {
        /// The text found.
        found: String,
        /// `auto` or `cpu`.
        kind: String,
    },
}

fn hint(found: &str) -> String {
    let word = found.split(':').next().unwrap_or_default();
    did_you_mean(word, ["auto", "cpu", "cuda", "wgpu"]).map_or_else(String::new, |it| format!("; {it}"))
}

impl FromStr for DeviceChoice {
    type Err = ChoiceError;

    fn from_str(text: &str) -> Result<Self, ChoiceError> {
        let (kind, number) = match text.split_once(':') {
            Some((kind, number)) => (kind, Some(number)),
            None => (text, None),
        };
        let one = |choice| match number {
            None => Ok(choice),
            Some(_) => Err(ChoiceError::Numbered { found: text.to_owned(), kind: kind.to_owned() }),
        };
        let numbered = |choice: fn(usize) -> Self| {
            match number {
                None => Ok(choice(0)),
                // Rust's own parser also takes a leading plus.
                Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                    digits.parse::<u16>().map(|number| choice(number.into())).map_err(drop)
                }
                Some(_) => Err(()),
            }
            .map_err(|()| ChoiceError::Number {
                found: text.to_owned(),
                kind: kind.to_owned(),
                number: number.unwrap_or_default().to_owned(),
            })
        };
        match kind {
            "auto" => one(Self::Auto),
            "cpu" => one(Self::Cpu),
            "cuda" => numbered(Self::Cuda),
            "wgpu" => numbered(Self::Wgpu),
            _ => Err(ChoiceError::Unknown { found: text.to_owned() }),
        }
    }
}
