//! Which gene a request belongs to: host name and path to a mount.
//!
//! An immutable table. A new DNA builds a new one and swaps it in as a whole, so that a request
//! sees either the old organism or the new one and never half of each.
//!
//! The order is that of [`cyte_dna::Precedence`]: a route with a host name beats one without,
//! an exact path beats a prefix, a longer prefix beats a shorter one. Paths are compared
//! segment by segment as they stand in the request line; nothing is decoded, so `/a%2Fb` is one
//! segment and no route can match a path that the gene then reads differently.
//!
//! Never allocates while resolving. Price: one binary search a path segment, only as deep as
//! some route of that host goes; the length of a hostile path does not matter beyond that.

use cyte_dna::{GeneName, Route};

/// Two genes claim the same route, or one gene claims it twice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "genes \"{first}\" and \"{second}\" both claim the route {route}\nhelp: change one of the two `route` lines in dna.toml, then run `cyte check`"
)]
pub struct RouteConflict {
    /// The gene that had the route first.
    pub first: GeneName,
    /// The gene that claims it too.
    pub second: GeneName,
    /// The route.
    pub route: Route,
}

/// One gene's routes and what stands behind them.
#[derive(Debug, Clone)]
pub struct Claim<T> {
    /// The gene, for messages.
    pub gene: GeneName,
    /// Its routes, at most [`cyte_dna::limits`] many.
    pub routes: Vec<Route>,
    /// What a match gives, cloned once for each route.
    pub mount: T,
}

/// The table. `T` is what a match gives; in a host it is [`crate::Mount`].
#[derive(Debug)]
pub struct Routes<T> {
    any: Tree<T>,
    /// Sorted by host name, so that a lookup is a binary search and needs no hashing.
    hosts: Vec<(Box<str>, Tree<T>)>,
}

impl<T> Default for Routes<T> {
    /// A table in which nothing matches.
    fn default() -> Self {
        Routes { any: Tree::default(), hosts: Vec::new() }
    }
}

impl<T: Clone> Routes<T> {
    /// Builds the table of all claims.
    ///
    /// # Errors
    /// [`RouteConflict`] when two claims hold the same route; nothing is built then.
    pub fn build(claims: Vec<Claim<T>>) -> Result<Self, RouteConflict> {
        let mut table = Routes::default();
        for claim in claims {
            for route in &claim.routes {
                let holder = Leaf { gene: claim.gene.clone(), mount: claim.mount.clone() };
                if let Some(first) = table.tree_of(route.host()).insert(route, holder) {
                    let (second, route) = (claim.gene, route.clone());
                    return Err(RouteConflict { first, second, route });
                }
            }
        }
        Ok(table)
    }

    fn tree_of(&mut self, host: Option<&str>) -> &mut Tree<T> {
        let Some(host) = host else { return &mut self.any };
        let at = match self.hosts.binary_search_by(|(name, _)| name.as_ref().cmp(host)) {
            Ok(at) => at,
            Err(at) => {
                self.hosts.insert(at, (host.into(), Tree::default()));
                at
            }
        };
        // `at` was found or inserted just above; the fallback only keeps this function total.
        self.hosts.get_mut(at).map_or(&mut self.any, |(_, tree)| tree)
    }
}

impl<T> Routes<T> {
    /// The mount for a request. `host` is what [`cyte_dna::normal_host`] gives, `path` the raw
    /// path without the query; `*` (a server-wide OPTIONS) counts as `/`.
    #[must_use]
    pub fn resolve(&self, host: Option<&str>, path: &str) -> Option<&T> {
        let path = if path == "*" { "/" } else { path };
        if let Some(tree) = host.and_then(|host| self.host_tree(host))
            && let Some(mount) = tree.find(path)
        {
            return Some(mount);
        }
        self.any.find(path)
    }

    /// How many host names have routes of their own.
    #[must_use]
    pub fn host_count(&self) -> usize {
        self.hosts.len()
    }

    fn host_tree(&self, host: &str) -> Option<&Tree<T>> {
        let at = self.hosts.binary_search_by(|(name, _)| name.as_ref().cmp(host)).ok()?;
        self.hosts.get(at).map(|(_, tree)| tree)
    }
}

/// The routes of one host name as a tree of path segments.
#[derive(Debug)]
struct Tree<T> {
    /// The node 0 is the root. Children are referred to by index, so that the whole tree is two
    /// allocations a node and never recursive.
    nodes: Vec<Node<T>>,
}

#[derive(Debug)]
struct Node<T> {
    /// Sorted by segment.
    children: Vec<(Box<str>, usize)>,
    exact: Option<Leaf<T>>,
    prefix: Option<Leaf<T>>,
}

#[derive(Debug)]
struct Leaf<T> {
    gene: GeneName,
    mount: T,
}

impl<T> Default for Tree<T> {
    fn default() -> Self {
        Tree { nodes: vec![Node::default()] }
    }
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Node { children: Vec::new(), exact: None, prefix: None }
    }
}

impl<T> Node<T> {
    fn child(&self, segment: &str) -> Result<usize, usize> {
        let at = self.children.binary_search_by(|(name, _)| name.as_ref().cmp(segment))?;
        self.children.get(at).map(|(_, node)| *node).ok_or(at)
    }
}

impl<T> Tree<T> {
    /// Adds a route, or gives the gene that has it already.
    fn insert(&mut self, route: &Route, leaf: Leaf<T>) -> Option<GeneName> {
        let mut at = 0;
        for segment in segments_of(route) {
            at = self.child_or_new(at, segment);
        }
        let node = self.nodes.get_mut(at)?;
        let place = if route.is_prefix() { &mut node.prefix } else { &mut node.exact };
        if let Some(first) = place {
            return Some(first.gene.clone());
        }
        *place = Some(leaf);
        None
    }

    fn child_or_new(&mut self, parent: usize, segment: &str) -> usize {
        let fresh = self.nodes.len();
        let Some(node) = self.nodes.get_mut(parent) else { return 0 };
        match node.child(segment) {
            Ok(child) => child,
            Err(place) => {
                node.children.insert(place, (segment.into(), fresh));
                self.nodes.push(Node::default());
                fresh
            }
        }
    }

    /// The exact route of the whole path, else the longest prefix on a segment boundary.
    fn find(&self, path: &str) -> Option<&T> {
        let mut node = self.nodes.first()?;
        let mut best = node.prefix.as_ref();
        let Some(rest) = path.strip_prefix('/') else { return best.map(|leaf| &leaf.mount) };
        for segment in rest.split('/') {
            let Some(next) = node.child(segment).ok().and_then(|at| self.nodes.get(at)) else {
                return best.map(|leaf| &leaf.mount);
            };
            node = next;
            best = node.prefix.as_ref().or(best);
        }
        node.exact.as_ref().or(best).map(|leaf| &leaf.mount)
    }
}

/// The segments of a route; `/...` has none, `/` has one that is empty.
fn segments_of(route: &Route) -> impl Iterator<Item = &str> {
    let rest = route.path().strip_prefix('/').unwrap_or_default();
    let everything = route.is_prefix() && rest.is_empty();
    rest.split('/').filter(move |_| !everything)
}

#[cfg(test)]
#[path = "routes_tests.rs"]
mod tests;
