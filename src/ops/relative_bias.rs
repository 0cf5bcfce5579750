//! T5's relative position bias: `relative_bias`.
//!
//! Takes a learned weight `[buckets, heads]` and a time axis; gives what is added to the scores of every query and
//! key, `[1, heads, queries, keys]`, by the bucket of their distance. In a step of a generation the rows are those of the new
//! tokens, over all keys so far.
//!
//! Buckets as in `T5Attention._relative_position_bucket` of transformers (arXiv 1910.10683, §2.1).
//!
//! Absent on purpose: the attention that takes the bias.

use burn::tensor::{Int, Tensor, TensorData};

use super::backend::B;
use super::call::{Call, Fault, Traced};
use super::kernel::{Context, Inputs, Kernel, Outputs, RunError};
use super::positions::to_i32;
use super::types::{TensorType, show_shape};
use super::{Dim, Op, Value};

pub(super) const OPS: &[Op] = &[Op {
    name: "relative_bias",
    signature: "x, weight, *, buckets, max_distance, bidirectional=True",
    summary: "the bias [1, heads, t, t] that weight [buckets, heads] gives the distances within x [batch, t, …]",
    trace: relative_bias,
}];

fn relative_bias(call: &mut Call) -> Result<Traced, Fault> {
    let x = call.tensor("x")?;
    let weight = call.ranked("weight", 2)?;
    let buckets = call.int("buckets")?;
    let max_distance = call.int("max_distance")?;
    let bidirectional = call.bool("bidirectional")?;
    let Some(time) = x.shape.get(1).cloned() else {
        let found = show_shape(&x.shape);
        return Err(Fault::shape(format!("`x` is {found}, expected [batch, time, …]")).of("x"));
    };
    call.same(&weight.shape[0], &Dim::Known(buckets), "the rows of weight and `buckets`")
        .map_err(|fault| fault.of("weight"))?;
    let buckets = Buckets::new(buckets, max_distance, bidirectional)?;
    let output = vec![Dim::Known(1), weight.shape[1].clone(), time.clone(), time.clone()];
    Ok(Traced::one(RelativeBias { buckets, time }, TensorType::float(output)))
}

/// How distances become rows of the weight.
#[derive(Debug, Clone, Copy)]
struct Buckets {
    /// Those of one direction.
    count: i32,
    max_distance: i32,
    bidirectional: bool,
}

impl Buckets {
    fn new(buckets: i64, max_distance: i64, bidirectional: bool) -> Result<Self, Fault> {
        let directions = if bidirectional { 2 } else { 1 };
        let count = i32::try_from(buckets / directions).unwrap_or(0);
        if count < 2 {
            return Err(Fault::value(format!("{buckets} buckets are too few")).of("buckets"));
        }
        match i32::try_from(max_distance) {
            Ok(max_distance) if max_distance > count / 2 => Ok(Self { count, max_distance, bidirectional }),
            _ => {
                let exact = count / 2;
                Err(Fault::value(format!("`max_distance` is {max_distance}, expected more than {exact}"))
                    .of("max_distance"))
            }
        }
    }

    /// The bucket of a key's position minus the query's.
    fn of(self, relative: i32) -> i32 {
        let (side, distance) = match (self.bidirectional, relative > 0) {
            (true, true) => (self.count, relative),
            (true, false) => (0, -relative),
            (false, _) => (0, -relative.min(0)),
        };
        let exact = self.count / 2;
        if distance < exact {
            return side + distance;
        }
        #[expect(clippy::cast_precision_loss, reason = "distances are f32 in the reference, too")]
        let log = (distance as f32 / exact as f32).ln();
        let range = (f64::from(self.max_distance) / f64::from(exact)).ln();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "rounded and truncated where the reference does"
        )]
        let far = exact + (log / range as f32 * (self.count - exact) as f32) as i32;
        side + far.min(self.count - 1)
    }
}

#[derive(Debug)]
struct RelativeBias {
    buckets: Buckets,
    time: Dim,
}

impl Kernel for RelativeBias {
    fn run(&self, mut inputs: Inputs, context: &mut Context<'_>) -> Result<Outputs, RunError> {
        let _ = inputs.take();
        let weight = inputs.take().float::<2>();
        let count = context.size(&self.time)?;
        let past = context.past_along(&self.time).unwrap_or(0);
        let keys = past + count;
        let heads = weight.dims()[1];
        if count == 0 {
            return Ok(Tensor::<B, 4>::zeros([1, heads, 0, keys], (context.device, weight.dtype())).into());
        }
        // One row per distance from the last query back to the first key, and on to the last key from the first query.
        let distances = keys + count - 1;
        let (last, size) = (to_i32(keys - 1)?, to_i32(distances)?);
        let rows: Vec<i32> = (0..size).map(|index| self.buckets.of(index - last)).collect();
        let rows = Tensor::<B, 1, Int>::from_data(TensorData::new(rows, [distances]), context.device);
        let by_distance = weight.select(0, rows).swap_dims(0, 1);
        if count == 1 {
            return Ok(Value::from(by_distance).reshape(vec![1, heads, 1, keys]).into());
        }
        // The key at column k stands k - (past + i) after query i, and thus at count - 1 - i + k in the table.
        let at = (0..to_i32(count)?).rev().collect::<Vec<_>>();
        let queries = Tensor::<B, 2, Int>::from_data(TensorData::new(at, [count, 1]), context.device);
        let columns = (0..to_i32(keys)?).collect::<Vec<_>>();
        let columns = Tensor::<B, 2, Int>::from_data(TensorData::new(columns, [1, keys]), context.device);
        let index = (queries + columns).reshape([count * keys]);
        Ok(by_distance.select(1, index).reshape([1, heads, count, keys]).into())
    }

