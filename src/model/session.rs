//! One generation: a prompt, then token after token, with the state that the ops keep.
//!
//! Works from the task's contract alone: the method that generates, over the tokens of its first input, after
//! `encode` where the task has that. What a step computes from the encoder's output and the
//! parameters alone is computed once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use burn::tensor::Slice;
use burn::tensor::ops::FloatTensorOps;

use super::error::ModelError;
use super::inputs::{Given, Inputs};
use super::model::Model;
use super::run::Prepared;
use crate::ops::backend::B;
use crate::ops::{Cache, Context, Slot, Value};
use crate::plan::Phase;
use crate::registry::Contract;

/// What to do with a model whose task generates no tokens.
pub(super) fn generates_nothing(task: &str) -> String {
    format!(
        "a model for `{task}` generates no tokens; `omni plan DIR` prints what it takes and gives, and in Rust \
         `Model::forward` runs it"
    )
}

/// A running generation.
#[derive(Debug)]
pub struct Session<'m> {
    model: &'m Model,
    prepared: Arc<Prepared>,
    cache: Cache,
    /// The name of the input that takes tokens.
    tokens: &'m str,
    /// The symbol that grows.
    step: usize,
    /// Inputs that stay the same in every step.
    fixed: Inputs,
    phases: Vec<Phase>,
    once: Option<BTreeMap<Slot, Value>>,
    /// Row by row: which positions hold a token; `None` while none is padding.
    mask: Option<Vec<Vec<bool>>>,
    mask_name: Option<String>,
    /// The position of the next token of each row, where positions were given.
    next: Vec<i32>,
    rows: usize,
}

impl Model {
    /// Whether the model can generate tokens, by its task's contract.
    #[must_use]
    pub fn can_generate(&self) -> bool {
        self.generation().is_some()
    }

    /// What the model's task asks of a method, if it knows it.
    pub(super) fn contract(&self, method: &str) -> Option<&Contract> {
        let task = self.definition.registry.tasks.get(self.task())?;
        task.methods.iter().find_map(|(name, contract)| (name.text == method).then_some(contract))
    }

    /// The method and the input of each decoding step, if the task has one.
    fn generation(&self) -> Option<(&str, &str)> {
        let task = self.definition.registry.tasks.get(self.task())?;
        let method = task.generates.as_ref()?.text.as_str();
        Some((method, &self.contract(method)?.inputs.first()?.text))
    }

