//! Many patterns at once: which of them match a name.
//!
//! Patterns share a node for each level that they begin with alike. A walk takes, from each node, the
//! child of the name's next level and the child for `*`, where they exist; so it visits exactly the
//! nodes whose way from the root matches the front of the name, each of them once. Over `k` levels
//! these are at most `2^k`, but only as many as have been inserted: a name cannot make a walk long,
//! only many patterns can that all match its front. Nothing here recurses, so that no pattern is too
//! deep.

use std::collections::HashMap;
use std::iter;

use super::{Level, Pattern, split_level};

/// Values by the patterns that they were inserted with.
///
/// A level that no other pattern shares takes some 150 bytes beside its text.
#[derive(Debug)]
pub struct PatternTrie<V> {
    root: Node<V>,
    count: usize,
}

#[derive(Debug)]
struct Node<V> {
    /// Of the patterns that end here.
    exact: Vec<V>,
    /// Of the patterns that go on with `>`.
    rest: Vec<V>,
    /// For `*`.
    star: Option<Box<Self>>,
    literals: Literals<V>,
}

/// The children by name. Most nodes have one, for which no map is made.
#[derive(Debug)]
struct Literals<V> {
    /// Not in `more`.
    first: Option<(Box<str>, Box<Node<V>>)>,
    /// Hashed with keys that nobody outside knows, so hostile names cost no more than others.
    more: HashMap<Box<str>, Node<V>>,
}

impl<V> Default for PatternTrie<V> {
    fn default() -> Self {
        Self {
            root: Node::default(),
            count: 0,
        }
    }
}

impl<V> PatternTrie<V> {
    /// Adds a value. A pattern may have several; they are kept in the order in which they came.
    pub fn insert(&mut self, pattern: &Pattern, value: V) {
        self.count += 1;
        let mut node = &mut self.root;
        for level in pattern.levels() {
            node = match level {
                Level::Literal(name) => node.literals.get_or_insert(name),
                Level::One => node.star.get_or_insert_default(),
                Level::Rest => {
                    node.rest.push(value);
                    return;
                }
            };
        }
        node.exact.push(value);
    }

    /// Takes out the first value of a pattern that is the one meant, and frees what only it needed.
    pub fn remove(&mut self, pattern: &Pattern, is: impl FnMut(&V) -> bool) -> Option<V> {
        let values = self.values_mut(pattern)?;
        let index = values.iter().position(is)?;
        let removed = values.remove(index);
        if values.is_empty() {
            *values = Vec::new();
            self.prune(pattern);
        }
        self.count -= 1;
        Some(removed)
    }

    /// Gives each value whose pattern matches the name, once, in an order that depends only on what
    /// has been inserted and removed.
    pub fn matches<'t>(&'t self, name: &str, mut each: impl FnMut(&'t V)) {
        self.walk(name, |node, is_end| {
            node.rest.iter().for_each(&mut each);
            if is_end {
                node.exact.iter().for_each(&mut each);
            }
        });
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All values, those of one pattern together and in their order.
    pub fn iter(&self) -> impl Iterator<Item = &V> {
        let mut open = vec![&self.root];
        let nodes = iter::from_fn(move || {
            let node = open.pop()?;
            open.extend(node.star.as_deref());
            open.extend(node.literals.sorted());
            Some(node)
        });
        nodes.flat_map(|node| node.rest.iter().chain(&node.exact))
    }

    /// Visits each node whose way from the root matches the front of the name, and tells whether the
    /// name ends there. Allocates only where both a name and `*` go on.
    fn walk<'t>(&'t self, name: &str, mut visit: impl FnMut(&'t Node<V>, bool)) {
        let mut open = Vec::new();
        let mut next = Some((&self.root, Some(name)));
        while let Some((node, rest)) = next {
            visit(node, rest.is_none());
            next = None;
            if let Some((level, further)) = rest.map(split_level) {
                next = node.star.as_deref().map(|star| (star, further));
                if let Some(child) = node.literals.get(level) {
                    open.extend(next);
                    next = Some((child, further));
                }
            }
            next = next.or_else(|| open.pop());
        }
    }

    /// The values of exactly this pattern.
    fn values_mut(&mut self, pattern: &Pattern) -> Option<&mut Vec<V>> {
        let mut node = &mut self.root;
        for level in pattern.levels() {
            if level == Level::Rest {
                return Some(&mut node.rest);
            }
            node = node.child_mut(level)?;
        }
        Some(&mut node.exact)
    }

    /// Cuts off what has become empty at the end of a pattern's way.
    fn prune(&mut self, pattern: &Pattern) {
        let mut node = &self.root;
        let mut last_needed = 0;
        for (depth, level) in pattern.levels().enumerate() {
            if node.has_values() || node.children() > 1 {
                last_needed = depth;
            }
            let Some(child) = node.child(level) else {
                break;
            };
            node = child;
        }
        if node.has_values() || node.children() > 0 {
            return;
        }
        let mut node = &mut self.root;
        for (depth, level) in pattern.levels().enumerate() {
            if depth == last_needed {
                node.cut(level);
                return;
            }
            let Some(child) = node.child_mut(level) else {
                return;
            };
            node = child;
        }
    }
}

impl<V> Default for Node<V> {
    fn default() -> Self {
        Self {
            exact: Vec::new(),
            rest: Vec::new(),
            star: None,
            literals: Literals {
                first: None,
                more: HashMap::new(),
            },
        }
    }
}

impl<V> Node<V> {
    fn has_values(&self) -> bool {
        !self.exact.is_empty() || !self.rest.is_empty()
    }

