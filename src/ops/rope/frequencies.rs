//! The inverse frequencies of rotary embeddings, and how a config scales them.
//!
//! Takes a `rope_scaling` / `rope_parameters` dict; gives a [`Rotation`], which knows the frequencies for any
//! sequence length. Arithmetic is in f32 where the reference's is: `modeling_rope_utils.py` of transformers.
//!
//! Absent on purpose: positions and tensors.

use std::borrow::Cow;
use std::f64::consts::PI;

use super::super::call::Fault;
use super::super::types::Const;

/// The widest head that is turned: a hundred times those of published models, and quickly worked out.
const WIDEST: usize = 1 << 16;

/// How fast each pair of numbers turns with the position.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rotation {
    /// How many of a head's numbers are rotated.
    pub(super) dim: usize,
    /// What cosines and sines are multiplied by.
    pub(super) attention_factor: f32,
    frequencies: Frequencies,
}

#[derive(Debug, Clone, PartialEq)]
enum Frequencies {
    Fixed(Vec<f32>),
    /// Another base once the sequence is longer than `max_positions`.
    Dynamic {
        theta: f64,
        factor: f64,
        max_positions: f64,
    },
    /// One of two sets, by whether the sequence is longer than `original`.
    Long {
        short: Vec<f32>,
        long: Vec<f32>,
        original: f64,
    },
}

/// What a definition says beside the dict.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given {
    /// The base, where the dict has none.
    pub(super) theta: f64,
    /// The size of a head.
    pub(super) head_dim: usize,
    /// How many numbers are rotated, where the definition says so.
    pub(super) dim: Option<usize>,
    /// The config's `max_position_embeddings`.
    pub(super) max_positions: Option<f64>,
}

impl Rotation {
    /// Reads the scaling dict.
    pub(super) fn new(scaling: &Const, given: Given) -> Result<Self, Fault> {
        if !matches!(scaling, Const::None | Const::Dict(_)) {
            return Err(fault(format!("`scaling` is {}, expected a dict or None", scaling.kind_name())));
        }
        let dict = Dict(scaling);
        let kind = scaling.get("rope_type").or_else(|| scaling.get("type")).and_then(Const::as_str);
        let theta = dict.number("rope_theta")?.unwrap_or(given.theta);
        if !(theta.is_finite() && theta > 0.0) {
            return Err(fault(format!("`rope_theta` is {theta}, expected a number above 0")));
        }
        let partial = dict.number("partial_rotary_factor")?.unwrap_or(1.0);
        let dim = given.dim.unwrap_or_else(|| truncated(to_f64(given.head_dim) * partial));
        let full = given.dim.unwrap_or(given.head_dim);
        if dim.max(full) > WIDEST {
            return Err(fault(format!(
                "{} numbers of a head are to turn, at most {WIDEST} can",
                dim.max(full)
            )));
        }
        let fixed = |numbers| (Frequencies::Fixed(numbers), 1.0);
        let (frequencies, attention_factor) = match kind.unwrap_or("default") {
            "default" | "mrope" => {
                if let Const::Dict(entries) = scaling
                    && let Some((name, _)) = entries.iter().find(|(_, value)| matches!(value, Const::Dict(_)))
                {
                    return Err(fault(format!("`scaling` holds one dict per layer type, such as `{name}`"))
                        .help("give the dict of this layer's type"));
                }
                fixed(inverse(theta, dim))
            }
            "linear" => {
                let factor = to_f32(dict.required("factor")?);
                fixed(inverse(theta, dim).iter().map(|frequency| frequency / factor).collect())
            }
            "dynamic" => {
                let max_positions = required(given.max_positions)?;
                (Frequencies::Dynamic { theta, factor: dict.required("factor")?, max_positions }, 1.0)
            }
            "yarn" => yarn(&dict, theta, dim, given.max_positions)?,
            "longrope" | "su" => longrope(&dict, theta, dim, given.max_positions)?,
            "llama3" => fixed(llama3(&dict, theta, dim, given.max_positions)?),
            "proportional" => {
                let factor = to_f32(dict.number("factor")?.unwrap_or(1.0));
                let rotated = truncated((partial * to_f64(full)).div_euclid(2.0));
                let frequencies = inverse(theta, full).into_iter().enumerate();
                let kept = frequencies.map(|(pair, frequency)| if pair < rotated { frequency } else { 0.0 });
                return Ok(Self {
                    dim: full,
                    attention_factor: 1.0,
                    frequencies: Frequencies::Fixed(kept.map(|frequency| frequency / factor).collect()),
                });
            }
            other => {
                return Err(fault(format!("rope type `{other}` is not known"))
                    .help("use one of default, linear, dynamic, yarn, longrope, llama3, proportional"));
            }
        };
        Ok(Self { dim, attention_factor: to_f32(attention_factor), frequencies })
    }