    /// Starts a generation that may reach `capacity` positions, prompt included.
    ///
    /// For an encoder-decoder, `inputs` are those of the encoder, which runs now; otherwise they are further
    /// inputs of each step, usually none. [`POSITIONS`](super::POSITIONS) among them are those of the tokens that are fed first; the
    /// tokens after them count on from the highest of their row.
    ///
    /// # Errors
    /// If the task does not generate, or if the encoder's inputs do not fit.
    pub fn session(&self, inputs: &Inputs, capacity: usize) -> Result<Session<'_>, ModelError> {
        let Some((method, tokens)) = self.generation() else {
            return Err(ModelError::Unsupported(generates_nothing(self.task())));
        };
        let mut fixed = inputs.clone();
        if self.contract("encode").is_some() {
            fixed = self.encoded(inputs)?;
        }
        let mut present: Vec<String> = fixed.names().map(str::to_owned).collect();
        present.push(tokens.to_owned());
        present.sort();
        let probe = present.iter().filter(|name| !self.definition.registry.masks.contains_key(name));
        let probe = probe.fold(Inputs::new(), |inputs, name| match fixed.get(name) {
            Some(Given::Tensor(value)) => inputs.tensor(name, value.clone()),
            Some(Given::Floats { data, shape }) => inputs.floats(name, data.to_vec(), shape.clone()),
            Some(Given::Ints { data, shape }) => inputs.ints(name, data.to_vec(), shape.clone()),
            None => inputs.ints(name, vec![0], [1, 1]),
        });
        let prepared = self.prepared(method, &probe)?;
        let plan = &prepared.plan;
        let symbol =
            plan.inputs.iter().find(|input| input.name == tokens).and_then(|input| input.ty.shape.get(1));
        let step = symbol.and_then(|dim| dim.as_symbol()).map(|symbol| symbol.index).ok_or_else(|| {
            ModelError::Unsupported(format!(
                "`{tokens}` of `{method}` has no axis that a generation could grow"
            ))
        })?;
        let changing: BTreeSet<Slot> = plan
            .inputs
            .iter()
            .filter(|input| fixed.get(&input.name).is_none())
            .map(|input| input.slot)
            .collect();
        let phases = plan.phases(&changing, Some(step));
        let step_name = &plan.symbols[step].name;
        let masks = &self.definition.registry.masks;
        let mask_name =
            masks.iter().find(|(_, symbol)| ***symbol == **step_name).map(|(name, _)| name.clone());
        let cache = Cache::new(plan.states, capacity);
        Ok(Session {
            model: self,
            cache,
            tokens,
            step,
            fixed,
            phases,
            once: None,
            mask: None,
            mask_name,
            next: Vec::new(),
            rows: 0,
            prepared,
        })
    }

    /// Runs the encoder; gives what every step of the decoder is given.
    fn encoded(&self, inputs: &Inputs) -> Result<Inputs, ModelError> {
        let encoded = self.call("encode", inputs, &[])?;
        let Some(states) = encoded.get("last_hidden_state") else {
            return Err(ModelError::Unsupported("`encode` gives no `last_hidden_state`".to_owned()));
        };
        let mut fixed = Inputs::new().tensor("encoder_hidden_states", states.clone());
        // The encoder's padding is that of its states, unless it shortens its axis.
        if let Some(Given::Ints { data, shape }) = inputs.get("attention_mask")
            && shape.get(1) == states.shape().get(1)
        {
            fixed = fixed.ints("encoder_attention_mask", data.to_vec(), shape.clone());
        }
        Ok(fixed)
    }
}

