//! A definition as a tree to look at: layers, tensors, shapes, counts.
//!
//! Takes a [`Program`]; gives a [`Graph`], in which repeated blocks of a list are one node, ready to be drawn or written
//! as JSON. Counts are of numbers, as references count parameters: a tied tensor counts where it is owned, and
//! buffers count apart.
//!
//! Absent on purpose: drawing, which is `cli`'s.

mod fold;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::diag::Problem;
use crate::lang::{Layer, Program};
use crate::ops::{Slot, TensorType};
use crate::plan::{Param, ParamId, Plan};

/// A definition built for one config, as a tree.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Graph {
    /// The architecture's name.
    pub architecture: String,
    /// Its category.
    pub category: String,
    /// What it does.
    pub task: String,
    /// The number of trainable numbers.
    pub parameters: u64,
    /// The number of stored numbers that are never trained.
    pub buffers: u64,
    /// The number of tensors, tied ones included.
    pub tensors: usize,
    /// The ways in.
    pub methods: Vec<Method>,
    /// The tree.
    pub root: Node,
    /// The config that it was built for.
    pub config: Value,
}

/// A way into the model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Method {
    /// Its name.
    pub name: String,
    /// What must be given, by name, with its type.
    pub inputs: Vec<(String, String)>,
    /// What comes out, by name, with its type.
    pub outputs: Vec<(String, String)>,
}

/// A layer, a list of layers, or several layers that are alike.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Node {
    /// Its name within the node above it; `0…11` for blocks that are alike.
    pub name: String,
    /// What its tensors' names start with; of the first one, for blocks that are alike.
    pub path: String,
    /// The module that it is; `None` for a list of layers.
    pub module: Option<String>,
    /// The type of what it gives, where that is one tensor.
    pub output: Option<String>,
    /// The trainable numbers in it and below it, of all blocks that are alike. What is below is for one block.
    pub parameters: u64,
    /// The tensors of its own.
    pub tensors: Vec<Tensor>,
    /// The names of the blocks that are alike; empty for a single one.
    pub repeats: Vec<String>,
    /// What is below it.
    pub children: Vec<Node>,
}

/// A tensor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tensor {
    /// Its name within the layer.
    pub name: String,
    /// Its sizes.
    pub shape: Vec<usize>,
    /// Whether it is never trained.
    pub buffer: bool,
    /// The tensor that it shares, if it has none of its own.
    pub tied_to: Option<String>,
    /// How a checkpoint stores it, where not under its own name and shape.
    pub stored: Option<String>,
}

impl Graph {
    /// The tree of a definition that was built for `config`.
    ///
    /// # Errors
    /// The first thing in a body that does not fit: shapes come from tracing every method.
    pub fn new(program: &mut Program<'_>, config: &Value) -> Result<Self, Problem> {
        let names: Vec<String> = program.methods().into_iter().map(str::to_owned).collect();
        let mut outputs = BTreeMap::new();
        let mut methods = Vec::new();
        for name in names {
            let plan = program.trace(&name, &|_| false)?;
            // A layer that several methods call is shown as the first of them sees it, `forward` before all.
            let found = taps(&plan);
            if name == "forward" {
                let earlier = std::mem::replace(&mut outputs, found);
                earlier.into_iter().for_each(|(path, ty)| _ = outputs.entry(path).or_insert(ty));
            } else {
                found.into_iter().for_each(|(path, ty)| _ = outputs.entry(path).or_insert(ty));
            }
            methods.push(method(&plan));
        }
        methods.sort_by_key(|method| method.name != "forward");
        let mut root = node(&program.tree(), program.params(), &outputs);
        let architecture = program.architecture();
        root.name.clone_from(&architecture.name.text);
        let params = program.params();
        let buffers = params.iter().filter(|param| param.buffer && param.tied_to.is_none());
        Ok(Self {
            category: architecture.category.text.clone(),
            task: architecture.task.text.clone(),
            architecture: architecture.name.text.clone(),
            parameters: parameters(params),
            buffers: buffers.map(Param::elements).sum(),
            tensors: params.len(),
            methods,
            root,
            config: config.clone(),
        })
    }
}

/// The number of trainable numbers of a definition, shared ones counted once.
#[must_use]
pub fn parameters(params: &[Param]) -> u64 {
    params.iter().map(counted).fold(0, u64::saturating_add)
}

fn counted(param: &Param) -> u64 {
    if param.buffer || param.tied_to.is_some() { 0 } else { param.elements() }
}

fn method(plan: &Plan) -> Method {
    Method {
        name: plan.method.clone(),
        inputs: plan.inputs.iter().map(|input| (input.name.clone(), input.ty.to_string())).collect(),
        outputs: plan.outputs.iter().map(|(name, _, ty)| (name.clone(), ty.to_string())).collect(),
    }
}