    /// The frequency of each pair for a sequence of `length` positions, those of the past included.
    pub(super) fn at(&self, length: usize) -> Cow<'_, [f32]> {
        let length = to_f64(length);
        match &self.frequencies {
            Frequencies::Fixed(numbers) => Cow::Borrowed(numbers),
            Frequencies::Dynamic { theta, factor, max_positions } => {
                let dim = to_f64(self.dim);
                let stretch = factor * length.max(*max_positions) / max_positions - (factor - 1.0);
                Cow::Owned(inverse(theta * stretch.powf(dim / (dim - 2.0)), self.dim))
            }
            Frequencies::Long { long, original, .. } if length > *original => Cow::Borrowed(long),
            Frequencies::Long { short, .. } => Cow::Borrowed(short),
        }
    }
}

/// `1 / theta^(2i / dim)` for each pair.
fn inverse(theta: f64, dim: usize) -> Vec<f32> {
    powers(theta, dim).iter().map(|power| 1.0 / power).collect()
}

/// `theta^(2i / dim)` for each pair, rounded once as torch's f32 power is.
fn powers(theta: f64, dim: usize) -> Vec<f32> {
    let exponent = |pair: usize| f64::from(to_f32(to_f64(2 * pair)) / to_f32(to_f64(dim)));
    (0..dim.div_ceil(2)).map(|pair| to_f32(f64::from(to_f32(theta)).powf(exponent(pair)))).collect()
}

fn yarn(
    dict: &Dict<'_>,
    theta: f64,
    dim: usize,
    max_positions: Option<f64>,
) -> Result<(Frequencies, f64), Fault> {
    let original = dict.original(max_positions)?;
    let factor = match dict.number("factor")? {
        Some(factor) => factor,
        None => required(max_positions)? / original,
    };
    let scale = |mscale: f64| if factor <= 1.0 { 1.0 } else { 0.1 * mscale * factor.ln() + 1.0 };
    let nonzero = |name| dict.number(name).map(|number| number.filter(|value| *value != 0.0));
    let attention_factor =
        match (dict.number("attention_factor")?, nonzero("mscale")?, nonzero("mscale_all_dim")?) {
            (Some(given), ..) => given,
            (None, Some(mscale), Some(all)) => scale(mscale) / scale(all),
            _ => scale(1.0),
        };
    let size = to_f64(dim);
    let turns_at = |turns: f64| size * (original / (turns * 2.0 * PI)).ln() / (2.0 * theta.ln());
    let (mut low, mut high) =
        (turns_at(nonzero("beta_fast")?.unwrap_or(32.0)), turns_at(nonzero("beta_slow")?.unwrap_or(1.0)));
    if dict.0.get("truncate").is_none_or(Const::is_true) {
        (low, high) = (low.floor(), high.ceil());
    }
    let (low, mut high) = (low.max(0.0), high.min(size - 1.0));
    if low.total_cmp(&high).is_eq() {
        high += 0.001;
    }
    let blend = |(pair, power): (usize, &f32)| {
        let ramp = (to_f32(to_f64(pair)) - to_f32(low)) / to_f32(high - low);
        let kept = 1.0 - ramp.clamp(0.0, 1.0);
        (1.0 / (to_f32(factor) * power)) * (1.0 - kept) + (1.0 / power) * kept
    };
    let numbers = powers(theta, dim).iter().enumerate().map(blend).collect();
    Ok((Frequencies::Fixed(numbers), attention_factor))
}

