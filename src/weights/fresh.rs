//! Where the parameters of a model that was never stored are going to be.
//!
//! In: the parameters that a model wants. Out: a [`Binding`] to one safetensors file that does not exist yet,
//! which is all that saving needs. Each parameter is stored in the first of the ways it may be stored in.

use std::collections::BTreeMap;

use super::binding::{Binding, Bound, Source};
use super::dtype::StoredDtype;
use super::error::WeightsError;
use super::layout::Layout;
use super::wanted::Wanted;
use crate::plan::Stored;

/// Stored tensors by name.
type Tensors = BTreeMap<String, (StoredDtype, Vec<usize>)>;

impl Binding {
    /// Plans a checkpoint for parameters that were never stored: one `model.safetensors` of this dtype.
    ///
    /// Each parameter is stored as its [`Wanted`] prefers; tied ones are left to what they are tied to.
    ///
    /// # Errors
    /// If no way of storing a parameter tells the shapes of the tensors that it would make, as parts of
    /// unknown sizes do not.
    pub fn fresh(wanted: &[Wanted], dtype: StoredDtype) -> Result<Self, WeightsError> {
        let mut tensors = Tensors::new();
        let mut params = Vec::with_capacity(wanted.len());
        for one in wanted {
            let source = match &one.tied_to {
                Some(to) => Source::Tied { to: to.clone(), copy: None },
                None => Source::Stored { stored: place(one, dtype, &mut tensors)?, dtype },
            };
            params.push(Bound { name: one.name.clone(), shape: one.shape.clone(), source });
        }
        let layout = Layout::fresh(tensors);
        Ok(Self { params, unused: Vec::new(), open_ties: Vec::new(), layout })
    }
}

/// The first way of storing a parameter whose tensors have known shapes; these are added to `tensors`.
fn place(wanted: &Wanted, dtype: StoredDtype, tensors: &mut Tensors) -> Result<Stored, WeightsError> {
    for stored in &wanted.stored {
        let mut added = Tensors::new();
        if add(stored, dtype, wanted.shape.clone(), &mut added).is_some()
            && stored.shape(&added).is_ok_and(|shape| shape == wanted.shape)
        {
            tensors.append(&mut added);
            return Ok(stored.clone());
        }
    }
    Err(WeightsError::conversion(&wanted.name, "the shapes in which to store it do not follow from its own"))
}

/// Goes from what an expression yields to the tensors that it reads; `None` if their shapes stay unknown.
fn add(stored: &Stored, dtype: StoredDtype, mut shape: Vec<usize>, tensors: &mut Tensors) -> Option<()> {
    match stored {
        Stored::Tensor(name) => {
            tensors.insert(name.clone(), (dtype, shape));
            Some(())
        }
        Stored::Transpose(of, left, right) => {
            (*left.max(right) < shape.len()).then(|| shape.swap(*left, *right))?;
            add(of, dtype, shape, tensors)
        }
        Stored::Stack(parts, axis) => {
            (*axis < shape.len()).then(|| shape.remove(*axis))?;
            parts.iter().try_for_each(|part| add(part, dtype, shape.clone(), tensors))
        }
        Stored::Slice { of, axis, total, .. } => {
            *shape.get_mut(*axis)? = *total;
            add(of, dtype, shape, tensors)
        }
        Stored::Reshape { of, from, .. } => add(of, dtype, from.clone(), tensors),
        Stored::Deinterleave { of, .. } | Stored::Interleave { of, .. } => add(of, dtype, shape, tensors),
        Stored::Concat(..) => None,
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::super::{BindRules, Checkpoint, LoadOptions, SaveOptions, bind, save};
    use super::*;

    fn wanted(name: &str, shape: &[usize], stored: Vec<Stored>) -> Wanted {
        Wanted { stored, ..Wanted::new(name, shape) }
    }

    fn slice(start: usize, len: usize) -> Stored {
        Stored::Slice { of: Box::new(Stored::tensor("qk")), axis: 0, start, len, total: 5 }
    }

    fn ramp(shape: &[usize]) -> TensorData {
        let count: usize = shape.iter().product();
        TensorData::new(
            (0..count).map(|at| f32::from(u16::try_from(at).unwrap_or(0))).collect(),
            shape.to_vec(),
        )
    }

    #[test]
    fn what_is_planned_is_saved_and_loads_back() {
        let mut tied = Wanted::new("head", [2, 3]);
        tied.tied_to = Some("table".to_owned());
        let parts = vec![Stored::tensor("e.0"), Stored::tensor("e.1")];
        let all = [
            Wanted::new("table", [2, 3]),
            tied,
            wanted("q", &[3, 2], vec![slice(0, 3)]),
            wanted("k", &[2, 2], vec![slice(3, 2)]),
            wanted("experts", &[2, 4, 3], vec![Stored::Transpose(Box::new(Stored::Stack(parts, 0)), 1, 2)]),
        ];
        let binding = Binding::fresh(&all, StoredDtype::F32).expect("every shape is known");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let values = || all.iter().map(|one| (one.name.clone(), ramp(&one.shape)));
        save(dir.path(), values(), &binding, None, SaveOptions::default()).expect("it is written");

        let checkpoint = Checkpoint::open(dir.path()).expect("it opens");
        let names: Vec<&str> = checkpoint.tensors().map(|(name, _)| name).collect();
        assert_eq!(names, ["e.0", "e.1", "qk", "table"]);
        let binding = bind(&all, &checkpoint, &BindRules::default()).expect("it fits");
        let mut progress = |_, _| {};
        let mut count = 0;
        for loaded in binding.load(&checkpoint, LoadOptions::default(), &mut progress) {
            let loaded = loaded.expect("it is read");
            let one = all.iter().find(|one| one.name == loaded.name).expect("it was wanted");
            assert_eq!(loaded.data, ramp(&one.shape), "{}", one.name);
            count += 1;
        }
        assert_eq!(count, 4);
    }

    #[test]
    fn parts_of_unknown_sizes_are_passed_over_or_refused() {
        let parts = Stored::Concat(vec![Stored::tensor("a"), Stored::tensor("b")], 0);
        let other = wanted("x", &[4], vec![parts.clone(), Stored::tensor("x")]);
        let binding = Binding::fresh(&[other], StoredDtype::F32).expect("the second way is known");
        assert_eq!(binding.params()[0].source.names(), ["x"]);
        let error = Binding::fresh(&[wanted("x", &[4], vec![parts])], StoredDtype::F32);
        assert!(error.expect_err("no way is known").to_string().contains("`x`"));
    }
}
