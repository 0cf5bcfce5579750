//! Blocks that are alike as one node.

use super::Node;

/// The nodes of a list, those that differ in their names alone as one, in the order of their first.
pub(super) fn alike(nodes: Vec<Node>) -> Vec<Node> {
    let mut groups: Vec<Vec<Node>> = Vec::new();
    for node in nodes {
        match groups.iter_mut().find(|group| same(&group[0], &node)) {
            Some(group) => group.push(node),
            None => groups.push(vec![node]),
        }
    }
    groups.into_iter().map(merged).collect()
}

/// A list that holds one node alone, as that node.
pub(super) fn only(mut node: Node) -> Node {
    if node.module.is_some() || node.children.len() != 1 {
        return node;
    }
    let Some(mut child) = node.children.pop() else { return node };
    child.name = format!("{}.{}", node.name, child.name);
    child
}

fn merged(mut group: Vec<Node>) -> Node {
    let repeats: Vec<String> = group.iter().map(|node| node.name.clone()).collect();
    let parameters = group.iter().map(|node| node.parameters).fold(0, u64::saturating_add);
    let first = group.swap_remove(0);
    if repeats.len() == 1 {
        return first;
    }
    Node { name: ranges(&repeats), parameters, repeats, ..first }
}

/// Whether two nodes differ in their names alone, at any depth.
fn same(a: &Node, b: &Node) -> bool {
    a.module == b.module
        && a.output == b.output
        && a.parameters == b.parameters
        && a.tensors.len() == b.tensors.len()
        && a.tensors.iter().zip(&b.tensors).all(|(a, b)| {
            a.name == b.name && a.shape == b.shape && a.buffer == b.buffer && a.tied_to == b.tied_to
        })
        && a.children.len() == b.children.len()
        && a.children.iter().zip(&b.children).all(|(a, b)| a.name == b.name && same(a, b))
}

/// `0…3, 5, 7…9` for the names of a list; more than three pieces are cut short.
fn ranges(names: &[String]) -> String {
    let mut pieces: Vec<(&str, &str)> = Vec::new();
    for name in names {
        match pieces.last_mut() {
            Some((_, last)) if follows(last, name) => *last = name,
            _ => pieces.push((name, name)),
        }
    }
    let shown = pieces
        .iter()
        .take(3)
        .map(|(first, last)| if first == last { (*first).to_owned() } else { format!("{first}…{last}") });
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if pieces.len() > 3 {
        text.push_str(", …");
    }
    text
}

fn follows(last: &str, next: &str) -> bool {
    let numbers = last.parse::<u64>().ok().zip(next.parse::<u64>().ok());
    numbers.is_some_and(|(last, next)| last.checked_add(1) == Some(next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_a_row_are_a_range() {
        let ranges = |numbers: &[u32]| ranges(&numbers.iter().map(u32::to_string).collect::<Vec<_>>());
        assert_eq!(ranges(&[0, 1, 2]), "0…2");
        assert_eq!(ranges(&[0, 2, 3]), "0, 2…3");
        assert_eq!(ranges(&[0, 2, 4, 6]), "0, 2, 4, …");
    }
}
