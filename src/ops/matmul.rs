//! The matrix product `@`.
//!
//! In: two tensors of one kind, with axes before the last two broadcast and single axes treated as in `PyTorch`.
//! Out: their product. A product with one matrix for all of a batch is one large product.
//!
//! Absent on purpose: products by named axes; see `einsum.rs`.

use burn::tensor::ops::{FloatTensorOps, IntTensorOps};

use super::Op;
use super::backend::B;
use super::call::{Call, Fault, Traced};
use super::function::kernel;
use super::kernel::Context;
use super::operand::unified;
use super::types::{Kind, TensorType, show_shape};
use super::value::Value;

pub(super) const OPS: &[Op] = &[Op {
    name: "matmul",
    signature: "a, b",
    summary: "the product of matrices a [..., n, k] and b [..., k, m]: [..., n, m]; either may be one vector",
    trace: matmul,
}];

fn matmul(call: &mut Call) -> Result<Traced, Fault> {
    let (a, b) = (call.tensor("a")?, call.tensor("b")?);
    if a.kind != b.kind || a.kind == Kind::Bool {
        return Err(Fault::new(
            "wrong-kind",
            format!("a product of `{a}` and `{b}`, expected one kind of number"),
        ));
    }
    let ([.., inner], [.., last]) = (&*a.shape, &*b.shape) else {
        return Err(Fault::shape(format!("a product of `{a}` and `{b}`, expected one dimension or more")));
    };
    let rows = if b.rank() > 1 { &b.shape[b.rank() - 2] } else { last };
    let what = format_args!(
        "the sizes that a product of {} and {} sums over",
        show_shape(&a.shape),
        show_shape(&b.shape)
    );
    call.same(inner, rows, what)?;
    let batch = |ty: &TensorType| ty.shape[..ty.rank().saturating_sub(2)].to_vec();
    let mut shape = call.broadcast(&batch(&a), &batch(&b))?;
    shape.extend((a.rank() > 1).then(|| a.shape[a.rank() - 2].clone()));
    shape.extend((b.rank() > 1).then(|| last.clone()));
    let ty = TensorType { kind: a.kind, shape: shape.clone().into() };
    let run = kernel(move |mut inputs, context| {
        let (a, b) = (inputs.take(), inputs.take());
        let sizes = context.sizes(&shape)?;
        Ok(product(a, b, context).reshape(sizes).into())
    });
    Ok(Traced::one(run, ty))
}

/// The product as matrices; single axes are left in as axes of size 1.
pub(super) fn product(a: Value, b: Value, context: &Context<'_>) -> Value {
    let kind = a.kind();
    let (a, b) = unified(a, b, kind, context);
    let a = if a.rank() == 1 { a.with_unit_axis(0) } else { a };
    let b = if b.rank() == 1 { b.with_unit_axis(1) } else { b };
    let mut shape = a.shape();
    if b.rank() == 2 && a.rank() > 2 {
        let columns = b.shape()[1];
        let inner = shape.pop().unwrap_or(1);
        let rows = shape.iter().product();
        shape.push(columns);
        return multiply(a.reshape(vec![rows, inner]), b).reshape(shape);
    }
    let rank = a.rank().max(b.rank());
    multiply(a.with_rank(rank), b.with_rank(rank))
}

fn multiply(a: Value, b: Value) -> Value {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => Value::Float(B::float_matmul(a, b)),
        (a, b) => Value::Int(B::int_matmul(a.into_primitive(), b.into_primitive())),
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::{
        TestArg, assert_close, check_gradient, check_half, fault, ints, noise, run_one, sample,
    };

    fn naive(a: &[f32], b: &[f32], [n, k, m]: [usize; 3]) -> Vec<f32> {
        let at =
            |row: usize, column: usize| (0..k).map(|inner| a[row * k + inner] * b[inner * m + column]).sum();
        (0..n)
            .flat_map(|row| (0..m).map(move |column| (row, column)))
            .map(|(row, column)| at(row, column))
            .collect()
    }

    fn call(a: &[usize], b: &[usize]) -> (Vec<usize>, Vec<f32>) {
        let batch: Vec<usize> = (0..a.len().saturating_sub(1)).filter(|axis| a[*axis] != 1).collect();
        run_one("matmul", &[("a", sample(a).symbolic(&batch)), ("b", sample(b))])
    }

    #[test]
    fn matrices_vectors_and_batches() {
        let (shape, found) = call(&[2, 3], &[3, 4]);
        assert_eq!(shape, [2, 4]);
        assert_close(&found, &naive(&noise(6), &noise(12), [2, 3, 4]));
        // One matrix for a whole batch.
        let (shape, found) = call(&[2, 2, 3], &[3, 4]);
        assert_eq!(shape, [2, 2, 4]);
        assert_close(&found, &naive(&noise(12), &noise(12), [4, 3, 4]));
        // A batch of matrices on both sides, one broadcast.
        let (shape, found) = call(&[1, 2, 3], &[2, 3, 1]);
        assert_eq!(shape, [2, 2, 1]);
        let (a, b) = (noise(6), noise(6));
        let expected = [naive(&a, &b[..3], [2, 3, 1]), naive(&a, &b[3..], [2, 3, 1])].concat();
        assert_close(&found, &expected);
        assert_eq!(call(&[3], &[3]).0, Vec::<usize>::new());
        assert_close(&call(&[3], &[3]).1, &naive(&noise(3), &noise(3), [1, 3, 1]));
        assert_eq!(call(&[3], &[2, 3, 4]).0, [2, 4]);
        assert_eq!(call(&[2, 4, 3], &[3]).0, [2, 4]);
        assert_eq!(call(&[0, 3], &[3, 2]).0, [0, 2]);
        assert_eq!(call(&[2, 0], &[0, 2]), (vec![2, 2], vec![0.0; 4]));
    }

    #[test]
    fn ints_multiply_and_kinds_do_not_mix() {
        let args = [("a", ints(&[1, 2], &[1, 2])), ("b", ints(&[2, 1], &[3, 4]))];
        assert_eq!(run_one("matmul", &args), (vec![1, 1], vec![11.0]));
        let wrong = |b: TestArg| fault("matmul", &[("a", sample(&[2, 3])), ("b", b)]).message;
        assert!(wrong(ints(&[3, 1], &[1, 2, 3])).contains("one kind"));
        assert!(wrong(sample(&[2, 3])).contains("3 and 2"));
    }

    #[test]
    fn gradients_flow_through_broadcasting() {
        check_gradient("matmul", &[("a", sample(&[2, 2, 3])), ("b", sample(&[3, 2]))]);
        check_half("matmul", &[("a", sample(&[2, 2, 3])), ("b", sample(&[3, 2]))]);
        check_gradient("matmul", &[("a", sample(&[1, 2, 3])), ("b", sample(&[2, 3, 2]))]);
    }
}