fn longrope(
    dict: &Dict<'_>,
    theta: f64,
    dim: usize,
    max_positions: Option<f64>,
) -> Result<(Frequencies, f64), Fault> {
    let original = dict.original(max_positions)?;
    let factor = match (dict.number("factor")?, max_positions) {
        (Some(factor), _) => factor,
        (None, max_positions) => required(max_positions)? / original,
    };
    let attention_factor = match dict.number("attention_factor")? {
        Some(given) => given,
        None if factor <= 1.0 => 1.0,
        None => (1.0 + factor.ln() / original.ln()).sqrt(),
    };
    let set = |name: &'static str| -> Result<Vec<f32>, Fault> {
        let Some(Const::List(items)) = dict.0.get(name) else {
            return Err(fault(format!("`scaling` has no list `{name}`")));
        };
        let factors: Vec<f64> = items.iter().filter_map(Const::as_f64).collect();
        if factors.len() != dim.div_ceil(2) || factors.len() != items.len() {
            let (found, expected) = (items.len(), dim.div_ceil(2));
            return Err(fault(format!("`{name}` has {found} entries, expected {expected} numbers")));
        }
        Ok(factors.iter().zip(powers(theta, dim)).map(|(f, power)| 1.0 / (to_f32(*f) * power)).collect())
    };
    Ok((
        Frequencies::Long { short: set("short_factor")?, long: set("long_factor")?, original },
        attention_factor,
    ))
}

fn llama3(dict: &Dict<'_>, theta: f64, dim: usize, max_positions: Option<f64>) -> Result<Vec<f32>, Fault> {
    let factor = to_f32(dict.required("factor")?);
    let (low, high) = (dict.required("low_freq_factor")?, dict.required("high_freq_factor")?);
    let original = dict.original(max_positions)?;
    let (longest, shortest) = (to_f32(original / low), to_f32(original / high));
    let scaled = |frequency: f32| {
        let wavelength = to_f32(2.0 * PI) / frequency;
        if wavelength < shortest {
            return frequency;
        }
        if wavelength > longest {
            return frequency / factor;
        }
        let smooth = (to_f32(original) / wavelength - to_f32(low)) / to_f32(high - low);
        (1.0 - smooth) * frequency / factor + smooth * frequency
    };
    Ok(inverse(theta, dim).into_iter().map(scaled).collect())
}

/// The scaling dict, with typed access.
struct Dict<'a>(&'a Const);

impl Dict<'_> {
    fn number(&self, name: &str) -> Result<Option<f64>, Fault> {
        match self.0.get(name) {
            None | Some(Const::None) => Ok(None),
            Some(value) => match value.as_f64() {
                Some(number) if name == "factor" && !(number.is_finite() && number > 0.0) => {
                    Err(fault(format!("`factor` is {number}, expected a number above 0")))
                }
                Some(number) => Ok(Some(number)),
                None => Err(fault(format!("`{name}` is {}, expected a number", value.kind_name()))),
            },
        }
    }

    fn required(&self, name: &str) -> Result<f64, Fault> {
        self.number(name)?.ok_or_else(|| fault(format!("`scaling` has no `{name}`")))
    }

    fn original(&self, max_positions: Option<f64>) -> Result<f64, Fault> {
        match self.number("original_max_position_embeddings")? {
            Some(original) => Ok(original),
            None => required(max_positions),
        }
    }
}

fn required(max_positions: Option<f64>) -> Result<f64, Fault> {
    let missing = "this rope type needs the length that the model was trained for";
    max_positions.ok_or_else(|| fault(missing).help("give `max_positions=max_position_embeddings`"))
}

fn fault(message: impl Into<String>) -> Fault {
    Fault::value(message).of("scaling")
}

#[expect(clippy::cast_precision_loss, reason = "sizes and positions are far below 2^52")]
fn to_f64(number: usize) -> f64 {
    number as f64
}

