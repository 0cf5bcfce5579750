//! The Llama that somebody would write for burn by hand: burn's own norms and operators, and a cache that
//! grows by `cat`.

use burn::module::Param;
use burn::nn::{Embedding, EmbeddingConfig, RmsNorm, RmsNormConfig};
use burn::tensor::activation::{silu, softmax};
use burn::tensor::{Int, Tensor, TensorData};
use omni::model::Model;
use omni::ops::backend::{B, Device};

/// The sizes of the model.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) vocabulary: usize,
    pub(crate) hidden: usize,
    pub(crate) inner: usize,
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
}

/// A product with weights as they are stored, `[outputs, inputs]`. burn's own `Linear` (`LinearLayout::Col`) took nine
/// times as long for a token on the CPU, which would have been no fair comparison.
struct Linear(Tensor<B, 2>);

impl Linear {
    fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let [batch, time, inputs] = x.dims();
        let y = x.reshape([batch * time, inputs]).matmul(self.0.clone().transpose());
        let outputs = y.dims()[1];
        y.reshape([batch, time, outputs])
    }
}

struct Layer {
    norms: [RmsNorm<B>; 2],
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    gate: Linear,
    up: Linear,
    down: Linear,
}

/// A model with the weights of one from the registry.
pub(crate) struct ByHand {
    sizes: Sizes,
    embedding: Embedding<B>,
    layers: Vec<Layer>,
    norm: RmsNorm<B>,
    head: Linear,
    /// Of the rotation, `[positions, head_dim]`.
    cos: Tensor<B, 2>,
    sin: Tensor<B, 2>,
}

/// Keys and values of each layer, so far.
pub(crate) type Cache = Vec<Option<(Tensor<B, 4>, Tensor<B, 4>)>>;

impl ByHand {
    pub(crate) fn new(sizes: Sizes, positions: usize, model: &Model, device: &Device) -> Self {
        let weight = |name: &str| model.params().get(name).expect("the registry has it").value();
        let linear = |name: &str| Linear(weight(name).float());
        let norm = |name: &str| {
            let mut norm = RmsNormConfig::new(sizes.hidden).with_epsilon(1e-6).init(device);
            norm.gamma = Param::from_tensor(weight(name).float::<1>());
            norm
        };
        let mut embedding = EmbeddingConfig::new(sizes.vocabulary, sizes.hidden).init(device);
        embedding.weight = Param::from_tensor(weight("model.embed_tokens.weight").float::<2>());
        let layers = (0..sizes.layers).map(|index| {
            let at = |name: &str| format!("model.layers.{index}.{name}.weight");
            Layer {
                norms: [norm(&at("input_layernorm")), norm(&at("post_attention_layernorm"))],
                q: linear(&at("self_attn.q_proj")),
                k: linear(&at("self_attn.k_proj")),
                v: linear(&at("self_attn.v_proj")),
                o: linear(&at("self_attn.o_proj")),
                gate: linear(&at("mlp.gate_proj")),
                up: linear(&at("mlp.up_proj")),
                down: linear(&at("mlp.down_proj")),
            }
        });
        let (cos, sin) = rotation(positions, sizes.hidden / sizes.heads, device);
        Self {
            sizes,
            embedding,
            layers: layers.collect(),
            norm: norm("model.norm.weight"),
            head: linear("lm_head.weight"),
            cos,
            sin,
        }
    }

    pub(crate) fn cache(&self) -> Cache {
        vec![None; self.sizes.layers]
    }

