//! Expressions: what is read by one is written back by its inverse.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::weights::testing::{self, ramp};
use crate::weights::unstore::Unstore;
use crate::weights::{Checkpoint, Stored, StoredDtype};

/// Reads `stored` from a checkpoint of these tensors, undoes it, and compares.
fn round_trip(tensors: &[(&str, Vec<usize>)], params: &[Stored]) -> Vec<Vec<u8>> {
    let dir = tempfile::tempdir().expect("temporary directory");
    let whole: Vec<(&str, StoredDtype, Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, shape)| {
            let bytes = ramp(shape.iter().product::<usize>() * 2);
            (*name, StoredDtype::I16, shape.clone(), bytes)
        })
        .collect();
    testing::write(&dir.path().join("model.safetensors"), &whole);
    let checkpoint = Checkpoint::open(dir.path()).expect("opens");
    let mut unstore = Unstore::default();
    let mut back: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut read = Vec::new();
    for stored in params {
        let node = stored.resolve(&checkpoint).expect("fits");
        let tensor = stored.read(&checkpoint).expect("reads");
        assert_eq!(tensor.bytes.len(), node.bytes(), "{stored}");
        unstore
            .put(&node, &tensor.bytes, &mut |name, bytes| {
                back.insert(name.to_owned(), bytes.to_vec());
                Ok(())
            })
            .expect("undone");
        read.push(tensor.bytes);
    }
    unstore.finish().expect("complete");
    for (name, _, _, bytes) in &whole {
        assert_eq!(back.get(*name), Some(bytes), "{name} of {params:?}");
    }
    read
}

fn boxed(stored: &Stored) -> Box<Stored> {
    Box::new(stored.clone())
}

#[test]
fn a_fused_projection_is_cut_and_put_together() {
    let fused = Stored::tensor("qkv");
    let part = |start, len| Stored::Slice { of: boxed(&fused), axis: 0, start, len, total: 8 };
    let read = round_trip(&[("qkv", vec![8, 3])], &[part(6, 2), part(0, 4), part(4, 2)]);
    assert_eq!(read[1], ramp(48)[..24]);
}

#[test]
fn heads_that_hold_query_key_and_value_in_turn() {
    let (heads, size) = (2, 4);
    let by_head = Stored::Reshape {
        of: boxed(&Stored::tensor("w")),
        from: vec![heads * 3 * size, 5],
        to: vec![heads, 3, size, 5],
    };
    let part = |start| Stored::Reshape {
        of: Box::new(Stored::Slice { of: boxed(&by_head), axis: 1, start, len: 1, total: 3 }),
        from: vec![heads, 1, size, 5],
        to: vec![heads * size, 5],
    };
    let read = round_trip(&[("w", vec![24, 5])], &[part(0), part(1), part(2)]);
    let row = |row: usize| ramp(240)[row * 10..(row + 1) * 10].to_vec();
    assert_eq!(read[1][..10], row(4), "the first key row is the second block of the first head");
    assert_eq!(read[0][40..50], row(12), "then comes the second head");
}

#[test]
fn experts_stack_and_transpose() {
    let expert = |name: &str| Stored::Transpose(boxed(&Stored::tensor(name)), 0, 1);
    let stack = Stored::Stack(vec![expert("e0"), expert("e1")], 0);
    let read = round_trip(&[("e0", vec![2, 3]), ("e1", vec![2, 3])], &[stack]);
    let element = |at: usize| ramp(12)[at * 2..at * 2 + 2].to_vec();
    assert_eq!(read[0][..4], [element(0), element(3)].concat());
}

#[test]
fn rotary_rows_move_from_neighbours_to_halves() {
    let stored = Stored::rope_to_halves(Stored::tensor("q"), 1);
    let read = round_trip(&[("q", vec![4, 1])], &[stored]);
    let rows: Vec<u8> = [0, 2, 1, 3].iter().flat_map(|&at| ramp(8)[at * 2..at * 2 + 2].to_vec()).collect();
    assert_eq!(read[0], rows);
    let other = Stored::rope_to_interleaved(Stored::tensor("q"), 1);
    assert_eq!(round_trip(&[("q", vec![4, 1])], &[other])[0], rows, "with two halves of two they agree");
}

#[test]
fn an_empty_tensor_of_absurd_extents_is_only_empty() {
    let shape = vec![0, 4, usize::MAX / 2, 8];
    let of = Box::new(Stored::tensor("z"));
    let slice = Stored::Slice { of: of.clone(), axis: 1, start: 3, len: 1, total: 4 };
    assert_eq!(round_trip_empty(&shape, &slice), 0);
    assert_eq!(round_trip_empty(&shape, &Stored::Transpose(of.clone(), 1, 2)), 0);
    let shuffled = Stored::Deinterleave { of, axis: 1, blocks: 2, ways: 2 };
    assert_eq!(round_trip_empty(&shape, &shuffled), 0);
}

