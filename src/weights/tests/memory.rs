//! Loading: how much is read at once, and what happens when the file changes meanwhile.

use std::fs::File;

use crate::weights::resolve::{Node, Op};
use crate::weights::stream::{PIECE, equal, stream};
use crate::weights::strided::gather;
use crate::weights::testing::{ramp, write};
use crate::weights::{
    BindRules, Checkpoint, LoadDtype, LoadOptions, Stored, StoredDtype, Wanted, WeightsError, bind,
};

const ROWS: usize = 1024;
const COLUMNS: usize = 4200;

/// A matrix of a little more than a piece, and its bytes.
fn large() -> (tempfile::TempDir, Checkpoint, Vec<u8>) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let bytes = ramp(ROWS * COLUMNS * 2);
    let tensor = ("a", StoredDtype::BF16, vec![ROWS, COLUMNS], bytes.clone());
    write(&dir.path().join("model.safetensors"), &[tensor]);
    let checkpoint = Checkpoint::open(dir.path()).expect("opens");
    (dir, checkpoint, bytes)
}

fn a() -> Stored {
    Stored::tensor("a")
}

fn columns(start: usize, len: usize) -> Stored {
    Stored::Slice { of: Box::new(a()), axis: 1, start, len, total: COLUMNS }
}

/// What a node should yield, from all bytes of the only tensor.
fn expected(node: &Node, bytes: &[u8]) -> Vec<u8> {
    match &node.op {
        Op::Leaf(_) => bytes.to_vec(),
        Op::Reshape(of) => expected(of, bytes),
        Op::Permute(of, view) => gather(&expected(of, bytes), 2, view, 0..node.elements()),
        Op::Slice(of, slice) => gather(&expected(of, bytes), 2, &slice.view, 0..node.elements()),
        Op::Concat(parts, axis) => {
            let parts: Vec<(Vec<u8>, usize)> = parts
                .iter()
                .map(|part| (expected(part, bytes), part.shape[*axis..].iter().product::<usize>() * 2))
                .collect();
            let outer: usize = node.shape[..*axis].iter().product();
            let mut all = Vec::new();
            for row in 0..outer {
                for (part, width) in &parts {
                    all.extend_from_slice(&part[row * width..(row + 1) * width]);
                }
            }
            all
        }
    }
}

/// Nothing that is read or handed on is larger than a piece, and nothing is mapped: reading ends in an error where
/// the file ends early, not in a signal.
#[test]
fn every_order_is_read_in_pieces() {
    let (dir, checkpoint, bytes) = large();
    let transposed = || Stored::Transpose(Box::new(a()), 0, 1);
    let cases = [
        a(),
        transposed(),
        columns(3, 4000),
        Stored::rope_to_halves(a(), 16),
        Stored::Concat(vec![a(), a()], 0),
        Stored::Concat(vec![columns(0, 200), a()], 1),
        Stored::Concat(vec![transposed(), transposed()], 1),
        Stored::Stack(vec![transposed(), transposed()], 0),
        Stored::Stack(vec![a(), a()], 1),
        // Rows as long as a matrix, which is more than a piece.
        Stored::Concat(
            vec![Stored::Reshape { of: Box::new(a()), from: vec![ROWS, COLUMNS], to: vec![2, 2_150_400] }; 2],
            1,
        ),
        // A slice in the middle of what was joined and turned.
        Stored::Slice {
            of: Box::new(Stored::Concat(vec![transposed(), transposed()], 1)),
            axis: 0,
            start: 1001,
            len: 2500,
            total: COLUMNS,
        },
    ];
    for stored in &cases {
        let node = stored.resolve(&checkpoint).expect("fits");
        let mut all = Vec::with_capacity(node.bytes());
        stream(&node, &checkpoint, &mut |piece| {
            assert!(piece.len() <= PIECE, "a piece of {} bytes of {stored}", piece.len());
            all.extend_from_slice(piece);
            Ok(())
        })
        .expect("reads");
        assert!(all == expected(&node, &bytes), "{stored} is read wrongly");
        let longest = checkpoint.files()[0].longest_read();
        assert!(longest <= PIECE, "{longest} bytes were read at once for {stored}");
    }
    let path = dir.path().join("model.safetensors");
    File::options().write(true).open(&path).and_then(|file| file.set_len(1 << 20)).expect("cut");
    for stored in &cases {
        let node = stored.resolve(&checkpoint).expect("fits");
        let error = stream(&node, &checkpoint, &mut |_| Ok(()));
        let cut = matches!(&error, Err(WeightsError::Truncated { file, .. }) if *file == path);
        assert!(cut, "{stored}: {error:?}");
    }
}

#[test]
fn a_file_cut_short_while_it_is_loaded_is_named() {
    let (dir, checkpoint, _) = large();
    let wanted = [Wanted::new("a", [ROWS, COLUMNS])];
    let binding = bind(&wanted, &checkpoint, &BindRules::default()).expect("binds");
    let path = dir.path().join("model.safetensors");
    File::options().write(true).open(&path).and_then(|file| file.set_len(1 << 20)).expect("cut");
    for dtype in [LoadDtype::Keep, LoadDtype::F32, LoadDtype::F16] {
        let options = LoadOptions { dtype, check_values: true };
        let error = binding.load_one("a", &checkpoint, options).expect_err("cut");
        let text = error.to_string();
        assert!(text.contains("model.safetensors` is cut short: it has 1048576 bytes"), "{text}");
    }
}

#[test]
fn a_conversion_of_many_jobs_reads_little_at_once() {
    let (_dir, checkpoint, bytes) = large();
    let wanted = [Wanted::new("a", [ROWS, COLUMNS])];
    let binding = bind(&wanted, &checkpoint, &BindRules::default()).expect("binds");
    let options = LoadOptions { dtype: LoadDtype::F32, check_values: false };
    let loaded = binding.load_one("a", &checkpoint, options).expect("loads");
    let values = loaded.data.as_bytes();
    let same = values.as_chunks::<4>().0.iter().zip(bytes.as_chunks::<2>().0);
    assert!(
        same.clone().count() == ROWS * COLUMNS && same.into_iter().all(|(wide, stored)| wide[2..] == *stored)
    );
    // As many buffers as threads: even 256 of them stay below 64 MiB.
    assert!(checkpoint.files()[0].longest_read() <= 256 << 10);
    // Memory of the numbers' own kind is what burn takes over; of bytes it would make a second copy.
    let address = values.as_ptr().addr();
    let taken: Vec<f32> = loaded.data.into_vec().expect("singles");
    assert_eq!(taken.as_ptr().addr(), address, "copied");
}

#[test]
fn tensors_are_compared_to_the_last_byte() {
    let (_dir, checkpoint, _) = large();
    let node = |stored: Stored| stored.resolve(&checkpoint).expect("fits");
    let rebuilt = Stored::Concat(vec![columns(0, 1000), columns(1000, 3200)], 1);
    assert!(equal(&node(a()), &node(rebuilt), &checkpoint).expect("reads"));
    let doubled = Stored::Concat(vec![columns(0, 4199), columns(0, 1)], 1);
    assert!(!equal(&node(a()), &node(doubled), &checkpoint).expect("reads"));
    assert!(!equal(&node(a()), &node(columns(0, 9)), &checkpoint).expect("reads"));
}