#[expect(clippy::cast_possible_truncation, reason = "rounds as torch does when it takes a Python float")]
fn to_f32(number: f64) -> f32 {
    number as f32
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "Python's int() of a part of a head, which is small and not negative"
)]
fn truncated(number: f64) -> usize {
    number.max(0.0) as usize
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Reads a dict written as JSON, for heads of 16 numbers, theta 10000 and 128 positions.
    fn rotation(scaling: &str) -> Rotation {
        let scaling: serde_json::Value = serde_json::from_str(scaling).expect("the test writes JSON");
        let given = Given { theta: 10000.0, head_dim: 16, dim: None, max_positions: Some(128.0) };
        Rotation::new(&Const::from(&scaling), given).expect("the dict is complete")
    }

    /// Scaling, length, attention factor, frequencies: recorded with `ROPE_INIT_FUNCTIONS[rope_type](LlamaConfig(
    /// head_dim=16, max_position_embeddings=128, …), "cpu", seq_len=length)` of transformers 5.23.
    const RECORDED: [(&str, usize, f32, &str); 11] = [
        ("{}", 500, 1.0, "1 0.31622776 0.1 0.03162278 0.01 0.003162278 0.001 0.00031622776"),
        (
            r#"{"type": "dynamic", "factor": 2.0}"#,
            100,
            1.0,
            "1 0.31622776 0.1 0.03162278 0.01 0.003162278 0.001 0.00031622776",
        ),
        (
            r#"{"rope_type": "linear", "factor": 4.0, "partial_rotary_factor": 0.5}"#,
            9,
            1.0,
            "0.25 0.025 0.0025 0.00025",
        ),
        (
            r#"{"rope_type": "dynamic", "factor": 2.0}"#,
            300,
            1.0,
            "1 0.262445003 0.068877369 0.0180765204 0.0047440920 0.00124506326 0.000326760608 8.57566774e-05",
        ),
        (
            r#"{"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}"#,
            9,
            1.138_629_4,
            "1 0.237170815 0.049999997 0.00790569466 0.0024999999 0.000790569466 0.00025 7.90569466e-05",
        ),
        (
            r#"{"rope_type": "yarn", "factor": 32.0, "truncate": false, "beta_fast": 32.0, "beta_slow": 1.0}"#,
            9,
            1.346_573_6,
            "1 0.199215323 0.0259948224 0.000988211832 0.000312499993 9.88211832e-05 3.125e-05 9.88211832e-06",
        ),
        (
            r#"{"rope_type": "yarn", "factor": 40.0, "original_max_position_embeddings": 256, "mscale": 1.0,
                "mscale_all_dim": 0.5}"#,
            9,
            1.155_722,
            "1 0.239147246 0.0512499996 0.0084986221 0.000250000012 7.90569466e-05 2.5e-05 7.90569447e-06",
        ),
        (
            LONG,
            32,
            1.183_216,
            "1 0.287479758 0.0833333358 0.0243252143 0.00714285718 0.00210818532 0.000625 0.000186016332",
        ),
        (
            LONG,
            33,
            1.183_216,
            "1 0.158113882 0.0333333351 0.00790569466 0.002 0.00052704633 0.000142857141 3.95284733e-05",
        ),
        (
            r#"{"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                "original_max_position_embeddings": 128}"#,
            9,
            1.0,
            "1 0.316227764 0.0427511781 0.00395284733 0.00125 0.000395284733 0.000125 3.95284733e-05",
        ),
        (
            r#"{"rope_type": "proportional", "partial_rotary_factor": 0.5, "factor": 2.0}"#,
            9,
            1.0,
            "0.5 0.158113882 0.05 0.0158113893 0 0 0 0",
        ),
    ];

    const LONG: &str = r#"{"rope_type": "longrope", "short_factor": [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7],
        "long_factor": [1, 2, 3, 4, 5, 6, 7, 8], "original_max_position_embeddings": 32}"#;

    #[test]
    fn every_scaling_gives_the_frequencies_of_the_reference() {
        for (scaling, length, factor, expected) in RECORDED {
            let rotation = rotation(scaling);
            assert!(
                (rotation.attention_factor - factor).abs() < 1e-6,
                "{scaling}: {}",
                rotation.attention_factor
            );
            let found = rotation.at(length);
            let expected = expected.split_whitespace().map(|number| number.parse::<f32>().expect("a number"));
            let expected: Vec<f32> = expected.collect();
            assert_eq!(found.len(), expected.len(), "{scaling}");
            for (found, expected) in found.iter().zip(expected) {
                assert!(
                    (found - expected).abs() <= 3e-7 * expected,
                    "{scaling}: {found}, expected {expected}"
                );
            }
        }
    }

    #[test]
    fn a_dict_per_layer_type_is_refused_with_help() {
        let entries = vec![(Arc::from("full_attention"), Const::Dict(Arc::new(Vec::new())))];
        let given = Given { theta: 1e4, head_dim: 16, dim: None, max_positions: None };
        let found = Rotation::new(&Const::Dict(Arc::new(entries)), given).expect_err("it names no rope type");
        assert!(found.message.contains("full_attention") && found.help.is_some());
    }

    #[test]
    fn a_head_that_is_wider_than_any_is_refused_before_a_number_is_worked_out() {
        for (head_dim, dim) in [(1_000_000_000, None), (16, Some(usize::MAX))] {
            let given = Given { theta: 1e4, head_dim, dim, max_positions: None };
            let found = Rotation::new(&Const::None, given).expect_err("it is too wide");
            assert!(found.message.contains("at most 65536 can"), "{}", found.message);
        }
    }
}