/// The bytes read from a tensor without any.
fn round_trip_empty(shape: &[usize], stored: &Stored) -> usize {
    let dir = tempfile::tempdir().expect("temporary directory");
    let json = format!(r#"{{"z":{{"dtype":"F32","shape":{shape:?},"data_offsets":[0,0]}}}}"#);
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend(json.as_bytes());
    std::fs::write(dir.path().join("model.safetensors"), bytes).expect("written");
    let checkpoint = Checkpoint::open(dir.path()).expect("opens");
    let node = stored.resolve(&checkpoint).expect("fits");
    let read = stored.read(&checkpoint).expect("reads").bytes;
    Unstore::default().put(&node, &read, &mut |_, _| Ok(())).expect("undone");
    read.len()
}

#[test]
fn a_part_that_no_parameter_holds_is_an_error() {
    let headers = BTreeMap::from([("w".to_owned(), (StoredDtype::U8, vec![4]))]);
    let slice =
        |start, len| Stored::Slice { of: Box::new(Stored::tensor("w")), axis: 0, start, len, total: 4 };
    let node = |stored: Stored| stored.resolve(&headers).expect("fits");
    let mut unstore = Unstore::default();
    let mut nothing = |_: &str, _: &[u8]| panic!("nothing is complete");
    unstore.put(&node(slice(0, 2)), &[1, 2], &mut nothing).expect("taken");
    unstore.put(&node(slice(0, 2)), &[1, 2], &mut nothing).expect("the same again");
    assert!(unstore.put(&node(slice(0, 2)), &[1, 3], &mut nothing).is_err(), "differs");
    assert!(unstore.put(&node(slice(3, 1)), &[1, 3], &mut nothing).is_err(), "wrong size");
    let error = unstore.finish().expect_err("incomplete").to_string();
    assert!(error.contains("`w`") && error.contains("0..2"), "{error}");
}

/// An expression, the tensors that it names, and the shape that it yields.
type Made = (Stored, Vec<(String, Vec<usize>)>, Vec<usize>);

/// A random expression over tensor names that are not used twice, with its tensors.
fn expression() -> impl Strategy<Value = Made> {
    let leaf = prop::collection::vec(1_usize..4, 1..4).prop_map(|mut shape| {
        shape[0] *= 6;
        let name = "t".to_owned();
        (Stored::tensor("t"), vec![(name, shape.clone())], shape)
    });
    leaf.prop_recursive(4, 12, 3, |inner| {
        (inner, 0_usize..6, 0_usize..3, 0_usize..3).prop_map(|(inner, what, left, right)| {
            let (of, names, shape) = inner;
            let (left, right) = (left % shape.len(), right % shape.len());
            wrap(of, names, shape, what, left, right)
        })
    })
}

fn wrap(
    of: Stored,
    names: Vec<(String, Vec<usize>)>,
    mut shape: Vec<usize>,
    what: usize,
    left: usize,
    right: usize,
) -> Made {
    let even = shape[left].is_multiple_of(6);
    match what {
        0 => {
            shape.swap(left, right);
            (Stored::Transpose(Box::new(of), left, right), names, shape)
        }
        1 if even => {
            (Stored::Deinterleave { of: Box::new(of), axis: left, blocks: 3, ways: 2 }, names, shape)
        }
        2 if even => (Stored::Interleave { of: Box::new(of), axis: left, blocks: 1, ways: 3 }, names, shape),
        3 => {
            let from = shape.clone();
            shape.reverse();
            (Stored::Reshape { of: Box::new(of), from, to: shape.clone() }, names, shape)
        }
        4 | 5 => {
            let second = suffixed(&of);
            let both: Vec<(String, Vec<usize>)> = names
                .iter()
                .cloned()
                .chain(names.iter().map(|(name, shape)| (format!("{name}'"), shape.clone())))
                .collect();
            if what == 4 {
                shape[left] *= 2;
                (Stored::Concat(vec![of, second], left), both, shape)
            } else {
                shape.insert(left, 2);
                (Stored::Stack(vec![of, second], left), both, shape)
            }
        }
        _ => (of, names, shape),
    }
}

fn suffixed(stored: &Stored) -> Stored {
    stored.rename(&mut |name| Some(format!("{name}'"))).expect("every name is replaced")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever is read by an expression is written back by its inverse, whole or in slices.
    #[test]
    fn undoing_an_expression_gives_the_checkpoint_back(
        (stored, tensors, shape) in expression(), axis in 0_usize..4, cut in 0_usize..8,
    ) {
        // A name may occur twice, where an expression doubled one that was doubled before.
        let tensors: BTreeMap<&str, Vec<usize>> =
            tensors.iter().map(|(name, shape)| (name.as_str(), shape.clone())).collect();
        let tensors: Vec<(&str, Vec<usize>)> = tensors.into_iter().collect();
        round_trip(&tensors, std::slice::from_ref(&stored));
        let axis = axis % shape.len();
        let cut = 1 + cut % shape[axis];
        let slice = |start, len| {
            Stored::Slice { of: boxed(&stored), axis, start, len, total: shape[axis] }
        };
        let mut parts = vec![slice(0, cut)];
        if cut < shape[axis] {
            parts.insert(0, slice(cut, shape[axis] - cut));
        }
        round_trip(&tensors, &parts);
    }
}
