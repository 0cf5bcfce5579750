//! The tree of a definition as one page that needs nothing else.
//!
//! What is in it came from files that nobody vouches for: as markup it is escaped, as data it cannot end its element,
//! and the page's policy lets it load nothing.

use super::graph_text::{self, Look};
use crate::graph::Graph;

const PAGE: &str = include_str!("graph.html");

/// The page.
pub(crate) fn page(graph: &Graph) -> Result<String, serde_json::Error> {
    let data = serde_json::to_string(graph)?;
    let text = graph_text::draw(graph, &Look { width: None, depth: usize::MAX, colour: false });
    let mut page = String::with_capacity(PAGE.len() + data.len() + text.len());
    // Filled in one pass, so that what is filled in is never taken for a hole.
    let mut rest = PAGE;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((hole, after)) = after.split_once("}}") else { break };
        page.push_str(before);
        match hole {
            "title" => page.push_str(&escaped(&graph.architecture)),
            "text" => page.push_str(&escaped(&text)),
            _ => page.push_str(&inert(&data)),
        }
        rest = after;
    }
    Ok(page + rest)
}

/// Text within markup.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            letter => out.push(letter),
        }
    }
    out
}

/// JSON within a script element: the same JSON, without a letter that could end the element or open a comment.
fn inert(json: &str) -> String {
    json.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Node;
    use serde_json::{Value, json};

    const HOSTILE: &str = "</script><script>alert(1)</script><!-- {{text}} & \" ' \u{2028}";

    fn hostile() -> Graph {
        let root = Node {
            name: HOSTILE.to_owned(),
            path: HOSTILE.to_owned(),
            module: Some(HOSTILE.to_owned()),
            output: Some(HOSTILE.to_owned()),
            parameters: 0,
            tensors: Vec::new(),
            repeats: Vec::new(),
            children: Vec::new(),
        };
        Graph {
            architecture: HOSTILE.to_owned(),
            category: HOSTILE.to_owned(),
            task: HOSTILE.to_owned(),
            parameters: 0,
            buffers: 0,
            tensors: 0,
            methods: Vec::new(),
            root,
            config: json!({ HOSTILE: HOSTILE }),
        }
    }

    #[test]
    fn a_hostile_string_stays_data() -> Result<(), Box<dyn std::error::Error>> {
        let graph = hostile();
        let page = page(&graph)?;
        let clean = PAGE.matches('<').count();
        assert_eq!(page.matches('<').count(), clean, "nothing that was filled in opens an element");
        assert!(!page.contains("alert(1)</script>"));
        let data = page.split_once("id=\"data\">").and_then(|(_, rest)| rest.split_once("</script>"));
        let read: Value = serde_json::from_str(data.ok_or("the page holds data")?.0)?;
        assert_eq!(read, serde_json::to_value(&graph)?, "and what it holds is what was given");
        Ok(())
    }

    #[test]
    fn the_page_asks_for_nothing_from_elsewhere() {
        for word in ["http://", "https://", "src=", "href=", "@import", "url(", "fetch(", "innerHTML"] {
            assert!(!PAGE.contains(word), "the page has `{word}`");
        }
        assert!(PAGE.contains("default-src 'none'"));
        assert_eq!(PAGE.matches("{{").count(), 4, "two titles, the text, the data");
    }
}