    fn reads_context(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::stepping::Steps;
    use super::super::testing::{assert_close, check_gradient, fault, noise, run_one, sample};
    use super::*;

    /// Where the bucket changes between distances -600 and 600: recorded with `T5Attention._relative_position_bucket`
    /// of transformers 5.23.
    const RECORDED: [(bool, i64, i64, &str); 5] = [
        (
            true,
            32,
            128,
            "-600:15 -90:14 -63:13 -45:12 -31:11 -22:10 -15:9 -11:8 -7:7 -6:6 -5:5 -4:4 -3:3 -2:2 -1:1 \
             0:0 1:17 2:18 3:19 4:20 5:21 6:22 7:23 8:24 12:25 16:26 23:27 32:28 46:29 64:30 91:31",
        ),
        (
            false,
            32,
            128,
            "-600:31 -112:30 -98:29 -86:28 -76:27 -66:26 -58:25 -51:24 -45:23 -39:22 -34:21 -30:20 \
             -26:19 -23:18 -20:17 -18:16 -15:15 -14:14 -13:13 -12:12 -11:11 -10:10 -9:9 -8:8 -7:7 -6:6 \
             -5:5 -4:4 -3:3 -2:2 -1:1 0:0",
        ),
        (true, 8, 20, "-600:3 -6:2 -1:1 0:0 1:5 2:6 7:7"),
        (false, 8, 20, "-600:7 -13:6 -8:5 -5:4 -3:3 -2:2 -1:1 0:0"),
        (
            false,
            16,
            100,
            "-600:15 -72:14 -53:13 -38:12 -28:11 -20:10 -15:9 -10:8 -7:7 -6:6 -5:5 -4:4 -3:3 -2:2 -1:1 \
             0:0",
        ),
    ];

    #[test]
    fn buckets_are_those_of_the_reference() {
        for (bidirectional, count, max_distance, changes) in RECORDED {
            let buckets =
                Buckets::new(count, max_distance, bidirectional).expect("recorded arguments are valid");
            let mut found: Vec<(i32, i32)> =
                (-600..=600).map(|relative| (relative, buckets.of(relative))).collect();
            found.dedup_by_key(|(_, bucket)| *bucket);
            let found: Vec<String> = found.iter().map(|(from, bucket)| format!("{from}:{bucket}")).collect();
            assert_eq!(found.join(" "), changes, "{bidirectional} {count} {max_distance}");
        }
    }

    #[test]
    fn every_query_and_key_get_the_row_of_their_distance() {
        for bidirectional in [false, true] {
            let args = vec![
                ("x", sample(&[2, 7, 3]), Some(1)),
                ("weight", sample(&[8, 2]), None),
                ("buckets", 8.into(), None),
                ("max_distance", 20.into(), None),
                ("bidirectional", bidirectional.into(), None),
            ];
            let buckets = Buckets::new(8, 20, bidirectional).expect("valid");
            let weight = noise(16);
            let expected = |head: usize, query: usize, key: usize| {
                let relative = to_i32(key).expect("small") - to_i32(query).expect("small");
                weight[usize::try_from(buckets.of(relative)).expect("a row") * 2 + head]
            };
            let steps = Steps::new("relative_bias", 7, 2, args);
            let rows = (0..2).flat_map(|head| (0..7).map(move |query| (head, query)));
            let all: Vec<f32> =
                rows.flat_map(|(head, query)| (0..7).map(move |key| expected(head, query, key))).collect();
            assert_close(&steps.whole(), &all);
        }
    }

    #[test]
    fn a_step_gives_the_rows_of_the_new_tokens_over_all_keys() {
        let args = |time: usize| {
            vec![
                ("x", sample(&[1, time, 1]), Some(1)),
                ("weight", sample(&[8, 2]), None),
                ("buckets", 8.into(), None),
                ("max_distance", 20.into(), None),
            ]
        };
        let whole = Steps::new("relative_bias", 5, 2, args(5)).whole();
        let steps = Steps::new("relative_bias", 5, 2, args(5));
        for (before, count) in [(2, 3), (4, 1)] {
            let found = steps.last_step(before, count);
            let rows = (0..2).flat_map(|head| whole[(head * 5 + before) * 5..(head + 1) * 25].to_vec());
            assert_close(&found, &rows.collect::<Vec<f32>>());
        }
    }

    #[test]
    fn no_token_has_no_rows() {
        let args = [
            ("x", sample(&[1, 0])),
            ("weight", sample(&[8, 2])),
            ("buckets", 8.into()),
            ("max_distance", 9.into()),
        ];
        assert_eq!(run_one("relative_bias", &args).0, [1, 2, 0, 0]);
    }

    #[test]
    fn gradients_pass_through_and_wrong_arguments_are_named() {
        let args = |buckets: i64, distance: i64| {
            [
                ("x", super::super::testing::ints(&[1, 3], &[1, 2, 3])),
                ("weight", sample(&[8, 2])),
                ("buckets", buckets.into()),
                ("max_distance", distance.into()),
            ]
        };
        check_gradient("relative_bias", &args(8, 20));
        assert_eq!(fault("relative_bias", &args(16, 20)).parameter, Some("weight"));
        assert_eq!(fault("relative_bias", &args(8, 2)).parameter, Some("max_distance"));
    }
}