impl Session<'_> {
    /// How many positions were fed so far.
    #[must_use]
    pub fn position(&self) -> usize {
        self.cache.past
    }

    /// Feeds tokens, all rows equally many, and gives the logits after the last one of each row.
    ///
    /// `mask` says which of the tokens are real; padding belongs on the left.
    ///
    /// # Errors
    /// If a token has no row in the table, if the capacity or the position table is exceeded, or if an op fails.
    pub fn feed(
        &mut self,
        rows: &[Vec<u32>],
        mask: Option<&[Vec<bool>]>,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let length = rows.first().map_or(0, Vec::len);
        let uneven =
            rows.iter().any(|row| row.len() != length) || (self.rows != 0 && rows.len() != self.rows);
        if length == 0 || uneven {
            let found =
                format!("{:?} tokens in {} rows", rows.iter().map(Vec::len).collect::<Vec<_>>(), rows.len());
            return Err(ModelError::WrongInput {
                name: self.tokens.to_owned(),
                found,
                expected: format!("equally many tokens, at least one, in {} rows", self.rows.max(1)),
            });
        }
        let past = self.cache.past;
        if past + length > self.cache.capacity {
            let message = format!(
                "{} tokens exceed the {} that the generation was started for",
                past + length,
                self.cache.capacity
            );
            return Err(ModelError::Unsupported(message));
        }
        self.rows = rows.len();
        self.extend_mask(length, mask);
        let data = rows.iter().flatten().map(|id| i64::from(*id)).collect();
        let mut inputs = self.fixed.clone().ints(self.tokens, data, [rows.len(), length]);
        let positions = self.positions(&inputs, length)?;
        let last = positions.as_ref().and_then(|positions| positions.iter().max().copied().map(i64::from));
        let last = last.unwrap_or_else(|| i64::try_from(past + length - 1).unwrap_or(i64::MAX));
        self.prepared.check_positions(last)?;
        if let (Some(mask), Some(name)) = (&self.mask, &self.mask_name) {
            let data = mask.iter().flatten().map(|keep| i64::from(*keep)).collect();
            inputs = inputs.ints(name, data, [mask.len(), past + length]);
        }
        let logits = self.run(&inputs, positions)?;
        self.cache.past += length;
        Ok(logits)
    }

    fn run(
        &mut self,
        inputs: &Inputs,
        positions: Option<Arc<Vec<i32>>>,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let model = self.model;
        let symbols = self.prepared.symbols(inputs)?;
        let values = self.prepared.inputs(inputs, &symbols, &model.device, model.float)?;
        let masks = &model.definition.registry.masks;
        let padding = self.prepared.padding(inputs, masks, &symbols, self.cache.past, Some(self.step))?;
        let mut context = Context::new(&model.device, model.float, symbols);
        context.padding = padding;
        context.step = Some(self.step);
        context.positions = positions;
        context.last_only = true;
        let params = model.values(&self.prepared.plan);
        let once = match self.once.take() {
            Some(once) => once,
            None => self.prepared.run_once(params.clone(), &values, &mut context, &self.phases)?,
        };
        context.cache = Some(&mut self.cache);
        let results = self.prepared.run_step(params, &values, &once, &self.phases, &mut context);
        self.once = Some(once);
        let logits = results?.remove("logits");
        let logits =
            logits.ok_or_else(|| ModelError::Unsupported("the method gives no `logits`".to_owned()))?;
        rows_of_last(logits)
    }

    fn extend_mask(&mut self, length: usize, mask: Option<&[Vec<bool>]>) {
        let given = mask.filter(|mask| mask.iter().flatten().any(|keep| !keep));
        if self.mask.is_none() && given.is_none() {
            return;
        }
        let past = self.cache.past;
        let rows = self.mask.get_or_insert_with(|| vec![vec![true; past]; self.rows]);
        for (index, row) in rows.iter_mut().enumerate() {
            match given.and_then(|mask| mask.get(index)) {
                Some(new) => row.extend(new.iter().copied()),
                None => row.extend(std::iter::repeat_n(true, length)),
            }
            row.resize(past + length, true);
        }
    }

    /// The position of each new token: those given, then on from there; else its place among the real ones of its
    /// row, where some are padding.
    fn positions(&mut self, inputs: &Inputs, length: usize) -> Result<Option<Arc<Vec<i32>>>, ModelError> {
        if self.cache.past == 0
            && let Some((_, given)) = self.prepared.positions(inputs, &self.prepared.symbols(inputs)?)?
        {
            let row = |row: usize| given.chunks(length).skip(row).step_by(self.rows).flatten().max();
            self.next = (0..self.rows).map(|index| row(index).map_or(0, |last| last + 1)).collect();
            return Ok(Some(given));
        }
        if !self.next.is_empty() {
            let count = i32::try_from(length).unwrap_or(i32::MAX);
            let positions = self.next.iter().flat_map(|next| *next..next.saturating_add(count)).collect();
            self.next.iter_mut().for_each(|next| *next = next.saturating_add(count));
            return Ok(Some(Arc::new(positions)));
        }
        Ok(self.mask.as_ref().map(|mask| Self::places(mask, length)))
    }

    /// The place of each of the last `length` tokens among the real ones of its row.
    fn places(mask: &[Vec<bool>], length: usize) -> Arc<Vec<i32>> {
        let mut positions = Vec::with_capacity(mask.len() * length);
        for row in mask {
            let mut count = -1;
            let counted: Vec<i32> = row
                .iter()
                .map(|keep| {
                    count += i32::from(*keep);
                    count.max(0)
                })
                .collect();
            positions.extend_from_slice(&counted[counted.len() - length..]);
        }
        Arc::new(positions)
    }
}