/// What each layer gives, by its path.
fn taps(plan: &Plan) -> BTreeMap<String, String> {
    let inputs = plan.inputs.iter().map(|input| (input.slot, &input.ty));
    let params = plan.params.iter().map(|(_, slot, ty)| (*slot, ty));
    let written = plan.instrs.iter().flat_map(|instr| &instr.outputs).map(|(slot, ty)| (*slot, ty));
    let types: HashMap<Slot, &TensorType> = inputs.chain(params).chain(written).collect();
    let typed = |(path, slot): &(Arc<str>, Slot)| Some((path.to_string(), types.get(slot)?.to_string()));
    plan.taps.iter().filter_map(typed).collect()
}

fn node(layer: &Layer, params: &[Param], outputs: &BTreeMap<String, String>) -> Node {
    let children: Vec<Node> = layer.layers.iter().map(|child| node(child, params, outputs)).collect();
    let own = layer.params.iter().map(|id| counted(&params[id.0]));
    let below = children.iter().map(|child| child.parameters);
    let parameters = own.chain(below).fold(0, u64::saturating_add);
    let children = if layer.module.is_none() { fold::alike(children) } else { children };
    let node = Node {
        name: layer.name.clone(),
        path: layer.path.clone(),
        module: layer.module.clone(),
        output: outputs.get(&layer.path).cloned(),
        parameters,
        tensors: layer.params.iter().map(|id| tensor(*id, layer, params)).collect(),
        repeats: Vec::new(),
        children,
    };
    fold::only(node)
}

fn tensor(id: ParamId, layer: &Layer, params: &[Param]) -> Tensor {
    let param = &params[id.0];
    let within = param.name.strip_prefix(&layer.path).unwrap_or(&param.name).trim_start_matches('.');
    let plain = param.stored.iter().any(|stored| stored.to_string() == param.name);
    Tensor {
        name: within.to_owned(),
        shape: param.shape.clone(),
        buffer: param.buffer,
        tied_to: param.tied_to.map(|owner| params[owner.0].name.clone()),
        stored: if plain { None } else { param.stored.first().map(ToString::to_string) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Source;
    use crate::registry::Registry;

    const TOY: &str = "[architectures.Toy]\ncategory = 'c'\ntask = 't'\nmodel-types = ['toy']\n\
        [config.toy]\ndefaults = { depth = 3, wide = 4, odd = 1 }\n\
        [modules.Toy]\ninputs = ['x']\ntypes.x = 'float[batch, wide]'\n\
        layers.first = 'Square(wide)'\n\
        layers.blocks = '[Square(wide, i == odd) for i in range(depth)]'\n\
        layers.last = 'Square(wide)'\ntied.last = 'first'\n\
        forward = '''\nx = first(x)\nfor block in blocks:\n    x = block(x)\nreturn last(x)\n'''\n\
        [modules.Square]\nargs = ['size', 'bias=False']\ninputs = ['x']\n\
        params.weight = '[size, size]'\nparams.bias = '[size] if bias else None'\nbuffers.seen = '[1]'\n\
        forward = '''\ny = linear(x, weight, bias)\nreturn y + seen\n'''\n";

    fn graph(config: &Value) -> Graph {
        let (registry, problems) = Registry::from_files([Source::new("toy.toml", TOY)]);
        assert!(problems.is_empty(), "{problems}");
        let mut program = Program::build(&registry, &registry.architectures["Toy"], config, None)
            .expect("the definition fits the config");
        Graph::new(&mut program, config).expect("the bodies fit")
    }

    #[test]
    fn blocks_that_are_alike_are_one_node_and_counts_are_of_all() {
        let graph = graph(&serde_json::json!({ "depth": 4 }));
        // Four squares of 4 x 4 and one bias of 4; the last is tied to the first.
        assert_eq!((graph.parameters, graph.buffers, graph.tensors), (5 * 16 + 4, 5, 13));
        let blocks = &graph.root.children[1];
        assert_eq!((blocks.name.as_str(), blocks.module.as_deref()), ("blocks", None));
        let shown: Vec<(&str, usize, u64)> = blocks
            .children
            .iter()
            .map(|node| (node.name.as_str(), node.repeats.len(), node.parameters))
            .collect();
        assert_eq!(shown, [("0, 2…3", 3, 48), ("1", 0, 20)]);
        let last = &graph.root.children[2];
        assert_eq!((last.parameters, last.tensors[0].tied_to.as_deref()), (0, Some("first.weight")));
        assert_eq!(last.output.as_deref(), Some("float[batch, 4]"));
    }

    #[test]
    fn a_list_of_nothing_but_blocks_that_are_alike_is_one_node() {
        let graph = graph(&serde_json::json!({ "odd": 9 }));
        let blocks = &graph.root.children[1];
        assert_eq!((blocks.name.as_str(), blocks.path.as_str()), ("blocks.0…2", "blocks.0"));
        assert_eq!((blocks.repeats.len(), blocks.parameters), (3, 48));
    }
}
