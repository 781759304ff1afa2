//! A script of PowerShell as its grammar reads it.

use std::collections::BTreeSet;

use tree_sitter::{Node, Parser, Tree};

/// A script without a mistake in its grammar.
pub(crate) struct Script {
    text: String,
    tree: Tree,
}

impl Script {
    /// Parses a script.
    ///
    /// # Panics
    /// Where it has a mistake, with its place.
    pub(crate) fn parse(text: &str) -> Self {
        let mut parser = Parser::new();
        parser.set_language(&tree_sitter_powershell::LANGUAGE.into()).unwrap();
        let tree = parser.parse(text, None).unwrap();
        let script = Self { text: text.to_owned(), tree };
        for node in script.nodes() {
            let broken = node.is_error() || node.is_missing();
            assert!(!broken, "{:?}: {}\n{text}", node.start_position(), script.text_of(node));
        }
        script
    }

    /// Every command with its parameters as they are written, in their order.
    pub(crate) fn commands(&self) -> Vec<String> {
        let commands = self.nodes().into_iter().filter(|node| node.kind() == "command");
        commands.map(|node| self.text_of(node).trim().to_owned()).collect()
    }

    /// The commands of a name, each with the conditions that it stands under, innermost first.
    pub(crate) fn guarded(&self, is_meant: impl Fn(&str) -> bool) -> Vec<(String, Vec<String>)> {
        let is_meant = |node: &Node<'_>| {
            node.kind() == "command"
                && is_meant(self.text_of(*node).split_whitespace().next().unwrap_or_default())
        };
        let conditions = |node: Node<'_>| {
            let above = std::iter::successors(node.parent(), Node::parent);
            let holding = above.filter(|node| ["if_statement", "elseif_clause"].contains(&node.kind()));
            holding.map(|node| self.text_of(node).lines().next().unwrap_or_default().to_owned()).collect()
        };
        let commands = self.nodes().into_iter().filter(is_meant);
        commands.map(|node| (self.text_of(node).trim().to_owned(), conditions(node))).collect()
    }

    /// The names of all commands.
    pub(crate) fn names(&self) -> BTreeSet<&str> {
        let names = self.nodes().into_iter().filter(|node| node.kind() == "command_name");
        names.map(|node| self.text_of(node)).collect()
    }

    /// The commands of a name.
    pub(crate) fn calls(&self, name: &str) -> Vec<String> {
        let is_it = |command: &String| command.split_whitespace().next() == Some(name);
        self.commands().into_iter().filter(is_it).collect()
    }

    /// The plain texts that are assigned to a variable in all places, `+=` with them.
    pub(crate) fn list(&self, variable: &str) -> Vec<String> {
        let assigned = self.nodes().into_iter().filter(|node| {
            node.kind() == "assignment_expression"
                && node.child(0).is_some_and(|left| self.text_of(left).trim() == variable)
        });
        assigned.flat_map(|node| self.texts(node)).collect()
    }

    /// The variables that are read before anything is assigned to them, or anywhere without that.
    pub(crate) fn unknown_variables(&self) -> BTreeSet<String> {
        let mut known: BTreeSet<String> = ["_", "true", "false", "null"].map(str::to_owned).into();
        let mut unknown = BTreeSet::new();
        for node in self.nodes().into_iter().filter(|node| node.kind() == "variable") {
            let name = self.text_of(node).trim_matches(['$', '{', '}']).to_lowercase();
            if self.is_assigned(node) {
                known.insert(name);
            } else if !known.contains(&name) {
                unknown.insert(name);
            }
        }
        unknown
    }

    /// Whether a variable is one that gets a value here: by `=`, by `foreach`, or as a parameter.
    fn is_assigned(&self, variable: Node<'_>) -> bool {
        let above = std::iter::successors(variable.parent(), Node::parent);
        let holder = above.into_iter().find(|node| {
            ["left_assignment_expression", "foreach_statement", "script_parameter", "pipeline_chain"]
                .contains(&node.kind())
        });
        match holder.map(|node| (node, node.kind())) {
            // Of $a.b = c the variable is read.
            Some((node, "left_assignment_expression")) => self.text_of(node).trim() == self.text_of(variable),
            Some((node, "foreach_statement")) => {
                let first = below(node).into_iter().find(|node| node.kind() == "variable");
                first.is_some_and(|first| first.id() == variable.id())
            }
            Some((_, "script_parameter")) => true,
            _ => false,
        }
    }

    fn texts(&self, node: Node<'_>) -> Vec<String> {
        let literals = below(node).into_iter().filter(|node| node.kind() == "verbatim_string_characters");
        let inner = |text: &str| text[1..text.len() - 1].replace("''", "'");
        literals.map(|node| inner(self.text_of(node))).collect()
    }

    fn nodes(&self) -> Vec<Node<'_>> {
        below(self.tree.root_node())
    }

    fn text_of(&self, node: Node<'_>) -> &str {
        &self.text[node.byte_range()]
    }
}

fn below(node: Node<'_>) -> Vec<Node<'_>> {
    let mut found = vec![node];
    let mut at = 0;
    while at < found.len() {
        let node = found[at];
        found.extend(node.children(&mut node.walk()));
        at += 1;
    }
    // In the order of the text.
    found.sort_by_key(|node| (node.start_byte(), std::cmp::Reverse(node.end_byte())));
    found
}