    fn children(&self) -> usize {
        usize::from(self.star.is_some()) + self.literals.len()
    }

    fn child(&self, level: Level<'_>) -> Option<&Self> {
        match level {
            Level::Literal(name) => self.literals.get(name),
            Level::One => self.star.as_deref(),
            Level::Rest => None,
        }
    }

    fn child_mut(&mut self, level: Level<'_>) -> Option<&mut Self> {
        match level {
            Level::Literal(name) => self.literals.get_mut(name),
            Level::One => self.star.as_deref_mut(),
            Level::Rest => None,
        }
    }

    fn cut(&mut self, level: Level<'_>) {
        match level {
            Level::Literal(name) => self.literals.remove(name),
            Level::One => self.star = None,
            Level::Rest => {}
        }
    }

    fn take_children(&mut self) -> impl Iterator<Item = Self> + use<V> {
        let Literals { first, more } = &mut self.literals;
        let boxed = self.star.take().into_iter();
        let boxed = boxed.chain(first.take().map(|(_, node)| node));
        boxed
            .map(|node| *node)
            .chain(std::mem::take(more).into_values())
    }
}

impl<V> Drop for Node<V> {
    /// Takes the tree below apart without recursion.
    fn drop(&mut self) {
        let mut open: Vec<_> = self.take_children().collect();
        while let Some(mut node) = open.pop() {
            open.extend(node.take_children());
        }
    }
}

impl<V> Literals<V> {
    fn get(&self, name: &str) -> Option<&Node<V>> {
        match &self.first {
            Some((first, node)) if **first == *name => Some(node),
            Some(_) | None => self.more.get(name),
        }
    }

    fn get_mut(&mut self, name: &str) -> Option<&mut Node<V>> {
        match &mut self.first {
            Some((first, node)) if **first == *name => Some(node),
            Some(_) | None => self.more.get_mut(name),
        }
    }

    fn get_or_insert(&mut self, name: &str) -> &mut Node<V> {
        let is_first = match &self.first {
            Some((first, _)) => **first == *name,
            None => !self.more.contains_key(name),
        };
        if is_first {
            let (_, node) = self
                .first
                .get_or_insert_with(|| (name.into(), Box::default()));
            return node;
        }
        self.more.entry(name.into()).or_default()
    }

    fn remove(&mut self, name: &str) {
        if self
            .first
            .as_ref()
            .is_some_and(|(first, _)| **first == *name)
        {
            self.first = None;
        } else {
            self.more.remove(name);
            if 8 * self.more.len() < self.more.capacity() {
                self.more.shrink_to(2 * self.more.len());
            }
        }
    }

    fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.more.len()
    }

    /// All of them, by name: the order of the map differs from run to run.
    fn sorted(&self) -> impl Iterator<Item = &Node<V>> {
        let first = self.first.iter().map(|(name, node)| (name, &**node));
        let mut all: Vec<_> = first.chain(&self.more).collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        all.into_iter().map(|(_, node)| node)
    }
}

#[cfg(test)]
mod tests;