    /// The logits after the last of the tokens, which follow `past` others.
    pub(crate) fn feed(&self, tokens: &[u32], past: usize, cache: &mut Cache, device: &Device) -> Vec<f32> {
        let ids: Vec<i32> = tokens.iter().map(|id| i32::try_from(*id).expect("a small vocabulary")).collect();
        let time = ids.len();
        let ids = Tensor::<B, 2, Int>::from_data(TensorData::new(ids, [1, time]), device);
        let turn = |table: &Tensor<B, 2>| table.clone().narrow(0, past, time).unsqueeze::<4>();
        let (cos, sin) = (turn(&self.cos), turn(&self.sin));
        let mask = (time > 1).then(|| later(past, time, device));
        let mut x = self.embedding.forward(ids);
        for (layer, cache) in self.layers.iter().zip(cache.iter_mut()) {
            let h = layer.norms[0].forward(x.clone());
            x = x + self.attend(layer, h, &cos, &sin, mask.as_ref(), cache);
            let h = layer.norms[1].forward(x.clone());
            x = x + layer.down.forward(silu(layer.gate.forward(h.clone())) * layer.up.forward(h));
        }
        let last = self.norm.forward(x.narrow(1, time - 1, 1));
        self.head.forward(last).into_data().to_vec().expect("32 bits")
    }

    fn attend(
        &self,
        layer: &Layer,
        x: Tensor<B, 3>,
        cos: &Tensor<B, 4>,
        sin: &Tensor<B, 4>,
        mask: Option<&Tensor<B, 4>>,
        cache: &mut Option<(Tensor<B, 4>, Tensor<B, 4>)>,
    ) -> Tensor<B, 3> {
        let Sizes { hidden, heads, kv_heads, .. } = self.sizes;
        let [batch, time, _] = x.dims();
        let size = hidden / heads;
        let split = |x: Tensor<B, 3>, heads: usize| x.reshape([batch, time, heads, size]).swap_dims(1, 2);
        let q = rotated(split(layer.q.forward(x.clone()), heads), cos, sin);
        let mut k = rotated(split(layer.k.forward(x.clone()), kv_heads), cos, sin);
        let mut v = split(layer.v.forward(x), kv_heads);
        if let Some((keys, values)) = cache.take() {
            k = Tensor::cat(vec![keys, k], 2);
            v = Tensor::cat(vec![values, v], 2);
        }
        *cache = Some((k.clone(), v.clone()));
        let keys = k.dims()[2];
        // The heads that share keys are rows of one product.
        let rows = heads / kv_heads * time;
        let q = q.reshape([batch, kv_heads, rows, size]);
        #[expect(clippy::cast_precision_loss, reason = "a small size")]
        let scores = q.matmul(k.swap_dims(2, 3)) / (size as f32).sqrt();
        let scores = match mask {
            Some(mask) => scores.reshape([batch, heads, time, keys]) + mask.clone(),
            None => scores.reshape([batch, heads, time, keys]),
        };
        let y = softmax(scores, 3).reshape([batch, kv_heads, rows, keys]).matmul(v);
        layer.o.forward(y.reshape([batch, heads, time, size]).swap_dims(1, 2).reshape([batch, time, hidden]))
    }
}

/// `x cos + (-second half, first half) sin`.
fn rotated(x: Tensor<B, 4>, cos: &Tensor<B, 4>, sin: &Tensor<B, 4>) -> Tensor<B, 4> {
    let half = x.dims()[3] / 2;
    let turned = Tensor::cat(vec![-x.clone().narrow(3, half, half), x.clone().narrow(3, 0, half)], 3);
    x * cos.clone() + turned * sin.clone()
}

#[expect(clippy::cast_precision_loss, reason = "small sizes")]
fn rotation(positions: usize, size: usize, device: &Device) -> (Tensor<B, 2>, Tensor<B, 2>) {
    let angles: Vec<f32> = (0..positions)
        .flat_map(|position| {
            (0..size).map(move |index| {
                position as f32 * 10_000_f32.powf(-((2 * (index % (size / 2))) as f32) / size as f32)
            })
        })
        .collect();
    let angles = Tensor::<B, 2>::from_data(TensorData::new(angles, [positions, size]), device);
    (angles.clone().cos(), angles.sin())
}

/// Added to the scores of what comes later.
fn later(past: usize, time: usize, device: &Device) -> Tensor<B, 4> {
    let keys = past + time;
    let cells =
        (0..time * keys).map(|cell| if cell % keys > past + cell / keys { f32::NEG_INFINITY } else { 0.0 });
    Tensor::from_data(TensorData::new(cells.collect::<Vec<_>>(), [1, 1, time, keys]), device)
}