/// The last position of each row of `[rows, time, vocabulary]`, in host memory.
fn rows_of_last(logits: Value) -> Result<Vec<Vec<f32>>, ModelError> {
    let shape = logits.shape();
    let [rows, time, vocabulary] = shape.as_slice() else {
        return Err(ModelError::Unsupported(format!(
            "the logits have the shape {shape:?}, expected [rows, time, vocabulary]"
        )));
    };
    let last = if *time == 1 {
        logits
    } else {
        let slices = [Slice::from(0..*rows), Slice::from(time - 1..*time), Slice::from(0..*vocabulary)];
        Value::Float(B::float_slice(logits.into_primitive(), &slices))
    };
    let data = last.to_host().convert::<f32>();
    let numbers = data.as_slice::<f32>().map_err(|error| ModelError::Unsupported(format!("{error:?}")))?;
    Ok(numbers.chunks(*vocabulary).map(<[f32]>::to_vec).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Source;
    use crate::ops::backend::Device;
    use crate::registry::Registry;

    /// One layer that keeps two states, called in every way that a body has.
    const REPEATED: &str = r#"
[architectures.RepeatedForCausalLM]
category    = "transformers"
task        = "causal-lm"
model-types = ["repeated"]

[config.repeated]
defaults = { vocab_size = 16, hidden_size = 8, num_heads = 2 }

[modules.RepeatedForCausalLM]
inputs        = ["input_ids"]
layers.embed  = "Embedding(vocab_size, hidden_size)"
layers.mixer  = "RepeatedMixer()"
layers.mixers = "[RepeatedMixer() for i in range(2)]"
layers.head   = "Linear(hidden_size, vocab_size)"
forward = '''
x = mixer(mixer(embed(input_ids)))
for i in range(2):
    x = mixers[0](x)
for layer in [mixers[1], mixers[1]]:
    x = layer(x)
again = mixer
return {"logits": head(again.part(x) + mixer.part(x))}
'''

[modules.RepeatedMixer]
inputs        = ["x"]
layers.qkv    = "Linear(hidden_size, 3 * hidden_size)"
params.kernel = "[hidden_size, 1, 3]"
forward       = 'return part(short_conv(x, kernel))'
methods.part = { inputs = ["x"], body = '''
q, k, v = chunk(rearrange(qkv(x), "b t (h d) -> b h t d", h=num_heads), 3)
return x + rearrange(attention(q, k, v, causal=True), "b h t d -> b t (h d)")
''' }
"#;

    #[test]
    fn each_call_of_a_layer_keeps_a_state_of_its_own() {
        let registry = Registry::embedded().expect("the shipped registry loads");
        let registry =
            registry.with_file(&Source::new("repeated.toml", REPEATED)).expect("it is a registry file");
        let config = serde_json::json!({ "model_type": "repeated" });
        let model =
            Model::init(registry, "RepeatedForCausalLM", config, Device::Flex(burn_flex::FlexDevice), 7)
                .expect("it builds");
        let plan = model.plan("forward", &["input_ids"]).expect("it traces");
        let with_state = |op: &str| plan.instrs.iter().filter(|instr| instr.op == op).count();
        assert_eq!((with_state("short_conv"), with_state("attention"), plan.states), (6, 8, 14));

        let tokens: Vec<u32> = vec![3, 1, 4, 1, 5, 9, 2, 6];
        let whole = model.forward(&Inputs::tokens(std::slice::from_ref(&tokens))).expect("it runs");
        let whole: Vec<f32> = whole.values["logits"].to_host().iter::<f32>().collect();
        let mut session = model.session(&Inputs::new(), tokens.len()).expect("it generates");
        for (at, step) in [&tokens[..3], &tokens[3..4], &tokens[4..]].into_iter().enumerate() {
            let found = session.feed(&[step.to_vec()], None).expect("a step runs");
            let wanted = &whole[(session.position() - 1) * 16..][..16];
            for (found, wanted) in found[0].iter().zip(wanted) {
                assert!((found - wanted).abs() < 1e-4, "step {at}: {found} against {wanted}");
            }
        }
    }
}
